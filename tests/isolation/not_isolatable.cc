// Nothing that can run isolated: linked with an executable stack, or with HIDDEN_WRPKRU holding that instruction where
// nothing proves that there is code. Says what it runs as.
#include <stdio.h>
#include <string.h>

#ifdef HIDDEN_WRPKRU
asm(".text\n.byte 0x0f, 0x01, 0xef\n");
#endif

int main() {
    char line[256];
    FILE* file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Isolation:", 10) == 0) fputs(line, stdout);
    }
    return 0;
}
