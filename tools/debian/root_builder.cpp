#include "debian/root_builder.h"

#include <algorithm>

#include "debian/deb_archive.h"
#include "elf/closure.h"
#include "support/failure.h"

namespace tool {

namespace {

/// Unpacks dependencies as they are looked at, and remembers them.
class LibraryProvider {
  public:
    LibraryProvider(std::vector<PackageFile> packages, PackageSource& source)
        : packages_(std::move(packages)), source_(source) {}

    /// Copies a library (or a loader, by its path) with the links that lead to it. False if no package has it.
    bool add_to(Tree& tree, const std::string& name) {
        // Those that are here already cost nothing, and usually one of them has it.
        for (auto& [package, unpacked] : unpacked_)
            if (copy(unpacked, name, tree, taken_[package])) return true;
        for (const PackageFile& package : likely_providers(name, packages_)) {
            if (unpacked_.contains(package.file_name)) continue;
            Tree& unpacked = unpacked_.emplace(package.file_name, merged_usr_root()).first->second;
            add_deb(unpacked, source_.fetch({package}).front());
            if (copy(unpacked, name, tree, taken_[package.file_name])) return true;
        }
        return false;
    }

    std::vector<TakenPackage> taken() const {
        std::vector<TakenPackage> result;
        for (const PackageFile& package : packages_) {
            auto found = taken_.find(package.file_name);
            if (found != taken_.end() && !found->second.empty()) result.push_back({package, found->second});
        }
        return result;
    }

  private:
    static bool copy(const Tree& from, const std::string& name, Tree& to, std::vector<std::string>& taken) {
        std::string path = find_library(from, name, {}, "");
        if (path.empty()) return false;
        constexpr int kMaxLinks = 40;
        for (int i = 0; i < kMaxLinks; ++i) {
            std::shared_ptr<Node> node = from.find(path, FollowLast::No);
            if (!node) return false;
            to.add(path, node);
            taken.push_back(path);
            if (node->type != NodeType::Symlink) return true;
            path = node->data.starts_with('/') ? node->data : path.substr(0, path.rfind('/') + 1) + node->data;
        }
        return false;
    }

    std::vector<PackageFile> packages_;
    PackageSource& source_;
    std::map<std::string, Tree> unpacked_;                   // by the name of the .deb
    std::map<std::string, std::vector<std::string>> taken_;  // likewise
};

std::vector<std::string> regular_files(const Tree& tree) {
    std::vector<std::string> paths;
    tree.walk([&](const std::string& path, const std::shared_ptr<Node>& node) {
        if (node->type == NodeType::Regular) paths.push_back(path);
    });
    return paths;
}

void add_missing_libraries(Tree& tree, LibraryProvider& provider, const std::vector<std::string>& extra) {
    auto fail = [](const std::string& name, const std::string& needed_by) {
        throw Failure("no package has " + name + ", which " + needed_by + " needs",
                      "add the package that has it to the recipe's packages");
    };
    for (const std::string& name : extra)
        if (!provider.add_to(tree, name)) fail(name, "the recipe");
    for (;;) {
        bool added = false;
        for (const MissingLibrary& missing : find_missing_libraries(tree, regular_files(tree))) {
            // A script's interpreter is a program of its own: the recipe decides whether it is wanted.
            if (missing.kind == MissingKind::ScriptInterpreter) continue;
            if (!provider.add_to(tree, missing.name)) fail(missing.name, missing.needed_by);
            added = true;
        }
        if (!added) return;
    }
}

}  // namespace

const std::vector<std::string>& documentation_patterns() {
    static const std::vector<std::string> patterns = {
        "/usr/share/doc/**",        "/usr/share/man/**",         "/usr/share/info/**",
        "/usr/share/locale/**",     "/usr/share/lintian/**",     "/usr/share/bug/**",
        "/usr/share/doc-base/**",   "/usr/share/bash-completion/**", "/usr/share/vim/**",
        "/usr/share/menu/**",       "/usr/share/apport/**",      "/etc/init.d/**",
        "/etc/default/**",          "/etc/logrotate.d/**",       "/etc/cron*/**",
        "/etc/ufw/**",              "/lib/systemd/**",           "/usr/lib/systemd/**",
    };
    return patterns;
}

std::vector<PackageFile> likely_providers(const std::string& soname, std::vector<PackageFile> packages) {
    // Debian Policy 8.1: libNAME.so.VERSION is in libNAMEVERSION, with a hyphen if NAME ends with a digit.
    std::string conventional;
    if (size_t at = soname.find(".so."); at != std::string::npos) {
        conventional = soname.substr(0, at);
        if (!conventional.empty() && conventional.back() >= '0' && conventional.back() <= '9') conventional += '-';
        conventional += soname.substr(at + 4);
    }
    const bool is_libc = soname.find("ld-linux") != std::string::npos;
    auto rank = [&](const PackageFile& package) {
        if (package.name == conventional || (is_libc && package.name == "libc6")) return 0;
        if (package.name.starts_with("lib") || package.name.starts_with("zlib")) return 1;
        return 2;
    };
    std::stable_sort(packages.begin(), packages.end(),
                     [&](const PackageFile& a, const PackageFile& b) { return rank(a) < rank(b); });
    return packages;
}

std::vector<TakenPackage> add_packages(Tree& tree, const PackageSelection& selection, PackageSource& source) {
    std::vector<TakenPackage> taken;
    for (const PackageFile& package : source.resolve(selection.whole)) taken.push_back({package, {"*"}});
    std::vector<PackageFile> whole;
    for (const TakenPackage& package : taken) whole.push_back(package.package);
    for (const std::filesystem::path& deb : source.fetch(whole)) add_deb(tree, deb);

    const std::vector<PackageFile> available = source.resolve(selection.programs);
    std::vector<PackageFile> programs;
    for (const std::string& name : selection.programs) {
        auto found = std::find_if(available.begin(), available.end(),
                                  [&](const PackageFile& package) { return package.name == name; });
        if (found == available.end())
            throw Failure("there is no Debian package " + name, "check the recipe's list of packages");
        programs.push_back(*found);
        taken.push_back({*found, {"*"}});
    }
    std::vector<std::string> exclude = documentation_patterns();
    exclude.insert(exclude.end(), selection.exclude.begin(), selection.exclude.end());
    for (const std::filesystem::path& deb : source.fetch(programs)) add_deb(tree, deb, exclude);

    LibraryProvider provider(available, source);
    add_missing_libraries(tree, provider, selection.libraries);
    for (TakenPackage& package : provider.taken()) taken.push_back(std::move(package));
    return taken;
}

}  // namespace tool
