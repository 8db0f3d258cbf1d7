// Users, groups, capabilities, permission checks.
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#include "case.h"

static void show_ids() {
    uid_t r, e, s;
    gid_t rg, eg, sg;
    getresuid(&r, &e, &s);
    getresgid(&rg, &eg, &sg);
    print("uid %u %u %u gid %u %u %u\n", r, e, s, rg, eg, sg);
}

CASE(root_by_default) {
    COVERS(getuid, geteuid, getgid, getegid, getresuid, getresgid);
    COVERS_ERROR(getresuid, getresgid);
    NO_ERROR_PATH(getuid, geteuid, getgid, getegid);
    SHOW(getuid());
    SHOW(geteuid());
    SHOW(getgid());
    SHOW(getegid());
    show_ids();
    SHOW(syscall(SYS_getresuid, bad_address(), bad_address(), bad_address()));
    SHOW(syscall(SYS_getresgid, bad_address(), bad_address(), bad_address()));
}

CASE(setuid_drops_for_good) {
    COVERS(setuid, setgid);
    COVERS_ERROR(setuid, setgid);
    show_child("child", [] {
        SHOW(setgid(100));
        SHOW(setuid(1000));
        show_ids();
        SHOW(setuid(0));
        SHOW(setgid(0));
        SHOW(setuid(1000));
        return 0;
    });
    SHOW(syscall(SYS_setuid, -1));
    SHOW(syscall(SYS_setgid, -1));
}

CASE(setresuid_and_setreuid) {
    COVERS(setresuid, setresgid, setreuid, setregid);
    COVERS_ERROR(setresuid, setresgid, setreuid, setregid);
    show_child("child", [] {
        SHOW(setresgid(10, 20, 30));
        SHOW(setregid(-1, 10));
        SHOW(setresuid(1, 2, 3));
        show_ids();
        SHOW(setresuid(-1, 3, -1));
        show_ids();
        SHOW(setresuid(4, -1, -1));
        SHOW(setresgid(4, -1, -1));
        SHOW(setreuid(-1, 1));
        show_ids();
        SHOW(setreuid(0, 0));
        SHOW(setregid(0, 0));
        return 0;
    });
    show_child("child", [] {
        SHOW(setreuid(5, 6));
        show_ids();
        return 0;
    });
}

CASE(saved_uid_restores) {
    show_child("child", [] {
        SHOW(seteuid(1000));
        show_ids();
        SHOW(seteuid(0));
        show_ids();
        return 0;
    });
}

CASE(supplementary_groups) {
    COVERS(setgroups, getgroups);
    COVERS_ERROR(setgroups, getgroups);
    gid_t groups[4] = {7, 5, 6};
    SHOW(setgroups(3, groups));
    SHOW(getgroups(0, nullptr));
    gid_t got[8] = {};
    SHOW(getgroups(8, got));
    print("%u %u %u\n", got[0], got[1], got[2]);
    SHOW(getgroups(1, got));
    SHOW(syscall(SYS_getgroups, 8, bad_address()));
    SHOW(syscall(SYS_setgroups, 3, bad_address()));
    SHOW(syscall(SYS_setgroups, 70000, groups));
    show_child("without privilege", [&] {
        MUST(setuid(1000));
        SHOW(setgroups(1, groups));
        return 0;
    });
}

CASE(file_permissions_are_checked) {
    COVERS_ERROR(openat, access, chmod, chown, unlink, mkdir);
    enter_scratch_directory();
    close(MUST(open("secret", O_RDWR | O_CREAT, 0600)));
    close(MUST(open("readable", O_RDWR | O_CREAT, 0644)));
    close(MUST(open("group", O_RDWR | O_CREAT, 0640)));
    MUST(chown("group", 0, 50));
    MUST(mkdir("closed", 0700));
    close(MUST(open("closed/file", O_RDWR | O_CREAT, 0644)));
    MUST(chmod(".", 0755));
    show_child("user", [] {
        gid_t groups[1] = {50};
        MUST(setgroups(1, groups));
        MUST(setgid(100));
        MUST(setuid(1000));
        SHOW(open("secret", O_RDONLY));
        SHOW_OK(open("readable", O_RDONLY));
        SHOW(open("readable", O_WRONLY));
        SHOW_OK(open("group", O_RDONLY));
        SHOW(open("group", O_RDWR));
        SHOW(open("closed/file", O_RDONLY));
        SHOW(access("secret", R_OK));
        SHOW(chmod("readable", 0777));
        SHOW(chown("readable", 1000, 100));
        SHOW(unlink("readable"));
        SHOW(mkdir("new", 0755));
        SHOW(rename("readable", "renamed"));
        SHOW(chdir("closed"));
        return 0;
    });
}

