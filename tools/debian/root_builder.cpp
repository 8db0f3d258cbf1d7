#include "debian/root_builder.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>

#include "debian/deb_archive.h"
#include "elf/closure.h"
#include "elf/elf_file.h"
#include "support/failure.h"
#include "support/progress.h"

namespace tool {

namespace {

/// Unpacks dependencies as they are looked at, and remembers them.
class LibraryProvider {
  public:
    LibraryProvider(std::vector<PackageFile> packages, PackageSource& source)
        : packages_(std::move(packages)), source_(source) {}

    /// Copies libraries (or loaders, by their paths) with the links that lead to them. Returns those that no package
    /// has. Packages are fetched together: first the likeliest for each name, then the next ones, then all.
    std::vector<std::string> add_to(Tree& tree, std::vector<std::string> names) {
        constexpr size_t kProvidersTried[] = {0, 1, 4, std::numeric_limits<size_t>::max()};
        for (size_t count : kProvidersTried) {
            unpack_likely_providers(names, count);
            std::erase_if(names, [&](const std::string& name) { return copy_from_unpacked(name, tree); });
            if (names.empty()) break;
        }
        return names;
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
    void unpack_likely_providers(const std::vector<std::string>& names, size_t count) {
        std::vector<PackageFile> wanted;
        for (const std::string& name : names) {
            std::vector<PackageFile> likely = likely_providers(name, packages_);
            likely.resize(std::min(likely.size(), count));
            for (const PackageFile& package : likely)
                if (unpacked_.try_emplace(package.file_name, merged_usr_root()).second) wanted.push_back(package);
        }
        const std::vector<std::filesystem::path> debs = source_.fetch(wanted);
        for (size_t i = 0; i < wanted.size(); ++i) add_deb(unpacked_.at(wanted[i].file_name), debs[i]);
    }

    bool copy_from_unpacked(const std::string& name, Tree& tree) {
        return std::any_of(unpacked_.begin(), unpacked_.end(),
                           [&](auto& package) { return copy(package.second, name, tree, taken_[package.first]); });
    }

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

/// Whether something that can be started needs it. The rest are plug-ins: Debian recommends what some of them need.
bool a_program_needs(const Tree& tree, const std::string& library) {
    std::vector<std::string> programs = regular_files(tree);
    std::erase_if(programs, [&](const std::string& path) {
        const std::optional<ElfFile> elf = parse_elf(tree.find(path)->content());
        return !elf || elf->interpreter.empty();
    });
    const std::vector<MissingLibrary> missing = find_missing_libraries(tree, programs);
    return std::any_of(missing.begin(), missing.end(), [&](const MissingLibrary& one) { return one.name == library; });
}

[[noreturn]] void fail_for_lack_of(const std::string& library, const std::string& needed_by) {
    throw Failure("no package has " + library + ", which " + needed_by + " needs",
                  "add the package that has it to the recipe's packages");
}

void add_missing_libraries(Tree& tree, LibraryProvider& provider, const std::vector<std::string>& extra) {
    for (const std::string& name : provider.add_to(tree, extra)) fail_for_lack_of(name, "the recipe");
    std::set<std::string> lacking;  // what only plug-ins ask for, and no package has
    for (;;) {
        std::map<std::string, std::string> needed_by;
        for (const MissingLibrary& missing : find_missing_libraries(tree, regular_files(tree)))
            // A script's interpreter is a program of its own: the recipe decides whether it is wanted.
            if (missing.kind != MissingKind::ScriptInterpreter && !lacking.contains(missing.name))
                needed_by.emplace(missing.name, missing.needed_by);
        if (needed_by.empty()) return;
        std::vector<std::string> names;
        for (const auto& [name, file] : needed_by) names.push_back(name);
        for (const std::string& name : provider.add_to(tree, names)) {
            if (a_program_needs(tree, name)) fail_for_lack_of(name, needed_by.at(name));
            progress("no package has " + name + ": " + needed_by.at(name) + " cannot be loaded");
            lacking.insert(name);
        }
    }
}

/// Debian Policy 8.1: libNAME.so.VERSION is in libNAMEVERSION, with a hyphen if NAME ends with a digit, in the
/// letters that a package's name may have. Some packages are older than that rule.
std::string conventional_package(const std::string& soname) {
    static const std::map<std::string, std::string> exceptions = {
        {"libcrypto.so.3", "libssl3"},
        {"libdb-5.3.so", "libdb5.3"},
        {"libxml2.so.2", "libxml2"},
        {"libz.so.1", "zlib1g"},
    };
    if (auto found = exceptions.find(soname); found != exceptions.end()) return found->second;
    if (soname.find("ld-linux") != std::string::npos) return "libc6";
    const size_t at = soname.find(".so.");
    if (at == std::string::npos || at == 0) return soname;
    std::string name = soname.substr(0, at);
    if (name.back() >= '0' && name.back() <= '9') name += '-';
    name += soname.substr(at + 4);
    for (char& c : name) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
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
    const std::string conventional = conventional_package(soname);
    auto rank = [&](const PackageFile& package) {
        const std::string& name = package.name;
        if (name == conventional) return std::numeric_limits<ptrdiff_t>::min();
        if (!name.starts_with("lib") && !name.starts_with("zlib")) return ptrdiff_t{1};
        const auto differ = std::mismatch(name.begin(), name.end(), conventional.begin(), conventional.end());
        return name.begin() - differ.first;
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
