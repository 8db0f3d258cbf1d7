// A QEMU plugin that counts every instruction of a guest under the stack of calls that led to it.
//
//     qemu-system-x86_64 -accel tcg,thread=single -plugin FOLDER/isounik-profile.so,output=FILE ...
//
// It sees each translation block before it runs, and the address that each CALL writes and each RET reads, which is
// the stack pointer. So it needs neither frame pointers nor the guest's help: a RET at address S ends all calls whose
// return address lies at S or below. tools/profile/trace.h describes the file that is written at the end.
//
// All processors must run in one thread (thread=single): nothing here is locked.

#include <array>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "profile_plugin/counter_table.h"
#include "profile_plugin/qemu_plugin.h"

extern "C" {
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                                               char** argv);
}

namespace {

constexpr size_t kPageSize = 4096;
// arch/x86_64/layout.h: kernel stacks lie in slot 384, one in every 32 KiB.
constexpr uint64_t kKernelStacksBase = 0xffff'c000'0000'0000;
constexpr uint64_t kKernelStacksEnd = kKernelStacksBase + (uint64_t{1} << 39);
constexpr unsigned kKernelStackShift = 15;
// A program's stack pointer that jumps down this far is on another stack: a new program, or a thread's.
constexpr uint64_t kOtherStack = 1 << 20;

constexpr uint64_t kNoStack = ~uint64_t{0};  // of no thread yet
// Nodes of the tree of calls that are no calls.
constexpr uint32_t kNoCall = 0;
constexpr uint32_t kBoot = 1;  // what runs before the first program

constexpr bool is_kernel(uint64_t address) { return address >> 63 != 0; }

/// A translation block: what runs from one jump target to the next jump.
struct Block {
    uint32_t number;
    uint32_t instructions;
    uint64_t address;
    int32_t page;  // number of the page that it lies in, -1 for the kernel's
};

/// A call that has not returned: where its return address lies, and the node of what it called.
struct Call {
    uint64_t stack_pointer;
    uint32_t node;
};

/// What runs on one kernel stack: a thread, with the calls it is in on both sides.
struct Thread {
    std::vector<Call> program = {};
    std::vector<Call> kernel = {};
    uint32_t kernel_base;  // node of the block from which the kernel was entered

    uint32_t program_node() const { return program.empty() ? kNoCall : program.back().node; }
    uint32_t kernel_node() const { return kernel.empty() ? kernel_base : kernel.back().node; }
};

void drop_ended(std::vector<Call>& calls, uint64_t stack_pointer) {
    while (!calls.empty() && calls.back().stack_pointer <= stack_pointer) calls.pop_back();
}

struct Processor {
    Thread* thread = nullptr;
    uint64_t stack = kNoStack;
    bool in_program = false;
    uint32_t last_program_block = 0;
};

class Profiler {
  public:
    explicit Profiler(std::string output) : output_(std::move(output)) {}

    void translated(qemu_plugin_tb* tb);
    void executed(unsigned vcpu, const Block& block);
    void called(unsigned vcpu, uint64_t stack_pointer, const Block& block);
    void returned(unsigned vcpu, uint64_t stack_pointer);
    void write() const;

  private:
    using Page = std::array<unsigned char, kPageSize>;

    Processor& processor(unsigned vcpu) {
        if (vcpu >= processors_.size()) processors_.resize(vcpu + 1);
        Processor& processor = processors_[vcpu];
        if (!processor.thread) processor.thread = &thread(0);
        return processor;
    }

    /// Numbers of calls are nodes of a tree: the same calls from the same place have the same number.
    uint32_t child(uint32_t node, uint32_t block) {
        uint64_t& number = nodes_[key(node, block)];
        if (number == 0) {
            node_parents_.push_back({node, block});
            number = node_parents_.size();
        }
        return static_cast<uint32_t>(number);
    }

    Thread& thread(uint64_t stack) {
        return threads_.try_emplace(stack, Thread{.kernel_base = booting_ ? kBoot : kNoCall}).first->second;
    }

