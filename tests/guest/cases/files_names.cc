// Names: link, rename, unlink, symbolic links, stat, modes, times.
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <utime.h>

#include "case.h"

static void make_file(const char* name, const char* content = "") {
    int fd = MUST(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    MUST(write(fd, content, strlen(content)));
    close(fd);
}

CASE(stat_fields) {
    COVERS(stat, lstat, fstat, newfstatat, statx);
    enter_scratch_directory();
    make_file("file", "12345");
    MUST(symlink("file", "link"));
    struct stat info;
    SHOW(syscall(SYS_stat, "file", &info));
    print("mode %o size %ld links %lu uid %u gid %u block %ld\n", info.st_mode, (long)info.st_size,
          (unsigned long)info.st_nlink, info.st_uid, info.st_gid, (long)info.st_blksize);
    SHOW(syscall(SYS_lstat, "link", &info));
    print("mode %o size %ld\n", info.st_mode, (long)info.st_size);
    SHOW(stat("link", &info));
    print("mode %o\n", info.st_mode);
    int fd = MUST(open("file", O_RDONLY));
    struct stat other;
    SHOW(fstat(fd, &other));
    CHECK(info.st_ino == other.st_ino && info.st_dev == other.st_dev);
    SHOW(fstatat(AT_FDCWD, "link", &info, AT_SYMLINK_NOFOLLOW));
    print("mode %o\n", info.st_mode);
    SHOW(fstatat(fd, "", &info, AT_EMPTY_PATH));
    CHECK(info.st_ino == other.st_ino);
    struct statx extended;
    SHOW(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &extended));
    print("mode %o size %ld\n", extended.stx_mode, (long)extended.stx_size);
}

CASE(stat_errors) {
    COVERS_ERROR(stat, lstat, fstat, newfstatat, statx);
    enter_scratch_directory();
    make_file("file");
    struct stat info;
    struct statx extended;
    SHOW(syscall(SYS_stat, "nothing", &info));
    SHOW(syscall(SYS_lstat, "file/x", &info));
    SHOW(syscall(SYS_stat, "file", bad_address()));
    SHOW(syscall(SYS_fstat, -1, &info));
    SHOW(syscall(SYS_fstat, 0, bad_address()));
    SHOW(fstatat(-1, "file", &info, 0));
    SHOW(fstatat(AT_FDCWD, "file", &info, 0x8000));
    SHOW(fstatat(AT_FDCWD, "", &info, 0));
    SHOW(statx(AT_FDCWD, "nothing", 0, STATX_BASIC_STATS, &extended));
    SHOW(statx(AT_FDCWD, "file", 0, 0x80000000, &extended));
    SHOW(syscall(SYS_statx, AT_FDCWD, "file", 0, 0, bad_address()));
}

CASE(access_calls) {
    COVERS(access, faccessat, faccessat2);
    COVERS_ERROR(access, faccessat, faccessat2);
    enter_scratch_directory();
    make_file("file");
    SHOW(access("file", R_OK | W_OK));
    SHOW(access("file", X_OK));
    SHOW(access("nothing", F_OK));
    SHOW(access("file", 99));
    SHOW(syscall(SYS_access, bad_address(), F_OK));
    SHOW(faccessat(AT_FDCWD, "file", F_OK, 0));
    SHOW(faccessat(AT_FDCWD, "file", R_OK, AT_EACCESS));
    SHOW(faccessat(-1, "file", F_OK, 0));
    SHOW(syscall(SYS_faccessat, -1, "file", F_OK));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "file", F_OK, 0x8000));
}

CASE(link_and_unlink) {
    COVERS(link, linkat, unlink, unlinkat);
    COVERS_ERROR(link, linkat, unlink, unlinkat);
    enter_scratch_directory();
    make_file("file", "content");
    SHOW(link("file", "other"));
    struct stat info;
    MUST(stat("file", &info));
    print("links %lu\n", (unsigned long)info.st_nlink);
    SHOW(unlink("file"));
    MUST(stat("other", &info));
    print("links %lu size %ld\n", (unsigned long)info.st_nlink, (long)info.st_size);
    SHOW(linkat(AT_FDCWD, "other", AT_FDCWD, "third", 0));
    SHOW(link("other", "third"));
    SHOW(link("nothing", "x"));
    SHOW(link(".", "x"));
    SHOW(link("/dev/null", "x"));
    SHOW(linkat(-1, "other", AT_FDCWD, "x", 0));
    SHOW(linkat(AT_FDCWD, "other", AT_FDCWD, "x", 0x8000));
    SHOW(unlink("nothing"));
    SHOW(unlink("."));
    SHOW(unlink("other/x"));
    SHOW(unlink(""));
    MUST(mkdir("directory", 0755));
    SHOW(unlink("directory"));
    SHOW(unlinkat(AT_FDCWD, "directory", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "other", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "other", 0));
    SHOW(unlinkat(-1, "third", 0));
    SHOW(unlinkat(AT_FDCWD, "third", 0x8000));
}

