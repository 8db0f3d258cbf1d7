// isounik-tool: what ./isounik starts once everything is built.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/commands.h"
#include "cli/run_options.h"
#include "support/failure.h"
#include "test_runner/test_runner.h"

namespace {

/// A tool started with closed standard streams must not take a socket for one of them.
void open_standard_streams() {
    for (int fd = ::open("/dev/null", O_RDWR); fd >= 0 && fd <= 2; fd = ::open("/dev/null", O_RDWR)) {
    }
}

/// Splits at the first "--": before it the tool's own words, after it the program's. A value of --qemu-arg and
/// --gdb-arg may look like an option, so it is joined to it.
void split_arguments(int argc, char** argv, std::vector<std::string>& own, std::vector<std::string>& program) {
    int i = 1;
    for (; i < argc && std::string_view(argv[i]) != "--"; ++i) {
        const std::string_view word = argv[i];
        if ((word == "--qemu-arg" || word == "--gdb-arg") && i + 1 < argc) {
            own.push_back(std::string(word) + "=" + argv[i + 1]);
            ++i;
        } else {
            own.emplace_back(argv[i]);
        }
    }
    for (++i; i < argc; ++i) program.emplace_back(argv[i]);
}

int dispatch(int argc, char** argv) {
    using namespace tool;
    CLI::App app("Runs prebuilt Linux programs of several processes as a unikernel.", "isounik");
    app.require_subcommand(1);
    RunOptions options;
    std::string output;

    CLI::App* run = app.add_subcommand("run", "Boot a recipe, or a program in a directory tree");
    run->footer(
        "The exit status is that of the first program: its code, 128 + signal if a signal ended it, 126 or 127 if it\n"
        "could not be run or found, 125 if the tool or the machine failed. Ctrl-C sends SIGINT to the first program;\n"
        "a second one stops the machine.\n"
        "\n"
        "  isounik run [OPTIONS] RECIPE [-- PROGRAM ARGS...]\n"
        "  isounik run [OPTIONS] --rootfs DIR -- PROGRAM ARGS...\n"
        "\n"
        "Examples:\n"
        "  isounik run nginx\n"
        "  isounik run shell -- sh -c 'ls -l / | sort'\n"
        "  isounik run --rootfs ./root --network none -- /bin/echo hi");
    add_run_options(*run, options);
    CLI::App* image = app.add_subcommand("image", "Make the boot image of a recipe or a directory tree");
    add_root_options(*image, options);
    image->add_option("-o,--output", output, "Copy the image there. Example: -o root.erofs")->type_name("FILE");

    std::string inspected;
    bool as_json = false;
    CLI::App* inspect = app.add_subcommand("inspect", "Say which code can run isolated, and why");
    inspect->add_option("PATH|RECIPE", inspected,
                        "A program, a library, a directory tree or a recipe. Example: isounik inspect nginx")
        ->required();
    inspect->add_flag("--json", as_json, "For programs. Example: isounik inspect --json /bin/bash");

    CLI::App* recipes = app.add_subcommand("recipes", "List the recipes");

    std::vector<std::string> gdb_arguments;
    CLI::App* gdb = app.add_subcommand("gdb", "Boot under gdb, with the kernel's symbols");
    add_run_options(*gdb, options);
    gdb->add_option("--gdb-arg", gdb_arguments,
                    "Pass an argument to gdb. Repeatable. Example: --gdb-arg=-ex --gdb-arg='break sys_clone'")
        ->type_name("ARG")
        ->allow_extra_args(false);
    TestOptions test_options;
    CLI::App* test = app.add_subcommand("test", "Run all tests");
    test->add_flag("--long", test_options.long_tests, "The long tests too. Example: isounik test --long");
    test->add_option("NAME", test_options.names, "Only those whose names contain this. Example: isounik test unit guest");

    std::vector<std::string> own;
    split_arguments(argc, argv, own, options.program);
    std::reverse(own.begin(), own.end());  // CLI11 takes the words last first
    try {
        app.parse(own);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kToolFailed;
    }
    const Places places = Places::find();
    if (*run) return run_command(options, places);
    if (*gdb) return gdb_command(options, gdb_arguments, places);
    if (*test) return run_tests(test_options, places);
    if (*inspect) return inspect_command(inspected, as_json ? OutputForm::Json : OutputForm::Text, places);
    if (*recipes) return recipes_command(places);
    return image_command(options, output, places);
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_streams();
    try {
        return dispatch(argc, argv);
    } catch (const tool::Failure& failure) {
        std::fprintf(stderr, "isounik: %s\n", failure.what());
        if (!failure.hint().empty()) std::fprintf(stderr, "isounik: hint: %s\n", failure.hint().c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "isounik: %s\n", error.what());
    }
    return tool::kToolFailed;
}
