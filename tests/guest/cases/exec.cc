// execve in all forms: linking modes, scripts, vfork, posix_spawn, arguments, errors.
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include "case.h"

static const char* helper_path(const char* name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/../helpers/%s", self_directory(), name);
    return path;
}

static int run_helper(const char* name) {
    char* arguments[] = {(char*)name, (char*)"one", (char*)"two words", (char*)"", nullptr};
    char* environment[] = {(char*)"KEY=value", (char*)"EMPTY=", nullptr};
    execve(helper_path(name), arguments, environment);
    print("exec: %s\n", errno_name(errno));
    return 99;
}

CASE(exec_static) {
    COVERS(execve);
    show_child("static", [] { return run_helper("exec_static"); });
}

CASE(exec_static_pie) {
    COVERS(execve);
    show_child("static-pie", [] { return run_helper("exec_static-pie"); });
}

CASE(exec_dynamic_pie) {
    COVERS(execve);
    show_child("pie", [] { return run_helper("exec_pie"); });
}

CASE(exec_dynamic_not_pie) {
    COVERS(execve);
    show_child("dynamic-no-pie", [] { return run_helper("exec_dynamic-no-pie"); });
}

static void write_file(const char* name, const char* content, mode_t mode) {
    int fd = MUST(open(name, O_WRONLY | O_CREAT | O_TRUNC, mode));
    MUST(write(fd, content, strlen(content)));
    MUST(fchmod(fd, mode));
    close(fd);
}

static void run(const char* path, const char* argument = nullptr) {
    show_child(path, [=] {
        execl(path, path, argument, nullptr);
        print("exec: %s\n", errno_name(errno));
        return 99;
    });
}

CASE(scripts_run_their_interpreter) {
    COVERS(execve);
    enter_scratch_directory();
    char script[1024];
    MUST(symlink(helper_path("exec_static"), "interpreter"));
    write_file("plain", "#!./interpreter\n", 0755);
    run("./plain", "argument");
    write_file("option", "#! ./interpreter  -x and more \nrest\n", 0755);
    run("./option", "argument");
    write_file("no-newline", "#!./interpreter", 0755);
    run("./no-newline");
    write_file("nested", "#!./plain nested-option\n", 0755);
    run("./nested", "argument");
    write_file("empty", "#!\n", 0755);
    run("./empty");
    write_file("missing", "#!./nothing\n", 0755);
    run("./missing");
    memset(script, 'i', sizeof script);
    memcpy(script, "#!./", 4);
    script[1000] = 0;
    write_file("long", script, 0755);
    run("./long");
}

CASE(scripts_that_loop) {
    enter_scratch_directory();
    write_file("self", "#!./self\n", 0755);
    run("./self");
    for (int i = 1; i <= 6; i++) {
        char name[16], content[32];
        snprintf(name, sizeof name, "level%d", i);
        snprintf(content, sizeof content, i == 1 ? "#!./interpreter\n" : "#!./level%d\n", i - 1);
        write_file(name, content, 0755);
    }
    MUST(symlink(helper_path("exec_static"), "interpreter"));
    run("./level5");
    run("./level6");
}

CASE(exec_errors) {
    COVERS_ERROR(execve, execveat);
    enter_scratch_directory();
    char* arguments[] = {(char*)"x", nullptr};
    SHOW(execve("nothing", arguments, arguments));
    SHOW(execve("", arguments, arguments));
    SHOW(execve(".", arguments, arguments));
    write_file("not-executable", "#!/bin/sh\n", 0644);
    SHOW(execve("not-executable", arguments, arguments));
    write_file("no-format", "just text\n", 0755);
    SHOW(execve("no-format", arguments, arguments));
    write_file("nothing-in-it", "", 0755);
    SHOW(execve("nothing-in-it", arguments, arguments));
    write_file("only-magic", "\177ELF", 0755);
    SHOW(execve("only-magic", arguments, arguments));
    SHOW(execve("not-executable/x", arguments, arguments));
    SHOW(syscall(SYS_execve, bad_address(), arguments, arguments));
    SHOW(syscall(SYS_execve, helper_path("exec_static"), bad_address(), arguments));
    SHOW(syscall(SYS_execve, helper_path("exec_static"), arguments, bad_address()));
    char* wild[] = {(char*)bad_address(), nullptr};
    SHOW(execve(helper_path("exec_static"), wild, arguments));
    SHOW(syscall(SYS_execveat, -1, "x", arguments, arguments, 0));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "nothing", arguments, arguments, 0));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "x", arguments, arguments, 0x8000));
}

CASE(exec_broken_elf) {
    COVERS_ERROR(execve);
    enter_scratch_directory();
    static char image[8192];
    int in = MUST(open(helper_path("exec_static"), O_RDONLY));
    MUST(read(in, image, sizeof image));
    auto run_with = [](const char* what, int offset, int value) {
        char saved = image[offset];
        image[offset] = (char)value;
        int fd = MUST(open("broken", O_WRONLY | O_CREAT | O_TRUNC, 0755));
        MUST(write(fd, image, sizeof image));
        close(fd);
        image[offset] = saved;
        pid_t pid = spawn([] {
            execl("./broken", "./broken", nullptr);
            return errno == ENOEXEC ? 1 : errno == ELIBBAD ? 2 : errno == EINVAL ? 3 : errno == EIO ? 4 : 5;
        });
        print("%s: %s\n", what, decode_status(wait_for(pid)));
    };
    run_with("other machine", 18, 40);
    run_with("object file", 16, 1);
    run_with("no program headers", 56, 0);
    run_with("header size", 54, 10);
}

