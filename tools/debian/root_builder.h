// Fills a root from Debian packages: the files of some, and of their dependencies only the libraries needed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "debian/package_source.h"
#include "image/tree.h"

namespace tool {

struct PackageSelection {
    std::vector<std::string> programs;   // all their files but documentation; libraries of what they depend on
    std::vector<std::string> exclude;    // patterns of files that are left out of `programs`
    std::vector<std::string> libraries;  // sonames to take as well (what a program opens by dlopen)
    std::vector<std::string> whole;      // all their files, and all of all that they depend on
};

/// A package and what was taken from it ("*": everything that was asked for).
struct TakenPackage {
    PackageFile package;
    std::vector<std::string> files;
};

/// Adds the selection to `tree`, byte for byte as packaged. Throws Failure if a library is in none of the packages.
std::vector<TakenPackage> add_packages(Tree& tree, const PackageSelection& selection, PackageSource& source);

/// Files of a package that no program needs to run: documentation, translations, other init systems' units.
const std::vector<std::string>& documentation_patterns();

/// The packages that may hold a library, the likeliest first: the one that Debian's naming gives
/// (libssl.so.3 -> libssl3), then those called lib* by how much of that name they share, then all others.
std::vector<PackageFile> likely_providers(const std::string& soname, std::vector<PackageFile> packages);

}  // namespace tool
