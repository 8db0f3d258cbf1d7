#include "drivers/console_terminal.h"

#include "fs/device.h"
#include "fs/tty/tty_devices.h"

namespace drivers {

namespace {

// Locks: the terminal's (kPipe), then the port's own. The port's handler is called with none held.
class ConsoleTerminal final : public fs::tty::Terminal {
  public:
    explicit ConsoleTerminal(Port& port) : Terminal(fs::make_device(5, 1)), port_(port) {}

    void start() {
        port_.handler_context = this;
        port_.handler = [](Port&, void* context) { static_cast<ConsoleTerminal*>(context)->port_changed(); };
        port_changed();
    }

  private:
    void port_changed() {
        {
            core::SpinGuard guard(lock_);
            send_locked();
        }
        wake_writers();
        input_wanted();
    }

    // Takes from the port what the line discipline has room for; what it refuses stays there.
    void input_wanted() override {
        for (;;) {
            size_t room;
            {
                core::SpinGuard guard(lock_);
                room = discipline_.room();
            }
            uint8_t chunk[128];
            size_t count = room == 0 ? 0 : port_.read(chunk, room < sizeof chunk ? room : sizeof chunk);
            if (count == 0) break;
            receive(chunk, count);
        }
        if (port_.host_closed() && !port_.readable()) {
            core::SpinGuard guard(lock_);
            bool first = !hung_up_;
            guard.unlock();
            if (first && was_open_) hang_up();
        } else {
            was_open_ = true;
        }
    }

    void output_added_locked() override { send_locked(); }
    bool output_pending_locked() override { return !output_.empty() || !port_.drained(); }

    void send_locked() {
        while (!output_.empty() && !stopped_locked()) {
            size_t count;
            const uint8_t* bytes = output_.front(&count);
            size_t sent = port_.write(bytes, count);
            if (sent == 0) return;
            output_.drop(sent);
        }
    }

    Port& port_;
    bool was_open_ = false;
};

}  // namespace

Result<Ref<fs::tty::Terminal>> start_console(Port& port) {
    auto terminal = TRY(core::make_ref<ConsoleTerminal>(port));
    Ref<fs::tty::Terminal> console(terminal);
    fs::tty::set_console(console);
    terminal->start();
    return console;
}

}  // namespace drivers
