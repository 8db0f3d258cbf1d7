#include "process/argument_stack.h"

#include <cstring>

#include "core/types.h"

namespace process {

namespace {

constexpr std::string_view kPlatform = "x86_64";

// Writes into an image whose first byte has address `base`.
struct Writer {
    char* bytes;
    uint64_t base;
    void put(uint64_t address, const void* data, size_t size) {
        if (size) std::memcpy(bytes + (address - base), data, size);
    }
    // What alignment leaves between the parts: no byte of the kernel's goes to the program.
    void zero(uint64_t from, uint64_t to) { std::memset(bytes + (from - base), 0, to - from); }
    void word(uint64_t& address, uint64_t value) {
        put(address, &value, sizeof(value));
        address += sizeof(value);
    }
};

// The addresses of a block's strings, and the null pointer behind them.
void write_pointers(Writer& writer, uint64_t& at, const StringBlock& block, uint64_t strings) {
    size_t offset = 0;
    for (size_t i = 0; i < block.count; i++) {
        writer.word(at, strings + offset);
        offset += std::strlen(block.bytes.data() + offset) + 1;
    }
    writer.word(at, 0);
}

}  // namespace

ByteBlock& ByteBlock::operator=(ByteBlock&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
}

Result<char*> ByteBlock::extend(size_t count) {
    if (size_ + count > capacity_) {
        // An exact fit at first; more than that will grow again.
        size_t capacity = size_ ? (size_ + count) * 2 : count;
        auto larger = std::unique_ptr<char[]>(new (std::nothrow) char[capacity]);
        if (!larger) return fail(Errno::kNoMem);
        if (size_) std::memcpy(larger.get(), data_.get(), size_);
        data_ = std::move(larger);
        capacity_ = capacity;
    }
    return data_.get() + std::exchange(size_, size_ + count);
}

Result<void> StringBlock::add(std::string_view text) {
    if (text.size() + 1 > kMaxArgumentString) return fail(Errno::k2Big);
    char* to = TRY(bytes.extend(text.size() + 1));
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to[text.size()] = '\0';
    count++;
    return {};
}

std::string_view StringBlock::first() const { return count ? std::string_view(bytes.data()) : std::string_view(); }

Result<StringBlock> StringBlock::replace_front(const StringBlock& front, size_t skip) const {
    size_t offset = 0;
    size_t skipped = 0;
    for (; skipped < skip && skipped < count; skipped++) offset += std::strlen(bytes.data() + offset) + 1;
    StringBlock result;
    size_t kept = bytes.size() - offset;
    char* to = TRY(result.bytes.extend(front.bytes.size() + kept));
    if (front.bytes.size()) std::memcpy(to, front.bytes.data(), front.bytes.size());
    if (kept) std::memcpy(to + front.bytes.size(), bytes.data() + offset, kept);
    result.count = front.count + count - skipped;
    return result;
}

uint64_t argument_limit(uint64_t stack_limit) {
    constexpr uint64_t kMost = 6ull << 20, kLeast = 131072;
    uint64_t limit = stack_limit / 4;
    if (limit > kMost) limit = kMost;
    return limit < kLeast ? kLeast : limit;
}

Result<StackImage> build_stack(const StackRequest& request, uint64_t limit) {
    const StringBlock& arguments = *request.arguments;
    const StringBlock& environment = *request.environment;
    uint64_t strings = arguments.bytes.size() + environment.bytes.size() + request.file_name.size() + 1;
    uint64_t pointers = (arguments.count + environment.count) * sizeof(uint64_t);
    if (strings + pointers > limit) return fail(Errno::k2Big);

    // From the top: a null word, the file name, environment, arguments (as fs/exec.c lays them out). The random shift
    // comes before all of them, so that what is written lies together in few pages.
    uint64_t end = request.top - core::align_up(request.random_shift, 16), at = end - sizeof(uint64_t);
    uint64_t file_name = at -= request.file_name.size() + 1;
    StackImage image;
    image.environment_end = at;
    image.environment_start = at -= environment.bytes.size();
    image.argument_end = at;
    image.argument_start = at -= arguments.bytes.size();
    at = core::align_down(at, 16);
    uint64_t platform = at -= kPlatform.size() + 1;
    uint64_t random = at = core::align_down(at - request.random_bytes.size(), 16);

    size_t auxiliary_words = (request.auxiliary.size() + 4) * 2;
    size_t words = 1 + arguments.count + 1 + environment.count + 1 + auxiliary_words;
    image.stack_pointer = core::align_down(at - words * sizeof(uint64_t), 16);
    Writer writer{TRY(image.bytes.extend(end - image.stack_pointer)), image.stack_pointer};
    writer.word(at = end - sizeof(uint64_t), 0);
    writer.put(file_name, request.file_name.data(), request.file_name.size());
    writer.zero(file_name + request.file_name.size(), end - sizeof(uint64_t));
    writer.put(image.environment_start, environment.bytes.data(), environment.bytes.size());
    writer.put(image.argument_start, arguments.bytes.data(), arguments.bytes.size());
    writer.zero(platform + kPlatform.size(), image.argument_start);
    writer.put(platform, kPlatform.data(), kPlatform.size());
    writer.zero(random + request.random_bytes.size(), platform);
    writer.put(random, request.random_bytes.data(), request.random_bytes.size());

    uint64_t table = image.stack_pointer;
    writer.word(table, arguments.count);
    write_pointers(writer, table, arguments, image.argument_start);
    write_pointers(writer, table, environment, image.environment_start);
    image.auxiliary_offset = table - image.stack_pointer;
    image.auxiliary_words = auxiliary_words;
    for (const AuxiliaryEntry& entry : request.auxiliary) {
        writer.word(table, entry.type);
        writer.word(table, entry.value);
    }
    const AuxiliaryEntry last[] = {{kAtRandom, random}, {kAtExecFn, file_name}, {kAtPlatform, platform}, {kAtNull, 0}};
    for (const AuxiliaryEntry& entry : last) {
        writer.word(table, entry.type);
        writer.word(table, entry.value);
    }
    writer.zero(table, random);
    return image;
}

}  // namespace process