    static uint64_t key(uint32_t node, uint32_t block) { return uint64_t{node} << 32 | block; }

    /// Another stack of a thread means another thread. Other stacks (at boot, of an interrupt) belong to whoever runs.
    void on_kernel_stack(Processor& processor, uint64_t stack_pointer);
    int32_t page_number(const unsigned char* bytes);

    std::string output_;
    std::deque<Block> blocks_;
    std::deque<Page> pages_;
    std::unordered_multimap<size_t, int32_t> pages_by_hash_;
    CounterTable nodes_;     // (parent, block) -> number
    CounterTable executions_;  // (node, block) -> how often
    struct Parent {
        uint32_t node, block;
    };
    std::vector<Parent> node_parents_{{kNoCall, 0}};  // of node 1 and up
    std::unordered_map<uint64_t, Thread> threads_;    // by kernel stack
    bool booting_ = true;
    std::vector<Processor> processors_;
};

Profiler* g_profiler;

enum class Jump { Other, Call, Return };

/// The kind of a block's last instruction.
Jump jump_of(const unsigned char* bytes, size_t size) {
    while (size > 1 && (*bytes == 0xf2 || *bytes == 0xf3 || *bytes == 0x3e || (*bytes & 0xf0) == 0x40)) {
        ++bytes;  // REP, BND, NOTRACK and REX prefixes
        --size;
    }
    switch (*bytes) {
        case 0xe8: return Jump::Call;
        case 0xc2:
        case 0xc3: return Jump::Return;
        case 0xff: return size > 1 && (bytes[1] >> 3 & 7) == 2 ? Jump::Call : Jump::Other;
        default: return Jump::Other;
    }
}

void on_executed(unsigned vcpu, void* block) { g_profiler->executed(vcpu, *static_cast<Block*>(block)); }

void on_called(unsigned vcpu, qemu_plugin_meminfo_t, uint64_t address, void* block) {
    g_profiler->called(vcpu, address, *static_cast<Block*>(block));
}

void on_returned(unsigned vcpu, qemu_plugin_meminfo_t, uint64_t address, void*) {
    g_profiler->returned(vcpu, address);
}

int32_t Profiler::page_number(const unsigned char* bytes) {
    const size_t hash = std::hash<std::string_view>()({reinterpret_cast<const char*>(bytes), kPageSize});
    auto [first, last] = pages_by_hash_.equal_range(hash);
    for (; first != last; ++first)
        if (std::memcmp(pages_[static_cast<size_t>(first->second)].data(), bytes, kPageSize) == 0) return first->second;
    Page& page = pages_.emplace_back();
    std::memcpy(page.data(), bytes, kPageSize);
    const auto number = static_cast<int32_t>(pages_.size() - 1);
    pages_by_hash_.emplace(hash, number);
    return number;
}

void Profiler::translated(qemu_plugin_tb* tb) {
    const size_t count = qemu_plugin_tb_n_insns(tb);
    Block& block = blocks_.emplace_back();
    block.number = static_cast<uint32_t>(blocks_.size() - 1);
    block.instructions = static_cast<uint32_t>(count);
    block.address = qemu_plugin_tb_vaddr(tb);
    block.page = -1;
    if (!is_kernel(block.address)) {
        const auto host = reinterpret_cast<uintptr_t>(qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)));
        if (host) block.page = page_number(reinterpret_cast<const unsigned char*>(host & ~(kPageSize - 1)));
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_executed, QEMU_PLUGIN_CB_NO_REGS, &block);
    qemu_plugin_insn* last = qemu_plugin_tb_get_insn(tb, count - 1);
    switch (jump_of(static_cast<const unsigned char*>(qemu_plugin_insn_data(last)), qemu_plugin_insn_size(last))) {
        case Jump::Call:
            qemu_plugin_register_vcpu_mem_cb(last, on_called, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W, &block);
            break;
        case Jump::Return:
            qemu_plugin_register_vcpu_mem_cb(last, on_returned, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, &block);
            break;
        case Jump::Other: break;
    }
}

