#include "profile/profile.h"

#include <unistd.h>

#include "profile/call_tree.h"
#include "profile/flame_graph.h"
#include "profile/trace.h"
#include "support/failure.h"
#include "support/progress.h"

namespace tool {

Profile::Profile(fs::path picture, ProfileKind kind, fs::path plugin)
    : picture_(fs::absolute(picture)), kind_(kind), plugin_(std::move(plugin)) {
    if (picture_.extension() != ".svg")
        throw Failure("--profile writes an SVG picture", "give it a name that ends with .svg, like --profile run.svg");
    if (kind == ProfileKind::Count && !fs::exists(plugin_))
        throw Failure("there is no profiler at " + plugin_.string(), "build it: ./isounik build");
    if (::access(picture_.parent_path().c_str(), W_OK) != 0) throw system_failure("cannot write " + picture_.string());
    scratch_ = std::make_unique<TemporaryFolder>(fs::temp_directory_path());
}

std::vector<std::string> Profile::qemu_arguments() const {
    if (kind_ == ProfileKind::Sample)
        return {"-gdb", "unix:" + (scratch_->path() / "gdb").string() + ",server=on,wait=off"};
    return {"-plugin", plugin_.string() + ",output=" + (scratch_->path() / "trace").string()};
}

void Profile::start(std::chrono::milliseconds interval) {
    if (kind_ == ProfileKind::Sample) sampler_ = std::make_unique<Sampler>(scratch_->path() / "gdb", interval);
}

void Profile::write(const Tree& root, const fs::path& kernel, const std::string& title) {
    progress("making the profile");
    const char* unit = kind_ == ProfileKind::Count ? "instructions" : "samples";
    const Trace trace = sampler_ ? sampler_->finish() : read_trace(scratch_->path() / "trace");
    const CallTree tree = build_call_tree(trace, CodePlaces(root, read_file(kernel), trace));
    write_file(picture_, flame_graph(tree, title, unit));
    fs::path table = picture_;
    table.replace_extension(".txt");
    write_file(table, function_table(tree, unit));
    progress("flame graph: " + picture_.string() + ", table of functions: " + table.string());
}

}  // namespace tool
