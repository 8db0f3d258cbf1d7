// nmi SOCKET COUNT: sends COUNT non-maskable interrupts to all processors of a machine, at whatever they do then, once a
// program runs.
#include <algorithm>

#include "tests/lib/qmp.h"

int main(int count, char** arguments) {
    if (count != 3) qmp::give_up("usage: nmi SOCKET COUNT");
    qmp::Machine machine(arguments[1]);
    auto runs = [&] { return std::ranges::any_of(machine.processors(), &qmp::Processor::in_program); };
    while (!runs()) ::usleep(10'000);
    for (int i = std::atoi(arguments[2]); i > 0; i--) {
        machine.execute(R"({"execute":"inject-nmi"})");
        ::usleep(500);
    }
    std::printf("sent\n");
}