CASE(large_arguments) {
    COVERS(execve);
    COVERS_ERROR(execve);
    static char argument[100001];
    memset(argument, 'a', sizeof argument - 1);
    show_child("eight of 100000 bytes", [] {
        char* arguments[12] = {(char*)self_path(), (char*)"--helper", (char*)"count_arguments"};
        for (int i = 3; i < 11; i++) arguments[i] = argument;
        execv(self_path(), arguments);
        return 99;
    });
    static char huge[140000];
    memset(huge, 'h', sizeof huge - 1);
    SHOW(execl(self_path(), self_path(), huge, nullptr));
    rlimit limit = {512 * 1024, 512 * 1024};
    MUST(setrlimit(RLIMIT_STACK, &limit));
    char* arguments[12] = {(char*)self_path()};
    for (int i = 1; i < 11; i++) arguments[i] = argument;
    SHOW(execv(self_path(), arguments));
}

HELPER(count_arguments) {
    size_t total = 0;
    for (int i = 1; i < argc; i++) total += strlen(argv[i]);
    print("%d arguments, %zu bytes\n", argc - 1, total);
    return 0;
}

CASE(exec_by_descriptor) {
    COVERS(execveat);
    int fd = MUST(open(helper_path("exec_static"), O_PATH | O_CLOEXEC));
    show_child("execveat", [=] {
        char* arguments[] = {(char*)"name", nullptr};
        syscall(SYS_execveat, fd, "", arguments, arguments + 1, AT_EMPTY_PATH);
        return 99;
    });
    char folder[512];
    snprintf(folder, sizeof folder, "%s/../helpers", self_directory());
    int directory = MUST(open(folder, O_PATH | O_DIRECTORY));
    show_child("relative to a directory", [=] {
        char* arguments[] = {(char*)"name", (char*)"x", nullptr};
        syscall(SYS_execveat, directory, "exec_static", arguments, arguments + 2, 0);
        return 99;
    });
}

CASE(vfork_and_exec) {
    COVERS(vfork);
    volatile int after = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        execl(helper_path("exec_static"), "exec_static", nullptr);
        _exit(99);
    }
    after = 1;
    print("parent runs %d, %s\n", after, decode_status(wait_for(pid)));
    pid = vfork();
    if (pid == 0) {
        execl("/nothing", "x", nullptr);
        _exit(errno == ENOENT ? 7 : 8);
    }
    print("failed exec: %s\n", decode_status(wait_for(pid)));
}

CASE(posix_spawn_with_actions) {
    COVERS(clone, execve);
    enter_scratch_directory();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "out", O_WRONLY | O_CREAT, 0600);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    char* arguments[] = {(char*)"exec_static", (char*)"spawned", nullptr};
    char* environment[] = {nullptr};
    pid_t pid = 0;
    print("%d\n", posix_spawn(&pid, helper_path("exec_static"), &actions, &attributes, arguments, environment));
    print("%s\n", decode_status(wait_for(pid)));
    char content[128] = "";
    int fd = MUST(open("out", O_RDONLY));
    MUST(read(fd, content, sizeof content - 1));
    print("%s", content);
    print("%s\n", errno_name(posix_spawn(&pid, "/nothing", nullptr, nullptr, arguments, environment)));
}

CASE(auxiliary_vector) {
    print("page size %lu\n", getauxval(AT_PAGESZ));
    CHECK(getauxval(AT_PHDR) != 0);
    CHECK(getauxval(AT_PHNUM) != 0);
    CHECK(getauxval(AT_ENTRY) != 0);
    CHECK(getauxval(AT_RANDOM) != 0);
    CHECK(getauxval(AT_SYSINFO_EHDR) != 0);
    CHECK(getauxval(AT_MINSIGSTKSZ) >= 2048);
    CHECK(strcmp((const char*)getauxval(AT_PLATFORM), "x86_64") == 0);
    print("uid %lu secure %lu clock %lu\n", getauxval(AT_UID), getauxval(AT_SECURE), getauxval(AT_CLKTCK));
    CHECK(strstr((const char*)getauxval(AT_EXECFN), "exec") != nullptr);
}

CASE(exec_keeps_what_posix_says) {
    show_child("exec", [] {
        MUST(chdir("/tmp"));
        umask(031);
        alarm(50);
        nice(3);
        char pid[16];
        snprintf(pid, sizeof pid, "%d", getpid());
        execl(self_path(), self_path(), "--helper", "kept_state", pid, nullptr);
        return 99;
    });
}

HELPER(kept_state) {
    char path[64];
    CHECK(getpid() == atoi(argv[1]));
    print("cwd %s umask %o nice %d alarm %s\n", getcwd(path, sizeof path), umask(0), nice(0),
          alarm(0) > 40 ? "kept" : "lost");
    return 0;
}

CASE(address_layout_is_random) {
    // Two runs of the same program differ in where stack and mappings are.
    unsigned long seen[2][2];
    for (auto& run : seen) {
        int fds[2];
        MUST(pipe(fds));
        wait_for(spawn([&] {
            dup2(fds[1], 9);
            execl(self_path(), self_path(), "--helper", "tell_addresses", nullptr);
            return 1;
        }));
        MUST(read(fds[0], run, sizeof run));
    }
    CHECK(seen[0][0] != seen[1][0]);
    CHECK(seen[0][1] != seen[1][1]);
}

HELPER(tell_addresses) {
    unsigned long here[2] = {(unsigned long)&here,
                             (unsigned long)mmap(nullptr, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    return write(9, here, sizeof here) == sizeof here ? 0 : 1;
}