CASE(unlinked_file_lives_while_open) {
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(write(fd, "alive", 5));
    SHOW(unlink("file"));
    struct stat info;
    SHOW(fstat(fd, &info));
    print("links %lu\n", (unsigned long)info.st_nlink);
    char buffer[8] = "";
    SHOW(pread(fd, buffer, 5, 0));
    print("%s\n", buffer);
    SHOW(access("file", F_OK));
}

CASE(rename_files) {
    COVERS(rename, renameat, renameat2);
    COVERS_ERROR(rename, renameat, renameat2);
    enter_scratch_directory();
    make_file("a", "aaa");
    make_file("b", "b");
    SHOW(rename("a", "b"));
    struct stat info;
    MUST(stat("b", &info));
    print("size %ld\n", (long)info.st_size);
    SHOW(rename("a", "c"));
    MUST(mkdir("d", 0755));
    MUST(mkdir("d/e", 0755));
    SHOW(rename("b", "d"));
    SHOW(rename("d", "b"));
    SHOW(rename("d", "d/e/f"));
    SHOW(renameat(AT_FDCWD, "b", AT_FDCWD, "d/b"));
    MUST(mkdir("g", 0755));
    SHOW(rename("g", "d"));
    SHOW(rename("d", "g"));
    SHOW(access("g/b", F_OK));
    make_file("h");
    SHOW(renameat2(AT_FDCWD, "h", AT_FDCWD, "g/b", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "h", AT_FDCWD, "g/b", RENAME_EXCHANGE));
    MUST(stat("h", &info));
    print("size %ld\n", (long)info.st_size);
    SHOW(renameat2(AT_FDCWD, "h", AT_FDCWD, "i", 0x80));
    SHOW(renameat(-1, "h", AT_FDCWD, "i"));
    SHOW(rename("h", "h"));
    SHOW(rename(".", "x"));
    SHOW(rename("h", ""));
}

CASE(symbolic_links) {
    COVERS(symlink, symlinkat, readlink, readlinkat);
    COVERS_ERROR(symlink, symlinkat, readlink, readlinkat);
    enter_scratch_directory();
    SHOW(symlink("some/target", "link"));
    SHOW(symlink("other", "link"));
    SHOW(symlink("", "empty"));
    SHOW(symlinkat("x", AT_FDCWD, "second"));
    SHOW(symlinkat("x", -1, "third"));
    char buffer[64] = "";
    SHOW(readlink("link", buffer, sizeof buffer));
    print("%s\n", buffer);
    SHOW(readlink("link", buffer, 4));
    SHOW(readlink("link", buffer, 0));
    SHOW(readlink("nothing", buffer, 64));
    SHOW(readlink(".", buffer, 64));
    SHOW(readlinkat(AT_FDCWD, "second", buffer, 64));
    SHOW(readlinkat(-1, "second", buffer, 64));
    SHOW(syscall(SYS_readlink, "link", bad_address(), 64));
}

CASE(symbolic_link_chains) {
    enter_scratch_directory();
    make_file("link0", "deep");
    for (int i = 1; i <= 42; i++) {
        char from[16], to[16];
        snprintf(to, sizeof to, "link%d", i - 1);
        snprintf(from, sizeof from, "link%d", i);
        MUST(symlink(to, from));
    }
    SHOW_OK(open("link40", O_RDONLY));
    SHOW_OK(open("link41", O_RDONLY));
    MUST(mkdir("d", 0755));
    MUST(symlink("d", "dl"));
    make_file("d/f");
    SHOW(access("dl/f", F_OK));
    SHOW(access("dl/../link0", F_OK));
    SHOW(access("./././d/../d/./f", F_OK));
    SHOW(access("d/f/..", F_OK));
    SHOW(access("link0/.", F_OK));
    SHOW(access("/..//../tmp/.", F_OK));
}

CASE(modes_and_umask) {
    COVERS(chmod, fchmod, fchmodat, umask);
    COVERS_ERROR(chmod, fchmod, fchmodat);
    NO_ERROR_PATH(umask);
    enter_scratch_directory();
    print("%o\n", umask(027));
    print("%o\n", umask(027));
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0666));
    MUST(mkdir("d", 0777));
    struct stat info;
    MUST(stat("file", &info));
    print("file %o\n", info.st_mode);
    MUST(stat("d", &info));
    print("directory %o\n", info.st_mode);
    SHOW(chmod("file", 04751));
    MUST(stat("file", &info));
    print("%o\n", info.st_mode);
    SHOW(fchmod(fd, 0600));
    SHOW(fchmodat(AT_FDCWD, "file", 0640, 0));
    MUST(stat("file", &info));
    print("%o\n", info.st_mode);
    SHOW(chmod("nothing", 0600));
    SHOW(fchmod(-1, 0600));
    SHOW(fchmodat(-1, "file", 0600, 0));
}

