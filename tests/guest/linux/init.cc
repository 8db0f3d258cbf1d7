// The first process of the Linux guest: sets up what Iso-UniK's guest has from the start (/proc, /sys, /dev,
// /tmp, loopback), runs the program named after "--" on the kernel's command line with its standard output on
// the first serial port, prints its status, powers off.
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void mount_at(const char* type, const char* path, const char* options = nullptr) {
    mkdir(path, 0755);
    if (mount(type, path, type, 0, options) < 0) perror(path);
}

static void bring_loopback_up() {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request = {};
    strcpy(request.ifr_name, "lo");
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) perror("lo");
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) perror("lo");
    close(fd);
}

static void open_serial() {
    int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    if (fd < 0) return;
    termios mode;
    tcgetattr(fd, &mode);
    cfmakeraw(&mode);
    tcsetattr(fd, TCSANOW, &mode);
    for (int i = 0; i < 3; i++) dup2(fd, i);
    if (fd > 2) close(fd);
}

int main(int argc, char** argv) {
    unsigned long long start = __builtin_ia32_rdtsc();
    mount_at("devtmpfs", "/dev");
    open_serial();
    mount_at("proc", "/proc");
    mount_at("sysfs", "/sys");
    mount_at("tmpfs", "/tmp", "mode=1777");
    mount_at("tmpfs", "/dev/shm", "mode=1777");
    mount_at("devpts", "/dev/pts", "ptmxmode=0666");
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    bring_loopback_up();
    sethostname("isounik", 7);

    // With a counter that starts at reset: how long it took to get here.
    printf("@@ tsc %llu\n", start);
    printf("@@ begin\n");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        // The kernel passes what stands after "--" as arguments of init.
        if (argc > 1) execv(argv[1], argv + 1);
        perror(argc > 1 ? argv[1] : "no program after --");
        _exit(127);
    }
    int status = 0;
    for (pid_t ended; (ended = wait(&status)) != pid && ended > 0;) {
    }
    printf("@@ end 0x%x\n", status);
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
    reboot(RB_POWER_OFF);
    return 0;
}
