// Linked with an executable stack: nothing that can run isolated. Says what it runs as.
#include <stdio.h>
#include <string.h>

int main() {
    char line[256];
    FILE* file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Isolation:", 10) == 0) fputs(line, stdout);
    }
    return 0;
}
