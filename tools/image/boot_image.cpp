#include "image/boot_image.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "image/erofs_writer.h"
#include "inspect/file_code.h"
#include "support/files.h"

namespace tool {

namespace {
constexpr size_t kKeptImages = 16;
}

fs::path ImageCache::get(const std::string& key, const std::function<void(Tree&)>& make) {
    const fs::path image = folder_ / (key + ".erofs");
    FileLock lock(folder_ / (key + ".lock"));
    if (fs::exists(image)) {
        std::error_code ignored;  // the time of last use, for remove_old_images
        fs::last_write_time(image, fs::file_time_type::clock::now(), ignored);
        return image;
    }
    Tree tree;
    make(tree);
    fs::path unfinished = image;
    unfinished += ".new";
    append_code_table(unfinished, write_erofs(tree, unfinished).files, folder_.parent_path() / "code");
    fs::rename(unfinished, image);
    remove_old_images(image);
    return image;
}

void ImageCache::remove_old_images(const fs::path& keep) {
    std::vector<std::pair<fs::file_time_type, fs::path>> images;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_, error)) {
        if (entry.path().extension() == ".erofs" && entry.path() != keep)
            images.emplace_back(entry.last_write_time(error), entry.path());
    }
    std::sort(images.rbegin(), images.rend());
    for (size_t i = kKeptImages; i < images.size(); ++i) {
        fs::remove(images[i].second, error);
        fs::remove(fs::path(images[i].second).replace_extension(".lock"), error);
        fs::remove(fs::path(images[i].second).replace_extension(".json"), error);
    }
}

void add_mount_points(Tree& tree) {
    for (const char* path : {"/dev", "/proc", "/sys", "/run"}) tree.add_if_missing(path, Node::directory());
    tree.add_if_missing("/tmp", Node::directory({.mode = 01777}));
}

void date_new_nodes(Tree& tree) {
    int64_t newest = 0;
    tree.walk([&](const std::string&, const std::shared_ptr<Node>& node) { newest = std::max(newest, node->meta.mtime); });
    tree.walk([&](const std::string&, const std::shared_ptr<Node>& node) {
        if (node->meta.mtime == 0) node->meta.mtime = newest;
    });
}

}  // namespace tool
