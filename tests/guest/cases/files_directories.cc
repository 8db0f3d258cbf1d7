// Directories: reading, making, removing; working directory, root, device nodes.
#include <dirent.h>
#include <linux/openat2.h>
#include <sys/sysmacros.h>

#include "case.h"

static void make_file(const char* name) { close(MUST(open(name, O_WRONLY | O_CREAT, 0644))); }

CASE(mkdir_rmdir) {
    COVERS(mkdir, mkdirat, rmdir);
    COVERS_ERROR(mkdir, mkdirat, rmdir);
    enter_scratch_directory();
    SHOW(mkdir("d", 0755));
    SHOW(mkdir("d", 0755));
    SHOW(mkdir("nothing/d", 0755));
    SHOW(mkdirat(AT_FDCWD, "d/e", 0755));
    SHOW(mkdirat(-1, "f", 0755));
    SHOW(rmdir("d"));
    SHOW(rmdir("d/e"));
    SHOW(rmdir("d/"));
    SHOW(rmdir("d"));
    make_file("file");
    SHOW(rmdir("file"));
    SHOW(mkdir("file/d", 0755));
    SHOW(rmdir("."));
    SHOW(mkdir("/", 0755));
    SHOW(rmdir("/proc"));
    SHOW(syscall(SYS_mkdir, bad_address(), 0755));
    SHOW(syscall(SYS_rmdir, bad_address()));
}

CASE(directory_link_counts) {
    enter_scratch_directory();
    struct stat info;
    MUST(mkdir("a", 0755));
    MUST(mkdir("a/b", 0755));
    MUST(mkdir("a/c", 0755));
    MUST(stat("a", &info));
    print("%lu\n", (unsigned long)info.st_nlink);
    MUST(rmdir("a/c"));
    MUST(rename("a/b", "b"));
    MUST(stat("a", &info));
    print("%lu\n", (unsigned long)info.st_nlink);
}

static int by_name(const void* a, const void* b) { return strcmp(*(char**)a, *(char**)b); }

static void list(const char* path) {
    DIR* directory = opendir(path);
    if (!directory) {
        print("opendir: %s\n", errno_name(errno));
        return;
    }
    char* names[300];
    int count = 0;
    while (dirent* entry = readdir(directory)) {
        char line[300];
        snprintf(line, sizeof line, "%s %d", entry->d_name, entry->d_type);
        if (count < 300) names[count++] = strdup(line);
    }
    closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    for (int i = 0; i < count; i++) print("%s\n", names[i]);
}

CASE(readdir_lists_all) {
    COVERS(getdents64, openat);
    enter_scratch_directory();
    make_file("file");
    MUST(mkdir("directory", 0755));
    MUST(symlink("x", "link"));
    MUST(mkfifo("fifo", 0600));
    list(".");
    SHOW(opendir("nothing") != nullptr);
}

CASE(readdir_large_directory) {
    COVERS(getdents64);
    enter_scratch_directory();
    for (int i = 0; i < 1000; i++) {
        char name[64];
        snprintf(name, sizeof name, "a-rather-long-file-name-number-%d", i);
        make_file(name);
    }
    DIR* directory = opendir(".");
    int count = 0;
    long sum = 0;
    while (dirent* entry = readdir(directory)) {
        count++;
        if (entry->d_name[0] == 'a') sum += atoi(strrchr(entry->d_name, '-') + 1);
    }
    print("%d %ld\n", count, sum);
    rewinddir(directory);
    int removed = 0;
    while (dirent* entry = readdir(directory))
        if (entry->d_name[0] == 'a') removed += unlink(entry->d_name) == 0;
    print("removed %d\n", removed);
    list(".");
}

