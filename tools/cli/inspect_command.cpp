#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/root_image.h"
#include "image/directory_source.h"
#include "image/erofs_reader.h"
#include "inspect/file_code.h"
#include "inspect/report.h"
#include "support/failure.h"
#include "support/files.h"

namespace tool {

namespace {

/// A name without a slash is a recipe first, as for `run`; a folder with a recipe in it is one too.
bool names_recipe(const std::string& what, const Places& places) {
    if (what.find('/') != std::string::npos) return fs::exists(fs::path(what) / "recipe.toml");
    const std::vector<std::string> names = recipe_names(places.recipes());
    return std::find(names.begin(), names.end(), what) != names.end();
}

std::vector<FileReport> reports_of(const std::string& what, const Places& places) {
    if (names_recipe(what, places)) {
        RunOptions options;
        options.recipe = what;
        return report_tree(read_erofs(prepare_image(options, chosen_recipe(options, places), places)));
    }
    if (fs::is_directory(what)) {
        Tree tree;
        add_directory(tree, what);
        return report_tree(tree);
    }
    if (!fs::exists(what))
        throw Failure("there is no file and no recipe '" + what + "'", "isounik recipes lists the recipes");
    const std::string content = read_file(what);
    if (!looks_like_elf(content)) throw Failure(what + " is no ELF file", "name a program, a library, or a directory tree");
    return {report_file(what, content)};
}

}  // namespace

int inspect_command(const std::string& what, OutputForm form, const Places& places) {
    const std::vector<FileReport> reports = reports_of(what, places);
    const std::string text = form == OutputForm::Json ? as_json(reports).dump(2) + "\n" : as_text(reports);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
}

}  // namespace tool
