#include "cli/root_image.h"

#include "image/boot_image.h"
#include "image/directory_source.h"
#include "support/failure.h"
#include "support/hash.h"

namespace tool {

namespace {
/// Part of every key: raise it when the same input gives another image.
constexpr uint64_t kImageVersion = 1;
}  // namespace

std::filesystem::path prepare_image(const RunOptions& options, const Places& places) {
    if (options.rootfs.empty()) throw Failure("recipes are not built yet", "use --rootfs DIR -- /path/of/program");
    ContentHash hash;
    hash.add_number(kImageVersion);
    hash_directory(hash, options.rootfs);
    return ImageCache(places.cache() / "images").get(hash.hex(), [&](Tree& tree) {
        add_directory(tree, options.rootfs);
        add_mount_points(tree);
    });
}

}  // namespace tool
