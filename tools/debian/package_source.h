// Finds and fetches Debian packages with apt, without touching the system.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// One package as apt would install it.
struct PackageFile {
    std::string name;
    std::string version;
    std::string file_name;  // of the .deb
    uint64_t size = 0;
    friend bool operator==(const PackageFile&, const PackageFile&) = default;
};

/// A line of `apt-get --print-uris`: 'URI' FILE SIZE HASH. False if it is something else.
bool parse_uri_line(std::string_view line, PackageFile& package);

/// Uses the system's package lists if there are any and they serve, else fetches lists of its own; the sources and
/// keys are always the system's. Works as an ordinary user: all it writes lies below `cache`.
class PackageSource {
  public:
    explicit PackageSource(std::filesystem::path cache) : cache_(std::move(cache)) {}

    /// Fetches new lists before the next question.
    void update();

    /// These packages and all they depend on (not what they recommend), as on a system that has nothing yet.
    /// Throws Failure that names a package that cannot be found.
    std::vector<PackageFile> resolve(const std::vector<std::string>& names);

    /// Paths of the .deb files, in the order of `packages`; fetches what the cache lacks, verified by apt.
    std::vector<std::filesystem::path> fetch(const std::vector<PackageFile>& packages);

  private:
    enum class Lists { System, Own };

    std::vector<std::string> apt(const std::vector<std::string>& arguments) const;
    std::filesystem::path own_lists() const { return cache_ / "apt" / "lists"; }
    bool download(const std::vector<PackageFile>& packages, std::string& errors);

    std::filesystem::path cache_;
    Lists lists_ = Lists::System;
};

}  // namespace tool
