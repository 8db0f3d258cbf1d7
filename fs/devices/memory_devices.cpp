#include "fs/devices/memory_devices.h"

#include <algorithm>

#include "arch/x86_64/user_copy.h"
#include "core/random.h"
#include "fs/device.h"
#include "fs/path_file.h"
#include "fs/process_host.h"
#include "fs/tmpfs/tmpfs.h"
#include "sched/thread.h"

namespace fs {

namespace {

constexpr uint32_t kNull = 3, kZero = 5, kFull = 7, kRandom = 8, kURandom = 9;

class MemoryFile final : public PathFile {
  public:
    MemoryFile(uint32_t flags, const Path& path, uint32_t minor) : PathFile(flags, path), minor_(minor) {}

    Result<size_t> read(Destination& destination, uint64_t*) override {
        size_t count = destination.remaining();
        if (minor_ == kNull) return 0;
        if (minor_ == kZero || minor_ == kFull) {
            TRY(destination.put_zeros(count));
            return count;
        }
        return read_random(destination);
    }

    Result<size_t> write(Source& source, uint64_t*) override {
        size_t count = source.remaining();
        if (minor_ == kFull) return fail(Errno::kNoSpc);
        if (minor_ == kRandom || minor_ == kURandom) {
            // What is written is mixed in; it is not credited as entropy (random(4)).
            for (size_t left = count; left > 0;) {
                std::byte chunk[64];
                size_t size = std::min(left, sizeof chunk);
                TRY(source.take(chunk, size));
                core::seed_random({chunk, size});
                left -= size;
            }
        }
        return count;
    }

    // Seeking is allowed and leads nowhere, as in Linux' null_lseek().
    Result<uint64_t> seek(int64_t, int) override { return 0; }
    bool takes_offset() const override { return true; }
    bool pollable() const override { return minor_ == kRandom || minor_ == kURandom; }

    Result<uint64_t> ioctl(uint32_t command, uint64_t argument) override {
        constexpr uint32_t kGetEntropyCount = 0x80045200;  // RNDGETENTCNT
        if ((minor_ == kRandom || minor_ == kURandom) && command == kGetEntropyCount) {
            TRY(arch::copy_out(UserOut<int>(argument), 256));
            return 0;
        }
        return fail(Errno::kNotTy);
    }

    // Zero pages: a private mapping is anonymous memory, a shared one a file of zeros of its own (as in Linux).
    Result<Ref<mm::Mappable>> mappable() override {
        if (minor_ != kZero) return fail(Errno::kNoDev);
        auto inode = TRY(tmpfs::create_unnamed_file(0600, 0, 0));
        AttributeChange change{};
        change.set_size = true;
        change.size = uint64_t{1} << 46;
        TRY(inode->change_attributes(change));
        return Ref<mm::Mappable>(std::move(inode));
    }

  private:
    Result<size_t> read_random(Destination& destination) {
        size_t total = std::min<size_t>(destination.remaining(), (1u << 25) - 1);  // getrandom(2)'s limit
        size_t moved = 0;
        while (moved < total) {
            std::byte chunk[256];
            size_t size = std::min(total - moved, sizeof chunk);
            core::fill_random({chunk, size});
            if (auto put = destination.put(chunk, size); !put) {
                if (moved > 0) break;
                return fail(put.error());
            }
            moved += size;
            if (moved % 65536 == 0) {
                if (process_host().signal_pending()) break;
                sched::poll_point();
            }
        }
        return moved;
    }

    const uint32_t minor_;
};

class MemoryDevices final : public CharacterDevice {
  public:
    Result<Ref<File>> open(Inode&, uint32_t minor, const OpenRequest& request) override {
        if (minor != kNull && minor != kZero && minor != kFull && minor != kRandom && minor != kURandom) {
            return fail(Errno::kNxIo);
        }
        if (!request.path) return fail(Errno::kNxIo);
        return Ref<File>(TRY(core::make_ref<MemoryFile>(request.flags, *request.path, minor)));
    }
};

MemoryDevices memory_devices;

}  // namespace

void register_memory_devices() { register_character_device(1, memory_devices); }

}  // namespace fs
