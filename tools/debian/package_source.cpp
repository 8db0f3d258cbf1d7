#include "debian/package_source.h"

#include <algorithm>
#include <charconv>

#include "support/command.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/progress.h"
#include "support/strings.h"

namespace tool {

namespace {

/// What the resolver takes as installed. Our roots have the merged /usr already; otherwise apt would choose the
/// package `usrmerge`, which converts a system, and with it perl.
constexpr const char* kStatus =
    "Package: usr-is-merged\nStatus: install ok installed\nArchitecture: all\nMulti-Arch: foreign\nVersion: 37\n"
    "Maintainer: none\nDescription: /usr is merged\n\n";

std::string percent_decode(std::string_view text) {
    std::string decoded;
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
            decoded += static_cast<char>(value);
            i += 2;
        } else {
            decoded += text[i];
        }
    }
    return decoded;
}

/// The lines of apt's that say what went wrong ("E: ...").
std::string apt_errors(const CommandResult& result) {
    std::vector<std::string> lines;
    for (const std::string& line : split(result.errors, '\n'))
        if (line.starts_with("E:")) lines.push_back(std::string(trim(std::string_view(line).substr(2))));
    return lines.empty() ? "apt-get ended with status " + std::to_string(result.status) : join(lines, "; ");
}

}  // namespace

bool parse_uri_line(std::string_view line, PackageFile& package) {
    if (!line.starts_with('\'')) return false;
    size_t end = line.find('\'', 1);
    if (end == std::string_view::npos) return false;
    std::vector<std::string> words = split(trim(line.substr(end + 1)), ' ');
    if (words.size() < 2) return false;
    std::vector<std::string> parts = split(words[0], '_');  // NAME_VERSION_ARCHITECTURE.deb
    if (parts.size() != 3 || !parts[2].ends_with(".deb")) return false;
    package = {.name = parts[0], .version = percent_decode(parts[1]), .file_name = words[0]};
    return std::from_chars(words[1].data(), words[1].data() + words[1].size(), package.size).ec == std::errc();
}

std::vector<std::string> PackageSource::apt(const std::vector<std::string>& arguments) const {
    const fs::path home = cache_ / "apt";
    fs::create_directories(home / "archives" / "partial");
    fs::create_directories(home / "lists" / "partial");
    write_file(home / "installed", kStatus);
    std::vector<std::string> command = {"apt-get",
                                        "-qq",
                                        "-o", "Dir::State=" + home.string(),
                                        "-o", "Dir::State::status=" + (home / "installed").string(),
                                        "-o", "Dir::Cache=" + home.string(),
                                        "-o", "Acquire::Languages=none",
                                        "-o", "Acquire::Retries=2",
                                        "-o", "APT::Sandbox::User=",
                                        "-o", "Debug::NoLocking=1"};
    const fs::path lists = lists_ == Lists::Own ? own_lists() : fs::path("/var/lib/apt/lists");
    command.insert(command.end(), {"-o", "Dir::State::lists=" + lists.string() + "/"});
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

void PackageSource::update() {
    progress("fetching the lists of Debian packages");
    lists_ = Lists::Own;
    CommandResult result = run_command_line(apt({"update"}));
    if (!result.ok())
        throw Failure("cannot fetch the lists of Debian packages: " + apt_errors(result),
                      "check the network and /etc/apt/sources.list");
}

std::vector<PackageFile> PackageSource::resolve(const std::vector<std::string>& names) {
    if (names.empty()) return {};
    std::vector<std::string> arguments = {"install", "-y", "--no-install-recommends", "--print-uris"};
    arguments.insert(arguments.end(), names.begin(), names.end());
    CommandResult result = run_command_line(apt(arguments));
    if (result.status == 127) throw Failure("apt-get is not installed", "packages come from Debian's apt");
    if (!result.ok() && lists_ == Lists::System) {  // no lists there, or too old ones
        update();
        result = run_command_line(apt(arguments));
    }
    if (!result.ok())
        throw Failure("cannot find Debian packages: " + apt_errors(result),
                      "check the names of the packages: " + join(names, ", "));
    std::vector<PackageFile> packages;
    for (const std::string& line : split(result.output, '\n')) {
        PackageFile package;
        if (parse_uri_line(line, package)) packages.push_back(std::move(package));
    }
    return packages;
}

bool PackageSource::download(const std::vector<PackageFile>& packages, std::string& errors) {
    TemporaryFolder folder(cache_ / "debs");
    std::vector<std::string> arguments = {"download"};
    for (const PackageFile& package : packages) arguments.push_back(package.name + "=" + package.version);
    CommandResult result = run_command_line(apt(arguments), {.folder = folder.path()});
    errors = apt_errors(result);
    if (!result.ok()) return false;
    for (const PackageFile& package : packages) {
        errors = package.file_name + " did not arrive";
        if (!fs::exists(folder.path() / package.file_name)) return false;
        fs::rename(folder.path() / package.file_name, cache_ / "debs" / package.file_name);
    }
    return true;
}

std::vector<fs::path> PackageSource::fetch(const std::vector<PackageFile>& packages) {
    std::vector<fs::path> paths;
    std::vector<PackageFile> wanted;
    for (const PackageFile& package : packages) {
        paths.push_back(cache_ / "debs" / package.file_name);
        std::error_code error;
        if (fs::file_size(paths.back(), error) != package.size || error) wanted.push_back(package);
    }
    if (wanted.empty()) return paths;
    uint64_t total = 0;
    std::vector<std::string> names;
    for (const PackageFile& package : wanted) {
        total += package.size;
        names.push_back(package.name);
    }
    progress("fetching " + count_of(wanted.size(), "Debian package") + " (" + human_size(total) +
             "): " + join(names, ", "));
    std::string errors;
    if (!download(wanted, errors))
        throw Failure("cannot fetch Debian packages: " + errors,
                      "check the network; if the lists are old, --update fetches new ones");
    return paths;
}

}  // namespace tool