CASE(sticky_directory) {
    enter_scratch_directory();
    MUST(chmod(".", 01777));
    close(MUST(open("roots", O_RDWR | O_CREAT, 0666)));
    show_child("user", [] {
        MUST(setuid(1000));
        SHOW(unlink("roots"));
        SHOW_OK(open("own", O_RDWR | O_CREAT, 0600));
        SHOW(unlink("own"));
        return 0;
    });
}

CASE(group_inheritance) {
    enter_scratch_directory();
    MUST(mkdir("d", 0755));
    MUST(chown("d", 0, 77));
    MUST(chmod("d", 02755));
    close(MUST(open("d/file", O_RDWR | O_CREAT, 0644)));
    MUST(mkdir("d/sub", 0755));
    struct stat info;
    MUST(stat("d/file", &info));
    print("file group %u\n", info.st_gid);
    MUST(stat("d/sub", &info));
    print("directory group %u mode %o\n", info.st_gid, info.st_mode);
}

CASE(kill_needs_permission) {
    COVERS_ERROR(kill);
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    show_child("user", [=] {
        MUST(setuid(1000));
        SHOW(kill(pid, SIGTERM));
        SHOW(kill(pid, 0));
        SHOW(kill(getpid(), 0));
        return 0;
    });
    kill(pid, SIGKILL);
    wait_for(pid);
}

CASE(capabilities) {
    COVERS(capget, capset);
    COVERS_ERROR(capget, capset);
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    SHOW(syscall(SYS_capget, &header, data));
    CHECK(data[0].effective & (1 << CAP_CHOWN));
    show_child("user", [&] {
        MUST(setuid(1000));
        SHOW(syscall(SYS_capget, &header, data));
        print("effective %x\n", data[0].effective);
        data[0].effective = data[0].permitted = 1;
        SHOW(syscall(SYS_capset, &header, data));
        return 0;
    });
    SHOW(syscall(SYS_capset, &header, data));
    header.version = 1234;
    SHOW(syscall(SYS_capget, &header, data));
    SHOW(syscall(SYS_capget, bad_address(), data));
    SHOW(prctl(PR_CAPBSET_READ, CAP_CHOWN));
    SHOW(prctl(PR_CAPBSET_READ, 999));
    SHOW(prctl(PR_SET_KEEPCAPS, 1));
    SHOW(prctl(PR_GET_KEEPCAPS));
}

CASE(file_system_ids) {
    COVERS(setfsuid, setfsgid);
    NO_ERROR_PATH(setfsuid, setfsgid);
    show_child("child", [] {
        SHOW(setfsuid(5));
        SHOW(setfsuid(-1));
        SHOW(setfsgid(6));
        SHOW(setfsgid(-1));
        return 0;
    });
}

CASE(setuid_program_changes_user) {
    COVERS(execve);
    enter_scratch_directory();
    int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open("program", O_WRONLY | O_CREAT, 0755));
    struct stat info;
    MUST(fstat(in, &info));
    off_t offset = 0;
    while (offset < info.st_size && syscall(SYS_sendfile, out, in, &offset, info.st_size) > 0) {
    }
    MUST(fchmod(out, 06755));
    MUST(fchown(out, 0, 0));
    MUST(fchmod(out, 06755));
    close(out);
    MUST(chmod(".", 0755));
    show_child("set-user-id", [] {
        MUST(setgid(100));
        MUST(setuid(1000));
        execl("./program", "./program", "--helper", "show_user", nullptr);
        print("exec: %s\n", errno_name(errno));
        return 1;
    });
}

HELPER(show_user) {
    show_ids();
    return 0;
}
