// System calls as typed functions. Each family of calls is one file that ends with its table:
//
//     Result<size_t> sys_read(Context& context, int fd, UserOut<std::byte> buffer, size_t count);
//     constexpr SystemCall kFileCalls[] = {
//         CALL(0, read, "fd, buf, count"),
//     };
//     const SystemCallFamily kFileFamily{"files", kFileCalls};
//
// Arguments are decoded from the registers by the handler's signature: integral types are truncated as Linux's
// SYSCALL_DEFINE does, UserIn/UserOut take the address. The tables together give dispatch, the names in traces
// and the page docs/system-calls.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "arch/x86_64/call_frame.h"
#include "arch/x86_64/trap_frame.h"
#include "core/result.h"
#include "core/types.h"
#include "process/process.h"

namespace abi {

// Who calls.
struct Context {
    process::Thread& thread;
    arch::TrapFrame& frame;

    process::Process& process() const { return *thread.process; }
    mm::AddressSpace& address_space() const { return *thread.address_space; }
    fs::FdTable& files() const { return *thread.files; }
    fs::FsContext& fs_context() const { return *thread.fs_context; }
    const process::Credentials& credentials() const { return *thread.credentials; }
    uint64_t limit(unsigned resource) const { return thread.process->limits[resource].soft; }
    // EBADF. use_file(): for calls that neither keep the file nor change the table.
    Result<Ref<fs::File>> file(int fd) const { return thread.files->get(fd); }
    Result<fs::FileUse> use_file(int fd) const { return thread.files->use(fd); }
};

// Returns the value for rax: a result, or -errno. By value: the entry stubs pass it in two registers.
using Handler = int64_t (*)(Context context);
static_assert(std::is_trivially_copy_constructible_v<Context>);
// The same for the call gate (isounik_call_table, arch/x86_64/entry.h): the words that the program passes.
using DirectHandler = int64_t (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

struct SystemCall {
    uint16_t number;
    std::string_view name;
    Handler handler;
    DirectHandler direct;
    uint8_t argument_count;
    std::string_view arguments;  // for traces and docs, as in the man page
    std::string_view note = {};  // what differs from Linux, for docs/system-calls.md
};

struct SystemCallFamily {
    std::string_view title;
    std::span<const SystemCall> calls;
};

namespace detail {

template <typename T>
constexpr T decode(uint64_t value) {
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) return static_cast<T>(value);
    else return T(value);  // UserIn, UserOut, UserAddr
}
template <size_t kIndex>
inline auto& argument(auto& frame) {
    if constexpr (kIndex == 0) return frame.rdi;
    else if constexpr (kIndex == 1) return frame.rsi;
    else if constexpr (kIndex == 2) return frame.rdx;
    else if constexpr (kIndex == 3) return frame.r10;
    else if constexpr (kIndex == 4) return frame.r8;
    else return frame.r9;
}
// -errno; codes that restart a call, which programs never see, are work for the way out.
int64_t encode_error(process::Thread& thread, Errno error);
template <typename T>
inline int64_t encode(process::Thread& thread, const Result<T>& result) {
    if (!result) [[unlikely]] return encode_error(thread, result.error());
    if constexpr (std::is_void_v<T>) return 0;
    else if constexpr (std::is_same_v<T, UserAddr>) return static_cast<int64_t>(result->value());
    else return static_cast<int64_t>(*result);
}
template <auto kFunction, typename R, typename... Args, size_t... kIndices>
inline int64_t invoke(Context& context, Result<R> (*)(Context&, Args...), std::index_sequence<kIndices...>) {
    return encode(context.thread, kFunction(context, decode<std::remove_cvref_t<Args>>(argument<kIndices>(context.frame))...));
}
template <auto kFunction, typename R, typename... Args>
inline int64_t unpack(Context& context, Result<R> (*function)(Context&, Args...)) {
    return invoke<kFunction>(context, function, std::index_sequence_for<Args...>{});
}
// A handler that reads the registers itself, where decoding and a Result would be much of a frequent call.
template <auto kFunction>
inline int64_t unpack(Context& context, int64_t (*)(Context)) { return kFunction(context); }
template <auto kFunction>
int64_t handler(Context context) { return unpack<kFunction>(context, kFunction); }

template <uint16_t kNumber, auto kFunction, typename Signature = decltype(kFunction)>
struct DirectCall;
template <uint16_t kNumber, auto kFunction>
struct DirectCall<kNumber, kFunction, int64_t (*)(Context)> {
    static constexpr uint8_t kArguments = 6;
    static int64_t call(uint64_t first, uint64_t second, uint64_t third, uint64_t fourth, uint64_t fifth, uint64_t sixth) {
        arch::TrapFrame& frame = arch::call_frame();
        frame.error_or_syscall = kNumber;
        frame.rdi = first, frame.rsi = second, frame.rdx = third, frame.r10 = fourth, frame.r8 = fifth, frame.r9 = sixth;
        return kFunction({process::current_thread(), frame});
    }
};
template <uint16_t kNumber, auto kFunction, typename R, typename... Args>
struct DirectCall<kNumber, kFunction, Result<R> (*)(Context&, Args...)> {
    static constexpr uint8_t kArguments = sizeof...(Args);
    static int64_t call(uint64_t first, uint64_t second, uint64_t third, uint64_t fourth, uint64_t fifth, uint64_t sixth) {
        const uint64_t words[] = {first, second, third, fourth, fifth, sixth};
        return call_with(words, std::index_sequence_for<Args...>{});
    }

  private:
    template <size_t... kIndices>
    static int64_t call_with(const uint64_t (&words)[6], std::index_sequence<kIndices...>) {
        Context context{process::current_thread(), arch::call_frame()};
        context.frame.error_or_syscall = kNumber;
        ((argument<kIndices>(context.frame) = words[kIndices]), ...);
        return encode(context.thread, kFunction(context, decode<std::remove_cvref_t<Args>>(words[kIndices])...));
    }
};

}  // namespace detail

// One row: CALL(0, read, "fd, buf, count"). The host program that prints the table has no handlers.
#ifdef ISOUNIK_TABLE_ONLY
#define CALL(number, name, ...) \
    ::abi::SystemCall { number, #name, nullptr, nullptr, 0, __VA_ARGS__ }
#else
#define CALL(number, name, ...)                                                               \
    ::abi::SystemCall {                                                                       \
        number, #name, &::abi::detail::handler<&sys_##name>,                                  \
            &::abi::detail::DirectCall<number, &sys_##name>::call,                            \
            ::abi::detail::DirectCall<number, &sys_##name>::kArguments, __VA_ARGS__           \
    }
#endif

// Fills the tables of arch/x86_64/entry.h from all families: the entry stubs call their handlers. A
// number without a handler is logged once by name and answered with ENOSYS. Once at boot, before the first program.
void initialize_dispatch();
// `trace=syscalls`: log each call and its result at level info. After initialize_dispatch().
void set_tracing();
// The name of any x86-64 system call, supported or not ("futex_waitv"), or empty.
std::string_view system_call_name(uint64_t number);
// All families, for the docs and the coverage check.
std::span<const SystemCallFamily* const> families();

}  // namespace abi
