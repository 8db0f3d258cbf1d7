// mkinitramfs DIRECTORY OUTPUT: writes the tree as an initramfs (cpio "newc", Linux
// Documentation/driver-api/early-userspace/buffer-format.rst), owner root, no time stamps.
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace fs = std::filesystem;

static void append(std::ofstream& out, unsigned inode, const std::string& name, unsigned mode,
                   const std::string& data) {
    char header[111];
    std::snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode,
                  0, 0, 1, 0, (unsigned)data.size(), 0, 0, 0, 0, (unsigned)name.size() + 1, 0);
    const std::string padding(4, '\0');
    out << header << name << '\0' << padding.substr(0, (4 - (110 + name.size() + 1) % 4) % 4);
    out << data << padding.substr(0, (4 - data.size() % 4) % 4);
}

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: mkinitramfs DIRECTORY OUTPUT\n");
        return 2;
    }
    const fs::path root = argv[1];
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(root)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());

    std::ofstream out(argv[2], std::ios::binary);
    unsigned inode = 1;
    for (const auto& path : paths) {
        struct stat info;
        if (lstat(path.c_str(), &info) < 0) continue;
        std::string data;
        if (S_ISLNK(info.st_mode)) data = fs::read_symlink(path).string();
        if (S_ISREG(info.st_mode)) {
            std::ifstream in(path, std::ios::binary);
            data.assign(std::istreambuf_iterator<char>(in), {});
        }
        append(out, inode++, path.lexically_relative(root).string(), info.st_mode, data);
    }
    append(out, 0, "TRAILER!!!", 0, "");
    if (!out.flush()) {
        std::fprintf(stderr, "mkinitramfs: cannot write %s\n", argv[2]);
        return 1;
    }
    return 0;
}
