#include "fs/tty/tty_devices.h"

#include "fs/device.h"
#include "fs/process_host.h"
#include "fs/tty/terminal_file.h"

namespace fs::tty {

namespace {

Ref<Terminal>& console_slot() {
    static Ref<Terminal> slot;
    return slot;
}

// Major 5: 0 is the caller's own terminal, 1 the console, 2 makes a new pair.
class TtyDevices final : public CharacterDevice {
  public:
    Result<Ref<File>> open(Inode&, uint32_t minor, const OpenRequest& request) override {
        if (!request.path) return fail(Errno::kNxIo);
        switch (minor) {
            case 0: {
                auto own = terminal_of_session(process_host().caller().session);
                if (!own) return fail(Errno::kNxIo);
                return open_terminal(std::move(own), request);
            }
            case 1:
                if (!console()) return fail(Errno::kNxIo);
                return open_terminal(console(), request);
            case 2: {
                auto pty = TRY(Pty::create());
                return Ref<File>(TRY(core::make_ref<PtyMasterFile>(request.flags, *request.path, std::move(pty))));
            }
            default: return fail(Errno::kNxIo);
        }
    }
};

class PtySlaves final : public CharacterDevice {
  public:
    Result<Ref<File>> open(Inode&, uint32_t minor, const OpenRequest& request) override {
        auto pty = Pty::find(static_cast<int>(minor));
        if (!pty || pty->locked()) return fail(Errno::kIo);
        Ref<Terminal> terminal(std::move(pty));
        auto file = TRY(open_terminal(terminal, request));
        if (!request.no_controlling_terminal) terminal->adopt_by_opener();
        return file;
    }
};

TtyDevices tty_devices;
PtySlaves pty_slaves;

}  // namespace

void register_tty_devices() {
    register_character_device(5, tty_devices);
    register_character_device(kPtySlaveMajor, pty_slaves);
}

void set_console(Ref<Terminal> console) { console_slot() = std::move(console); }
Ref<Terminal> console() { return console_slot(); }

Result<Ref<File>> open_terminal(Ref<Terminal> terminal, const OpenRequest& request) {
    return Ref<File>(TRY(core::make_ref<TerminalFile>(request.flags, *request.path, std::move(terminal))));
}

}  // namespace fs::tty
