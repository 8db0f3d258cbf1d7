// Where things are in the machine's memory, and the table of parts in the boot sector.
#define START_INFO 0x90000     // with the command line behind it, to 0x9f000
#define KERNEL 0x100000        // the kernel's entry too (boot/kernel.ld)
#define IMAGE 0x4000000        // 64 MiB
#define PARTS 440
