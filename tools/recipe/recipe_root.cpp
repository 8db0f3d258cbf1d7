#include "recipe/recipe_root.h"

#include "debian/deb_archive.h"
#include "image/boot_image.h"
#include "image/directory_source.h"
#include "support/failure.h"
#include "support/files.h"

namespace tool {

namespace {

fs::path files_folder(const Recipe& recipe) {
    fs::path folder = recipe.folder / recipe.files;
    if (!fs::is_directory(folder))
        throw Failure("the recipe " + recipe.name + " names files = \"" + recipe.files + "\", but there is no folder " +
                      folder.string());
    return folder;
}

/// The recipe's own files belong to root, whoever has checked them out, and are as private as git can say.
Tree overlay_of(const Recipe& recipe) {
    Tree overlay;
    if (recipe.files.empty()) return overlay;
    add_directory(overlay, files_folder(recipe));
    overlay.walk([](const std::string&, const std::shared_ptr<Node>& node) {
        node->meta.uid = node->meta.gid = 0;
        bool executable = node->type == NodeType::Directory || (node->meta.mode & 0100);
        node->meta.mode = node->type == NodeType::Symlink ? 0777 : executable ? 0755 : 0644;
    });
    return overlay;
}

}  // namespace

std::vector<TakenPackage> build_recipe_root(Tree& tree, const Recipe& recipe, PackageSource& source) {
    tree = merged_usr_root();
    std::vector<TakenPackage> taken = add_packages(tree, recipe.packages, source);
    overlay_of(recipe).walk([&](const std::string& path, const std::shared_ptr<Node>& node) {
        if (node->type != NodeType::Directory) {
            tree.add(path, node);
        } else {
            tree.add_if_missing(path, Node::directory(node->meta));
        }
    });
    for (const auto& [path, target] : recipe.links) tree.add(path, Node::symlink(target));
    for (const RecipeDirectory& directory : recipe.directories)
        tree.add(directory.path,
                 Node::directory({.mode = directory.mode, .uid = directory.uid, .gid = directory.gid}));
    add_base_files(tree, recipe.users, recipe.hostname);
    add_mount_points(tree);
    return taken;
}

void hash_recipe(ContentHash& hash, const Recipe& recipe) {
    hash.add(recipe.text);
    overlay_of(recipe).walk([&](const std::string& path, const std::shared_ptr<Node>& node) {
        hash.add(path).add_number(static_cast<uint64_t>(node->type)).add_number(node->meta.mode);
        if (node->type == NodeType::Regular || node->type == NodeType::Symlink) hash.add(node->content());
    });
}

}  // namespace tool
