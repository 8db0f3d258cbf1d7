#include "cli/root_image.h"

#include <nlohmann/json.hpp>

#include "debian/deb_archive.h"
#include "image/boot_image.h"
#include "image/directory_source.h"
#include "mpk/inspect/code_table.h"
#include "recipe/recipe_root.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/hash.h"
#include "support/progress.h"

namespace tool {

namespace {

/// Part of every key: raise it when the same input gives another image.
constexpr uint64_t kImageVersion = 3;

std::string manifest_text(const std::vector<TakenPackage>& packages) {
    nlohmann::ordered_json manifest = {{"packages", nlohmann::ordered_json::array()}};
    for (const TakenPackage& taken : packages)
        manifest["packages"].push_back(
            {{"name", taken.package.name}, {"version", taken.package.version}, {"files", taken.files}});
    return manifest.dump(2) + "\n";
}

/// With --packages a directory tree may or may not have the merged /usr; the links are added only where nothing is.
void add_whole_packages(Tree& tree, const std::vector<std::string>& names, PackageSource& source,
                        std::vector<TakenPackage>& taken) {
    if (names.empty()) return;
    const Tree links = merged_usr_root();
    for (const auto& [name, node] : links.root().children) tree.add_if_missing(name, node);
    std::vector<TakenPackage> added = add_packages(tree, {.whole = names}, source);
    taken.insert(taken.end(), added.begin(), added.end());
    add_base_files(tree, {}, {});
}

}  // namespace

std::optional<Recipe> chosen_recipe(const RunOptions& options, const Places& places) {
    if (!options.recipe.empty() && !options.rootfs.empty())
        throw Failure("a recipe and --rootfs exclude each other", "give one of them");
    if (!options.recipe.empty()) return load_recipe(options.recipe, places.recipes());
    if (options.rootfs.empty() && options.packages.empty())
        throw Failure("nothing to run", "name a recipe (isounik recipes lists them), or give --rootfs DIR -- PROGRAM");
    return std::nullopt;
}

fs::path prepare_image(const RunOptions& options, const std::optional<Recipe>& recipe, const Places& places) {
    ContentHash hash;
    hash.add_number(kImageVersion);
    hash.add_number(mpk::inspect::kTableVersion);
    if (recipe) hash_recipe(hash, *recipe);
    if (!options.rootfs.empty()) hash_directory(hash, options.rootfs);
    for (const std::string& package : options.packages) hash.add(package);

    const fs::path images = places.cache() / "images";
    const std::string key = hash.hex();
    if (options.update) fs::remove(images / (key + ".erofs"));
    return ImageCache(images).get(key, [&](Tree& tree) {
        PackageSource source(places.cache());
        if (options.update) source.update();
        std::vector<TakenPackage> taken;
        if (recipe) {
            progress("making the image of " + recipe->name);
            taken = build_recipe_root(tree, *recipe, source);
        } else if (!options.rootfs.empty()) {
            add_directory(tree, options.rootfs);
        }
        add_whole_packages(tree, options.packages, source, taken);
        add_mount_points(tree);
        date_new_nodes(tree);
        if (!taken.empty()) write_file(images / (key + ".json"), manifest_text(taken));
    });
}

}  // namespace tool
