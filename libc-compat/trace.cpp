#include "libc-compat/trace.h"

#include <cstring>

#include "core/log.h"

namespace abi {

namespace {

uint64_t argument_at(const arch::TrapFrame& frame, unsigned index) {
    switch (index) {
        case 0: return frame.rdi;
        case 1: return frame.rsi;
        case 2: return frame.rdx;
        case 3: return frame.r10;
        case 4: return frame.r8;
        default: return frame.r9;
    }
}

}  // namespace

void trace_entry(const Context& context, const SystemCall& call) {
    char text[240];
    size_t used = 0;
    std::string_view names = call.arguments;
    for (unsigned i = 0; i < 6 && !names.empty(); i++) {
        size_t comma = names.find(',');
        std::string_view name = names.substr(0, comma);
        while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
        used += core::klog::format(text + used, sizeof(text) - used, "{}{}=0x{:x}", i ? ", " : "", name,
                                   argument_at(context.frame, i)).size();
        names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
    }
    klog::info("pid {} tid {} ({}): {}({})", context.thread.process->pid, context.thread.tid, context.thread.name,
               call.name, std::string_view(text, used));
}

void trace_result(const Context& context, const SystemCall& call, int64_t result) {
    if (result < 0 && result > -4096) {
        klog::info("tid {}: {} = -{}", context.thread.tid, call.name, static_cast<Errno>(-result));
    } else {
        klog::info("tid {}: {} = {} (0x{:x})", context.thread.tid, call.name, result, static_cast<uint64_t>(result));
    }
}

}  // namespace abi
