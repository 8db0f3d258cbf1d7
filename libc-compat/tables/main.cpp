// system-calls [--list]: the Markdown page docs/system-calls.md, or a line "NUMBER NAME supported" for each call.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "libc-compat/families.h"

namespace {

#define ISOUNIK_FAMILY_ADDRESS(name) &abi::name,
const abi::SystemCallFamily* const kFamilies[] = {ISOUNIK_FAMILIES(ISOUNIK_FAMILY_ADDRESS)};
#undef ISOUNIK_FAMILY_ADDRESS

constexpr unsigned kLastNamed = 462;

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::vector<const abi::SystemCall*> sorted_calls() {
    std::vector<const abi::SystemCall*> calls;
    for (const abi::SystemCallFamily* family : kFamilies) {
        for (const abi::SystemCall& call : family->calls) calls.push_back(&call);
    }
    std::sort(calls.begin(), calls.end(), [](auto* a, auto* b) { return a->number < b->number; });
    return calls;
}

// Mistakes in the tables, which the build reports: a number twice, or under another name than Linux's.
int check(const std::vector<const abi::SystemCall*>& calls) {
    int mistakes = 0;
    for (size_t i = 0; i < calls.size(); i++) {
        std::string name(calls[i]->name);
        if (i > 0 && calls[i]->number == calls[i - 1]->number) {
            std::fprintf(stderr, "system-calls: number %u is in the tables twice\n", calls[i]->number);
            mistakes++;
        }
        if (abi::system_call_name(calls[i]->number) != calls[i]->name) {
            std::fprintf(stderr, "system-calls: %u is not %s\n", calls[i]->number, name.c_str());
            mistakes++;
        }
    }
    return mistakes;
}

std::string upper_first(std::string_view text) {
    std::string result(text);
    if (!result.empty()) result[0] = static_cast<char>(std::toupper(result[0]));
    return result;
}

void print_page(const std::vector<const abi::SystemCall*>& calls) {
    std::printf("# System calls\n\nMade by `system-calls` (libc-compat/tables/) from the tables that dispatch uses; do "
                "not edit.\n\n%zu of Linux's calls for x86-64 are here, with Linux's results and errors; what differs "
                "is said in the last\ncolumn. All others answer ENOSYS, and the log names each once.\n", calls.size());
    for (const abi::SystemCallFamily* family : kFamilies) {
        std::printf("\n## %s\n\n| number | call | differs from Linux |\n|---|---|---|\n",
                    upper_first(family->title).c_str());
        for (const abi::SystemCall& call : family->calls) {
            std::printf("| %u | `", call.number);
            print(call.name);
            std::printf("(");
            print(call.arguments);
            std::printf(")` | ");
            print(call.note);
            std::printf(" |\n");
        }
    }
    std::printf("\n## Not here\n\n");
    auto next = calls.begin();
    std::string line;
    for (unsigned number = 0; number <= kLastNamed; number++) {
        while (next != calls.end() && (*next)->number < number) ++next;
        if (next != calls.end() && (*next)->number == number) continue;
        std::string name(abi::system_call_name(number));
        if (name.empty()) continue;
        if (line.size() + name.size() > 110) {
            std::printf("%s\n", line.c_str());
            line.clear();
        }
        line += (line.empty() ? "" : " ") + name;
    }
    std::printf("%s\n", line.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    auto calls = sorted_calls();
    if (check(calls) != 0) return 1;
    if (argc == 1) {
        print_page(calls);
    } else if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
        for (const abi::SystemCall* call : calls) {
            std::printf("%u %s supported\n", call->number, std::string(call->name).c_str());
        }
    } else {
        std::fprintf(stderr, "usage: system-calls [--list]\n");
        return 2;
    }
    return 0;
}
