#include "drivers/port_file.h"

#include <algorithm>

#include "core/log.h"
#include "fs/events/anonymous_file.h"
#include "fs/events/internal_file_system.h"
#include "fs/events/thread_waiter.h"
#include "fs/process_host.h"

namespace drivers {

namespace {

constexpr int kSigPipe = 13;
constexpr size_t kChunk = 2048;  // bytes on the stack between program and port

// The port as an inode, so that /dev/stdout and /proc/self/fd/1 can open it again.
class PortInode final : public fs::Inode {
  public:
    PortInode(Port& port, PortDirection direction)
        : port_(port), direction_(direction), number_(fs::next_anonymous_inode()), created_(fs::current_time()) {}

    fs::FileSystem& file_system() override {
        static fs::InternalFileSystem file_system("pipefs", 0x50495045);
        return file_system;
    }
    fs::Attributes attributes() override {
        fs::Attributes attributes;
        attributes.inode_number = number_;
        attributes.type = fs::FileType::kFifo;
        // Everybody may open it again: a server that dropped its privileges still logs to /dev/stderr.
        attributes.permissions = 0622;
        attributes.access = attributes.modification = attributes.change = created_;
        return attributes;
    }
    Result<void> change_attributes(const fs::AttributeChange&) override { return {}; }
    Result<Ref<fs::File>> open(const fs::OpenRequest& request) override;

    Port& port() { return port_; }
    PortDirection direction() const { return direction_; }
    uint64_t number() const { return number_; }

  private:
    Port& port_;
    const PortDirection direction_;
    const uint64_t number_;
    const fs::Timespec created_;
};

class PortFile final : public fs::File {
  public:
    PortFile(Ref<PortInode> inode, uint32_t flags) : File(flags), inode_(std::move(inode)) {}

    Result<size_t> read(fs::Destination& destination, uint64_t*) override {
        if (!readable() || inode_->direction() != PortDirection::kFromHost) return fail(Errno::kBadF);
        if (destination.remaining() == 0) return 0;
        for (;;) {
            size_t moved = 0;
            while (destination.remaining() > 0) {
                std::byte chunk[kChunk];
                size_t count = port().read(chunk, std::min(sizeof chunk, destination.remaining()));
                if (count == 0) break;
                TRY(destination.put(chunk, count));
                moved += count;
            }
            if (moved > 0) return moved;
            if (port().host_closed() && !port().readable()) return 0;
            TRY(wait([this] { return port().readable() || port().host_closed(); }));
        }
    }

    Result<size_t> write(fs::Source& source, uint64_t*) override {
        if (!writable() || inode_->direction() != PortDirection::kToHost) return fail(Errno::kBadF);
        size_t moved = 0;
        while (source.remaining() > 0) {
            if (port().host_closed()) {
                fs::process_host().signal_caller(kSigPipe);
                return moved > 0 ? Result<size_t>(moved) : fail(Errno::kPipe);
            }
            std::byte chunk[kChunk];
            size_t count = std::min(sizeof chunk, source.remaining());
            if (auto taken = source.take(chunk, count); !taken) {
                return moved > 0 ? Result<size_t>(moved) : fail(taken.error());
            }
            size_t written = port().write(chunk, count);
            moved += written;
            if (written == count) continue;
            source.give_back(count - written);
            auto waited = wait([this] { return port().writable() || port().host_closed(); });
            if (!waited) return moved > 0 ? Result<size_t>(moved) : fail(waited.error());
        }
        return moved;
    }

    uint32_t poll(fs::PollRegistrar* registrar) override {
        if (registrar) registrar->watch(port().changed);
        bool closed = port().host_closed();
        if (inode_->direction() == PortDirection::kToHost) {
            return (port().writable() ? fs::kPollOut | fs::kPollWrNorm : 0) | (closed ? fs::kPollErr : 0);
        }
        return (port().readable() ? fs::kPollIn | fs::kPollRdNorm : 0) | (closed ? fs::kPollHup : 0);
    }

    Ref<fs::Inode> inode() override { return inode_; }
    fs::Attributes attributes() override { return inode_->attributes(); }
    Result<core::String> description() override {
        char text[40];
        return core::String::create(klog::format(text, sizeof text, "pipe:[{}]", inode_->number()));
    }

  private:
    Port& port() { return inode_->port(); }

    // EAGAIN, kRestartSys.
    template <typename Condition>
    Result<void> wait(Condition condition) {
        if (non_blocking()) return fail(Errno::kAgain);
        fs::ThreadWaiter waiter;
        sched::prepare_sleep(sched::Interruptible::kYes);
        port().changed.add(waiter);
        sched::Wake outcome = sched::Wake::kWoken;
        if (condition()) sched::cancel_sleep();
        else outcome = sched::sleep();
        port().changed.remove(waiter);
        if (outcome == sched::Wake::kInterrupted && !condition()) return fail(Errno::kRestartSys);
        return {};
    }

    Ref<PortInode> inode_;
};

Result<Ref<fs::File>> PortInode::open(const fs::OpenRequest& request) {
    return Ref<fs::File>(TRY(core::make_ref<PortFile>(Ref<PortInode>(this), request.flags)));
}

}  // namespace

Result<Ref<fs::File>> open_port(Port& port, PortDirection direction) {
    auto inode = TRY(core::make_ref<PortInode>(port, direction));
    uint32_t flags = direction == PortDirection::kFromHost ? fs::kORdOnly : fs::kOWrOnly;
    return Ref<fs::File>(TRY(core::make_ref<PortFile>(std::move(inode), flags)));
}

}  // namespace drivers
