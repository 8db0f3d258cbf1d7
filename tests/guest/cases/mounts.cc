// Mounting, and what only the machine's owner may call.
#include <linux/reboot.h>
#include <sys/mount.h>

#include "case.h"

CASE(mount_and_unmount) {
    COVERS(mount, umount2);
    enter_scratch_directory();
    MUST(mkdir("m", 0755));
    close(MUST(open("m/below", O_WRONLY | O_CREAT, 0600)));
    SHOW(mount("name", "m", "tmpfs", 0, "size=1m,mode=0750"));
    struct stat info;
    MUST(stat("m", &info));
    print("mode %o\n", info.st_mode);
    SHOW(access("m/below", F_OK));
    int fd = MUST(open("m/file", O_RDWR | O_CREAT, 0600));
    SHOW(write(fd, "text", 4));
    SHOW(rename("m/file", "moved"));
    SHOW(link("m/file", "linked"));
    SHOW(rmdir("m"));
    SHOW(umount2("m", 0));
    SHOW(umount2("m", MNT_DETACH));
    SHOW(access("m/file", F_OK));
    SHOW(access("m/below", F_OK));
    char buffer[8] = "";
    SHOW(pread(fd, buffer, 7, 0));
    print("%s\n", buffer);
}

CASE(mount_errors) {
    COVERS_ERROR(mount, umount2);
    enter_scratch_directory();
    MUST(chmod(".", 0755));
    MUST(mkdir("m", 0755));
    close(MUST(open("file", O_WRONLY | O_CREAT, 0600)));
    SHOW(mount("name", "m", "no-such-type", 0, nullptr));
    SHOW(mount("name", "nothing", "tmpfs", 0, nullptr));
    SHOW(mount("name", "file", "tmpfs", 0, nullptr));
    SHOW(syscall(SYS_mount, "name", bad_address(), "tmpfs", 0, nullptr));
    SHOW(umount2("m", 0));
    SHOW(umount2("nothing", 0));
    SHOW(umount2("m", 0x1000));
    show_child("user", [] {
        MUST(setuid(1000));
        SHOW(mount("name", "m", "tmpfs", 0, nullptr));
        SHOW(umount2("m", 0));
        return 0;
    });
}

CASE(owner_only_calls) {
    COVERS_ERROR(reboot, syslog);
    SHOW(syscall(SYS_reboot, 1, 2, LINUX_REBOOT_CMD_POWER_OFF, nullptr));
    SHOW(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, 0x1234, nullptr));
    SHOW(syscall(SYS_syslog, 99, nullptr, 0));
    SHOW(syscall(SYS_syslog, 3, nullptr, 10));
    SHOW(syscall(SYS_syslog, 3, bad_address(), -1));
    show_child("user", [] {
        MUST(setuid(1000));
        SHOW(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, nullptr));
        return 0;
    });
}

CASE(kernel_log_buffer) {
    COVERS(syslog);
    CHECK(syscall(SYS_syslog, 10, nullptr, 0) > 0);
}

CASE(reboot_switches) {
    COVERS(reboot);
    SHOW(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, nullptr));
}

CASE(change_mode_without_following) {
    COVERS(fchmodat2);
    COVERS_ERROR(fchmodat2);
    enter_scratch_directory();
    close(MUST(open("file", O_WRONLY | O_CREAT, 0600)));
    MUST(symlink("file", "link"));
    SHOW(syscall(452, AT_FDCWD, "file", 0640, 0));
    SHOW(syscall(452, AT_FDCWD, "nothing", 0640, 0));
    SHOW(syscall(452, AT_FDCWD, "link", 0640, AT_SYMLINK_NOFOLLOW));
    SHOW(syscall(452, AT_FDCWD, "file", 0640, 0x8000));
}