CASE(getdents_errors) {
    COVERS_ERROR(getdents64, getdents);
    COVERS(getdents);
    enter_scratch_directory();
    char buffer[1024];
    int fd = MUST(open(".", O_RDONLY | O_DIRECTORY));
    SHOW(syscall(SYS_getdents64, -1, buffer, sizeof buffer));
    SHOW(syscall(SYS_getdents64, 0, buffer, sizeof buffer));
    SHOW(syscall(SYS_getdents64, fd, buffer, 4));
    SHOW(syscall(SYS_getdents64, fd, bad_address(), sizeof buffer));
    CHECK(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
    SHOW(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    SHOW(lseek(fd, 0, SEEK_SET));
    CHECK(syscall(SYS_getdents, fd, buffer, sizeof buffer) > 0);
    SHOW(syscall(SYS_getdents, -1, buffer, sizeof buffer));
    MUST(mkdir("d", 0755));
    fd = MUST(open("d", O_RDONLY));
    MUST(rmdir("d"));
    SHOW(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
}

CASE(working_directory) {
    COVERS(chdir, fchdir, getcwd);
    COVERS_ERROR(chdir, fchdir, getcwd);
    enter_scratch_directory();
    MUST(mkdir("d", 0755));
    MUST(symlink("d", "link"));
    make_file("file");
    char top[256], path[256];
    MUST(getcwd(top, sizeof top) ? 0 : -1);
    auto relative = [&] {
        if (!getcwd(path, sizeof path)) return errno_name(errno);
        return (const char*)(strncmp(path, top, strlen(top)) == 0 ? path + strlen(top) : path);
    };
    int fd = MUST(open(".", O_RDONLY));
    SHOW(chdir("link"));
    print("\"%s\"\n", relative());
    SHOW(chdir("nothing"));
    SHOW(chdir("../file"));
    SHOW(syscall(SYS_chdir, bad_address()));
    SHOW(fchdir(fd));
    print("\"%s\"\n", relative());
    SHOW(fchdir(-1));
    SHOW(fchdir(MUST(open("file", O_RDONLY))));
    SHOW(syscall(SYS_getcwd, path, 3));
    SHOW(syscall(SYS_getcwd, bad_address(), 256));
    MUST(chdir("d"));
    MUST(rmdir("../d"));
    print("%s\n", relative());
    SHOW(open("x", O_RDWR | O_CREAT, 0600));
    SHOW(chdir(".."));
    print("\"%s\"\n", relative());
}

CASE(at_calls_use_their_directory) {
    COVERS(openat, mkdirat, newfstatat, unlinkat, renameat, readlinkat, symlinkat);
    enter_scratch_directory();
    MUST(mkdir("d", 0755));
    int fd = MUST(open("d", O_RDONLY | O_DIRECTORY));
    MUST(chdir("/"));
    SHOW_OK(openat(fd, "file", O_RDWR | O_CREAT, 0600));
    SHOW(mkdirat(fd, "sub", 0755));
    SHOW(symlinkat("file", fd, "link"));
    SHOW(renameat(fd, "file", fd, "sub/file"));
    struct stat info;
    SHOW(fstatat(fd, "sub/file", &info, 0));
    SHOW(unlinkat(fd, "sub/file", 0));
    SHOW(unlinkat(fd, "sub", AT_REMOVEDIR));
    SHOW(access("/tmp/sub", F_OK));
    SHOW_OK(openat(fd, "/dev/null", O_RDONLY));
}

CASE(change_root) {
    COVERS(chroot);
    COVERS_ERROR(chroot);
    enter_scratch_directory();
    make_file("inside");
    SHOW(chroot("nothing"));
    SHOW(chroot("inside"));
    SHOW(chroot("."));
    SHOW(chdir("/"));
    SHOW(access("/inside", F_OK));
    SHOW(access("/../../inside", F_OK));
    SHOW(access("/tmp", F_OK));
    char path[64];
    print("%s\n", getcwd(path, sizeof path));
}

CASE(device_nodes) {
    COVERS(mknod, mknodat);
    COVERS_ERROR(mknodat);
    enter_scratch_directory();
    SHOW(mknod("regular", S_IFREG | 0600, 0));
    SHOW(mknod("socket", S_IFSOCK | 0600, 0));
    SHOW(mknod("directory", S_IFDIR | 0600, 0));
    SHOW(mknod("regular", S_IFREG | 0600, 0));
    SHOW(open("socket", O_RDWR));
    struct stat info;
    MUST(stat("/dev/null", &info));
    CHECK(S_ISCHR(info.st_mode));
    print("%u %u\n", major(info.st_rdev), minor(info.st_rdev));
}

CASE(deep_paths) {
    enter_scratch_directory();
    int made = 0;
    while (made < 100 && mkdir("directory", 0755) == 0 && chdir("directory") == 0) made++;
    print("made %d\n", made);
    char path[4096];
    CHECK(getcwd(path, sizeof path) != nullptr && strlen(path) > 900);
    struct stat info;
    SHOW(stat(path, &info));
}

CASE(concurrent_creation_has_one_winner) {
    enter_scratch_directory();
    int winners = 0;
    pid_t pids[4];
    for (int child = 0; child < 4; child++)
        pids[child] = spawn([] {
            int won = 0;
            for (int i = 0; i < 50; i++) {
                char name[16];
                snprintf(name, sizeof name, "f%d", i);
                won += open(name, O_RDWR | O_CREAT | O_EXCL, 0600) >= 0;
            }
            return won;
        });
    for (pid_t pid : pids) winners += WEXITSTATUS(wait_for(pid));
    print("winners %d\n", winners);
}

CASE(openat2_resolution) {
    COVERS(openat2);
    COVERS_ERROR(openat2);
    enter_scratch_directory();
    make_file("file");
    MUST(symlink("file", "link"));
    open_how how = {};
    how.flags = O_RDONLY;
    SHOW_OK(syscall(SYS_openat2, AT_FDCWD, "link", &how, sizeof how));
    how.resolve = RESOLVE_NO_SYMLINKS;
    SHOW_OK(syscall(SYS_openat2, AT_FDCWD, "link", &how, sizeof how));
    how.resolve = RESOLVE_BENEATH;
    SHOW_OK(syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof how));
    how.resolve = 0x8000;
    SHOW_OK(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof how));
}