void Profiler::executed(unsigned vcpu, const Block& block) {
    Processor& cpu = processor(vcpu);
    uint32_t node;
    // Firmware and the kernel's first instructions run at low addresses, before there is a thread.
    if (is_kernel(block.address) || cpu.stack == kNoStack) {
        if (cpu.in_program) {
            cpu.in_program = false;
            cpu.thread->kernel.clear();
            cpu.thread->kernel_base = child(cpu.thread->program_node(), cpu.last_program_block);
        }
        node = cpu.thread->kernel_node();
    } else {
        cpu.in_program = true;
        booting_ = false;
        cpu.last_program_block = block.number;
        node = cpu.thread->program_node();
    }
    ++executions_[key(node, block.number)];
}

void Profiler::on_kernel_stack(Processor& cpu, uint64_t stack_pointer) {
    if (stack_pointer < kKernelStacksBase || stack_pointer >= kKernelStacksEnd) return;
    const uint64_t stack = stack_pointer >> kKernelStackShift;
    if (stack == cpu.stack) return;
    cpu.stack = stack;
    cpu.thread = &thread(stack);
}

void Profiler::called(unsigned vcpu, uint64_t stack_pointer, const Block& block) {
    Processor& cpu = processor(vcpu);
    if (is_kernel(stack_pointer)) on_kernel_stack(cpu, stack_pointer);
    const bool in_kernel = is_kernel(stack_pointer) || cpu.stack == kNoStack;
    Thread& thread = *cpu.thread;
    std::vector<Call>& calls = in_kernel ? thread.kernel : thread.program;
    drop_ended(calls, stack_pointer);
    if (!in_kernel && !calls.empty() && calls.back().stack_pointer - stack_pointer > kOtherStack) calls.clear();
    const uint32_t above = in_kernel ? thread.kernel_node() : thread.program_node();
    calls.push_back({stack_pointer, child(above, block.number)});
}

void Profiler::returned(unsigned vcpu, uint64_t stack_pointer) {
    Processor& cpu = processor(vcpu);
    if (is_kernel(stack_pointer)) on_kernel_stack(cpu, stack_pointer);
    const bool in_kernel = is_kernel(stack_pointer) || cpu.stack == kNoStack;
    drop_ended(in_kernel ? cpu.thread->kernel : cpu.thread->program, stack_pointer);
}

void Profiler::write() const {
    std::FILE* file = std::fopen(output_.c_str(), "we");
    if (!file) {
        std::perror(output_.c_str());
        return;
    }
    for (const Block& block : blocks_)
        std::fprintf(file, "b %lx %u %d\n", block.address, block.instructions, block.page);
    for (const Parent& parent : node_parents_) std::fprintf(file, "n %u %u\n", parent.node, parent.block);
    executions_.for_each([&](uint64_t key, uint64_t count) {
        std::fprintf(file, "c %lu %lu %lu\n", key >> 32, key & 0xffff'ffff, count);
    });
    std::fclose(file);
    if (std::FILE* pages = std::fopen((output_ + ".pages").c_str(), "we")) {
        for (const Page& page : pages_) std::fwrite(page.data(), 1, page.size(), pages);
        std::fclose(pages);
    }
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc, char** argv) {
    const std::string_view wanted = "output=";
    for (int i = 0; i < argc; ++i)
        if (std::string_view(argv[i]).starts_with(wanted)) g_profiler = new Profiler(argv[i] + wanted.size());
    if (!g_profiler) {
        std::fprintf(stderr, "isounik-profile: give it output=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, [](qemu_plugin_id_t, qemu_plugin_tb* tb) { g_profiler->translated(tb); });
    qemu_plugin_register_atexit_cb(id, [](qemu_plugin_id_t, void*) { g_profiler->write(); }, nullptr);
    return 0;
}
