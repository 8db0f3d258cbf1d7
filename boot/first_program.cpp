#include "boot/first_program.h"

#include "arch/x86_64/registers.h"
#include "boot/control.h"
#include "core/log.h"
#include "core/panic.h"
#include "drivers/console_terminal.h"
#include "drivers/devices.h"
#include "drivers/port_file.h"
#include "fs/device.h"
#include "fs/erofs/image.h"
#include "fs/path.h"
#include "fs/tmpfs/tmpfs.h"
#include "fs/tty/tty_devices.h"
#include "libc-compat/trace.h"
#include "libc-compat/vdso_map.h"
#include "mm/failing_allocations.h"
#include "mpk/inspect/code_table.h"
#include "mpk/inspected_text.h"
#include "mpk/table_audit.h"
#include "net/stack.h"
#include "process/exit.h"
#include "process/first_program.h"
#include "process/host_name.h"
#include "process/proc_view.h"
#include "process/process_host.h"
#include "sched/scheduler.h"
#include "sched/thread.h"

#include <string_view>

namespace boot {

namespace {

// Everything below runs once, on the boot thread; a failure ends the machine with a line that names the step.
template <typename T>
T must(Result<T> result, std::string_view step) {
    if (!result) {
        klog::error("{} failed: {}", step, result.error());
        report_exit_and_power_off(kMachineFailed);
    }
    return core::detail::take(std::move(result));
}

// A file system that programs expect, on a directory that is made if the image lacks it. A read-only or odd image
// costs the mount, not the machine.
void mount_at(std::string_view where, Result<Ref<fs::FileSystem>> file_system, const fs::LookupRequest& names,
              uint16_t mode = 0755) {
    if (file_system) {
        auto made = fs::make_directory(where, mode, names);
        if (made || made.error() == Errno::kExist) {
            auto place = fs::lookup(where, names);
            if (place && fs::mount(*file_system, *place, (*file_system)->type_name())) return;
        }
    }
    klog::warn("{} could not be mounted", where);
}

void mount_system_directories(const fs::Path& root) {
    auto context = must(core::make_ref<fs::FsContext>(root, root), "making the root's context");
    fs::LookupRequest names{.context = context.get(), .identity = {}, .start = nullptr};
    context->exchange_umask(0);
    mount_at("/dev", fs::create_device_file_system(), names);
    mount_at("/dev/pts", fs::create_pts_file_system(), names);
    mount_at("/dev/shm", fs::tmpfs::create("mode=1777"), names, 01777);
    mount_at("/proc", fs::create_proc_file_system(), names, 0555);
    mount_at("/sys", fs::create_sys_file_system(), names, 0555);
    mount_at("/tmp", fs::tmpfs::create("mode=1777"), names, 01777);
    (void)fs::make_directory("/run", 0755, names);
}

Ref<fs::File> stream(std::string_view port_name, drivers::PortDirection direction) {
    drivers::Port* port = drivers::find_port(port_name);
    if (!port) {
        klog::error("the host gave no port {} (docs/boot-protocol.md)", port_name);
        return nullptr;
    }
    return must(drivers::open_port(*port, direction), "opening a standard stream");
}

// Descriptors 0, 1 and 2: the terminal, or the host's three streams.
Ref<fs::FdTable> standard_descriptors(bool tty, const fs::Path& root) {
    auto files = must(fs::FdTable::create(), "making the descriptor table");
    Ref<fs::File> opened[3];
    if (tty && fs::tty::console()) {
        auto context = must(core::make_ref<fs::FsContext>(root, root), "making the root's context");
        fs::LookupRequest names{.context = context.get(), .identity = {}, .start = nullptr};
        auto terminal = must(fs::open("/dev/console", fs::kORdWr, 0, names), "opening the terminal");
        for (auto& file : opened) file = terminal;
        // The first program leads session and group 1, and the terminal is theirs (credentials(7)).
        fs::tty::console()->set_session(1, 1);
    } else {
        opened[0] = stream("isounik.stdin", drivers::PortDirection::kFromHost);
        opened[1] = stream("isounik.stdout", drivers::PortDirection::kToHost);
        opened[2] = stream("isounik.stderr", drivers::PortDirection::kToHost);
    }
    for (int fd = 0; fd < 3; fd++) {
        if (!opened[fd]) continue;
        must(files->install_at(fd, opened[fd], fs::CloseOnExec::kNo, 3), "installing a standard stream");
    }
    return files;
}

// What a login would have set, unless the command line says otherwise.
constexpr std::string_view kDefaultEnvironment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"};

Result<core::Vector<std::string_view>> environment_of(const Options& options) {
    core::Vector<std::string_view> environment;
    for (std::string_view fallback : kDefaultEnvironment) {
        std::string_view key = fallback.substr(0, fallback.find('=') + 1);
        bool given = false;
        for (const core::String& entry : options.environment) given = given || entry.view().starts_with(key);
        if (!given) TRY(environment.push_back(fallback));
    }
    for (const core::String& entry : options.environment) TRY(environment.push_back(entry.view()));
    return environment;
}

Result<core::Vector<std::string_view>> views_of(const core::Vector<core::String>& strings) {
    core::Vector<std::string_view> views;
    for (const core::String& string : strings) TRY(views.push_back(string.view()));
    return views;
}

// Which model programs get (process/isolation.h).
void set_isolation(Options& options, const fs::Path& root) {
    bool has_keys = arch::read_cr4() & arch::kCr4ProtectionKeys;
    if (!has_keys) klog::info("the processor has no protection keys (PKU): all programs run in ring 3");
    if (options.isolation.otherwise == process::Isolation::kNone) {
        klog::warn("isolation=none: NOTHING IS PROTECTED: every program can read and change the kernel and all other "
                   "programs; for measurements only");
    }
    options.isolation.has_protection_keys = has_keys;
    process::set_isolation_policy(std::move(options.isolation));
    mpk::initialize_code_policy(root.dentry->inode().file_system().device_number());
}

// wait4(2)'s status as a shell shows it.
void first_program_ended(int wait_status) {
    mpk::audit_loaded_table(mm::Model::kConfined);  // the kernel's own: U/S = 0 as for programs in ring 3
    int signal = wait_status & 0x7f;
    report_exit_and_power_off(signal ? 128 + signal : wait_status >> 8 & 0xff);
}

// The maps of the image's code, that the tool has put behind it (docs/boot-protocol.md).
void use_code_table(std::span<const std::byte> image) {
    const char* problem = nullptr;
    auto table = mpk::inspect::CodeTable::open(fs::erofs::behind_image(image), &problem);
    if (table) mpk::inspect::set_boot_code_table(*table);
    else if (problem) klog::warn("the boot image's table of code is {}: code is inspected when it is first run", problem);
}

// With test_fail_allocation: threads that have given themselves this name (prctl(2), PR_SET_NAME; children inherit it).
bool asks_for_failures() { return std::string_view(sched::current().name) == "no-memory"; }

}  // namespace

void start_first_program(Options& options, std::span<const std::byte> image) {
    if (image.empty()) {
        klog::error("there is no boot image: start the machine with -initrd IMAGE (docs/boot-protocol.md)");
        report_exit_and_power_off(kMachineFailed);
    }
    if (options.arguments.empty()) {
        klog::error("the command line names no program: put it after \"--\"");
        report_exit_and_power_off(kMachineFailed);
    }
    make_test_bug(options.test_bug);
    abi::initialize_dispatch();
    must(abi::initialize_vdso(), "making the vDSO");
    if (options.test_tick_hz) sched::set_test_tick(1'000'000'000 / options.test_tick_hz);
    if (options.test_fail_allocation) mm::fail_every(options.test_fail_allocation, asks_for_failures);
    if (options.trace_system_calls) abi::set_tracing();
    (void)process::set_host_name(options.hostname.view());
    process::register_process_host();
    process::register_process_view();
    process::set_first_process_ended(first_program_ended);
    fs::register_standard_devices();
    fs::Path root = must(fs::make_boot_root(image), "mounting the boot image");
    use_code_table(image);
    mount_system_directories(root);
    set_isolation(options, root);
    if (drivers::Port* port = drivers::find_port("isounik.tty")) {
        must(drivers::start_console(*port), "making the console");
    }
    net::set_first_listen_hook(report_ready);
    must(net::initialize(drivers::network_device(), options.network), "starting the network");

    auto arguments = must(views_of(options.arguments), "reading the program's arguments");
    auto environment = must(environment_of(options), "reading the program's environment");
    auto started = process::start_first_program({
        .arguments = arguments,
        .environment = environment,
        .working_directory = options.working_directory.view(),
        .root = root,
        .files = standard_descriptors(options.tty, root),
    });
    if (!started) report_exit_and_power_off(started.error().exit_status);
    start_control();
}

}  // namespace boot
