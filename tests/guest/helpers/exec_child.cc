// Started by the exec cases in every linking mode: prints its arguments and environment, exits with argc.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv, char** environment) {
    const char* name = strrchr(argv[0], '/');
    printf("%s:", name ? name + 1 : argv[0]);
    for (int i = 1; i < argc; i++) printf(" [%s]", argv[i]);
    for (char** entry = environment; *entry; entry++) printf(" {%s}", *entry);
    printf("\n");
    return argc;
}
