#include "drivers/serial_port.h"

#include "drivers/serial.h"

namespace drivers {

namespace {

// Nothing arrives, and all that is written is gone at once: serial_write() polls.
class SerialPort final : public Port {
  public:
    // kLines: each write is a line, which is to be told from what programs print.
    enum class Use : uint8_t { kInput, kOutput, kLines };
    SerialPort(std::string_view name, Use use) : name_(name), use_(use) {}

    std::string_view name() const override { return name_; }
    size_t read(void*, size_t) override { return 0; }
    bool readable() const override { return false; }
    bool host_closed() const override { return use_ == Use::kInput; }
    size_t write(const void* data, size_t size) override {
        if (use_ == Use::kLines) {
            serial_write(name_);
            serial_write(": ");
        }
        serial_write({static_cast<const char*>(data), size});
        return size;
    }
    bool writable() const override { return true; }
    bool drained() const override { return true; }

  private:
    const std::string_view name_;
    const Use use_;
};

}  // namespace

Port* serial_port(std::string_view name) {
    using Use = SerialPort::Use;
    static SerialPort ports[] = {{"isounik.stdin", Use::kInput},
                                 {"isounik.stdout", Use::kOutput},
                                 {"isounik.stderr", Use::kOutput},
                                 {"isounik.control", Use::kLines}};
    for (SerialPort& port : ports) {
        if (port.name() == name) return &port;
    }
    return nullptr;
}

}  // namespace drivers
