#include "process/host_name.h"

#include <cstring>

#include "core/lock.h"

namespace process {

namespace {

struct Name {
    char text[kHostNameMax + 1];
    size_t length;
};
core::Spinlock lock(core::Rank::kProcess);
Name host{"isounik", 7};
Name domain{"(none)", 6};

size_t read(const Name& name, char (&buffer)[kHostNameMax + 1]) {
    core::SpinGuard guard(lock);
    std::memcpy(buffer, name.text, name.length);
    buffer[name.length] = '\0';
    return name.length;
}

Result<void> write(Name& name, std::string_view text) {
    if (text.size() > kHostNameMax) return fail(Errno::kInval);
    core::SpinGuard guard(lock);
    std::memcpy(name.text, text.data(), text.size());
    name.length = text.size();
    return {};
}

}  // namespace

size_t host_name(char (&buffer)[kHostNameMax + 1]) { return read(host, buffer); }
size_t domain_name(char (&buffer)[kHostNameMax + 1]) { return read(domain, buffer); }
Result<void> set_host_name(std::string_view name) { return write(host, name); }
Result<void> set_domain_name(std::string_view name) { return write(domain, name); }

}  // namespace process