CASE(owners) {
    COVERS(chown, lchown, fchown, fchownat);
    COVERS_ERROR(chown, lchown, fchown, fchownat);
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 06755));
    MUST(symlink("file", "link"));
    struct stat info;
    MUST(fchmod(fd, 06755));
    SHOW(chown("file", 10, 20));
    MUST(stat("file", &info));
    print("%u %u %o\n", info.st_uid, info.st_gid, info.st_mode);
    SHOW(lchown("link", 1, 2));
    SHOW(fchown(fd, -1, 30));
    MUST(stat("file", &info));
    print("%u %u\n", info.st_uid, info.st_gid);
    MUST(lstat("link", &info));
    print("%u %u\n", info.st_uid, info.st_gid);
    SHOW(fchownat(AT_FDCWD, "link", 5, 6, AT_SYMLINK_NOFOLLOW));
    SHOW(chown("nothing", 1, 1));
    SHOW(lchown("nothing", 1, 1));
    SHOW(fchown(-1, 1, 1));
    SHOW(fchownat(AT_FDCWD, "file", 1, 1, 0x8000));
}

CASE(times) {
    COVERS(utimensat, utime, utimes, futimesat);
    COVERS_ERROR(utimensat, utime, utimes);
    enter_scratch_directory();
    make_file("file");
    timespec stamps[2] = {{1000, 111}, {2000, 222}};
    struct stat info;
    SHOW(utimensat(AT_FDCWD, "file", stamps, 0));
    MUST(stat("file", &info));
    print("%ld.%ld %ld.%ld\n", (long)info.st_atim.tv_sec, info.st_atim.tv_nsec, (long)info.st_mtim.tv_sec,
          info.st_mtim.tv_nsec);
    stamps[0].tv_nsec = UTIME_OMIT;
    stamps[1].tv_nsec = UTIME_NOW;
    SHOW(utimensat(AT_FDCWD, "file", stamps, 0));
    MUST(stat("file", &info));
    print("%ld, now %s\n", (long)info.st_atim.tv_sec, info.st_mtim.tv_sec > 1000000 ? "yes" : "no");
    int fd = MUST(open("file", O_RDWR));
    SHOW(futimens(fd, nullptr));
    stamps[0].tv_nsec = 1000000000;
    SHOW(utimensat(AT_FDCWD, "file", stamps, 0));
    SHOW(utimensat(AT_FDCWD, "nothing", nullptr, 0));
    utimbuf both = {30, 40};
    SHOW(syscall(SYS_utime, "file", &both));
    MUST(stat("file", &info));
    print("%ld %ld\n", (long)info.st_atime, (long)info.st_mtime);
    timeval old[2] = {{50, 0}, {60, 5}};
    SHOW(syscall(SYS_utimes, "file", old));
    SHOW(syscall(SYS_futimesat, AT_FDCWD, "file", old));
    SHOW(syscall(SYS_utime, "nothing", &both));
    SHOW(syscall(SYS_utimes, "nothing", old));
}

CASE(writing_updates_times) {
    enter_scratch_directory();
    make_file("file");
    timespec stamps[2] = {{1000, 0}, {1000, 0}};
    MUST(utimensat(AT_FDCWD, "file", stamps, 0));
    int fd = MUST(open("file", O_WRONLY));
    MUST(write(fd, "x", 1));
    struct stat info;
    MUST(stat("file", &info));
    CHECK(info.st_mtime > 1000);
    CHECK(info.st_ctime > 1000);
}

CASE(file_system_state) {
    COVERS(statfs, fstatfs);
    COVERS_ERROR(statfs, fstatfs);
    struct statfs info;
    SHOW(statfs("/tmp", &info));
    print("type %lx, block %ld, name %ld\n", (unsigned long)info.f_type, (long)info.f_bsize, (long)info.f_namelen);
    SHOW(statfs("/proc", &info));
    print("type %lx\n", (unsigned long)info.f_type);
    SHOW(fstatfs(0, &info));
    SHOW(statfs("/nothing", &info));
    SHOW(fstatfs(-1, &info));
    SHOW(syscall(SYS_statfs, "/tmp", bad_address()));
}

CASE(paths_that_end_with_the_memory) {
    // Paths of all lengths whose last byte is the last one of the mapped memory.
    COVERS(access);
    char* page = (char*)MUST(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(mprotect(page + 4096, 4096, PROT_NONE));
    int found = 0, faults = 0;
    for (int length = 1; length <= 20; length++) {
        char* path = page + 4096 - length - 1;
        memset(path, '/', length);
        path[length] = 0;
        found += access(path, F_OK) == 0;
        path[length] = '/';
        faults += access(path, F_OK) == -1 && errno == EFAULT;
    }
    print("found %d, faults %d\n", found, faults);
    // A path that crosses from one page to the next.
    MUST(mprotect(page + 4096, 4096, PROT_READ | PROT_WRITE));
    int across = 0;
    for (int before = 1; before < 10; before++) across += access(strcpy(page + 4096 - before, "/dev/../dev/null"), F_OK) == 0;
    print("across pages %d\n", across);
}

// O_TRUNC with O_RDONLY once cut the file of a running program.
CASE(running_program_is_not_cut) {
    COVERS_ERROR(open, truncate);
    SHOW(open(self_path(), O_RDONLY | O_TRUNC));
    SHOW(open(self_path(), O_WRONLY));
    SHOW(truncate(self_path(), 0));
}
