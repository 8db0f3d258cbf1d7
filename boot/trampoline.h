// Where the other processors start: a page below 1 MiB that is kept free (boot/memory.cpp reserves it).
#pragma once

#define TRAMPOLINE_PAGE 8
