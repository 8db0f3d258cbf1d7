#include "support/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "support/failure.h"

namespace tool {

Failure system_failure(const std::string& what) { return Failure(what + ": " + std::strerror(errno)); }

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in || fs::is_directory(path)) throw system_failure("cannot read " + path.string());
    std::ostringstream content;
    content << in.rdbuf();
    if (in.bad()) throw system_failure("cannot read " + path.string());
    return std::move(content).str();
}

void write_file(const fs::path& path, std::string_view content) {
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    fs::path temporary = path;
    temporary += ".new" + std::to_string(::getpid());
    {
        std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
        out.write(content.data(), static_cast<std::streamsize>(content.size()));
        out.close();
        if (!out) throw system_failure("cannot write " + temporary.string());
    }
    fs::rename(temporary, path);
}

TemporaryFolder::TemporaryFolder(const fs::path& parent) {
    fs::create_directories(parent);
    std::string name = (parent / "tmp.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw system_failure("cannot make a folder in " + parent.string());
    path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

FileLock::FileLock(const fs::path& path) {
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) throw system_failure("cannot open the lock file " + path.string());
    while (::flock(fd_, LOCK_EX) != 0) {
        if (errno != EINTR) throw system_failure("cannot lock " + path.string());
    }
}

FileLock::~FileLock() { ::close(fd_); }

}  // namespace tool
