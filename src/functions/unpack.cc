#include "functions/unpack.h"
#include "functions/entry_name.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>

#include <cerrno>
#include <memory>
#include <vector>

#include "functions/checks.h"
#include "functions/utf8_scope.h"
#include "os/fd.h"

namespace mayfly::functions {
namespace {

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kLinkBytesMax = 1024;

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

// The umask may have taken away what a sandbox's user needs; when this fails so does the next open.
void ignore_mode(int) {}

Error refused(std::string_view name, std::string_view why) {
  return refused_entry("package", name, why);
}

// The parts of a path that stays inside; no parts for the top itself.
Result<std::vector<std::string>> split_path(std::string_view name, std::string_view path) {
  if (path.empty()) return refused(name, "has an empty name");
  if (path.front() == '/') return refused(name, "has an absolute path");
  return entry_parts("package", name, path, kDepthMax);
}

class Unpacker {
 public:
  Unpacker(archive* in, int root, std::string directory, const PackageLimits& limits)
      : in_(in), root_(root), directory_(std::move(directory)), limits_(limits) {}

  Result<TreeSummary> run() {
    for (;;) {
      archive_entry* entry = nullptr;
      const int got = archive_read_next_header(in_, &entry);
      if (got == ARCHIVE_EOF) break;
      if (got == ARCHIVE_RETRY) continue;
      if (got < ARCHIVE_WARN && entries_ == 0)
        return invalid(
            fmt::format("These bytes are not a .zip, .tar or .tar.gz archive: {}.", problem()));
      if (got < ARCHIVE_WARN)
        return invalid(fmt::format("The archive is damaged{}: {}.",
                                   last_.empty() ? "" : " behind '" + shown_entry(last_) + "'",
                                   problem()));
      MAYFLY_TRY(take(entry));
    }
    if (summary_.files == 0) return invalid("The archive is empty: it holds no file.");
    MAYFLY_TRY(check_links(directory_, links_));
    return summary_;
  }

 private:
  std::string problem() const {
    const char* text = archive_error_string(in_);
    return shown_entry(text == nullptr ? "unknown format" : text);
  }

  Status take(archive_entry* entry) {
    const char* raw = archive_entry_pathname_utf8(entry);
    if (raw == nullptr) raw = archive_entry_pathname(entry);
    if (raw == nullptr) return invalid("The package was refused: an entry has no readable name.");
    const std::string name = last_ = raw;
    if (++entries_ > limits_.files_max)
      return Error{Code::too_large,
                   fmt::format("The package was refused at the entry '{}': it has more than {} "
                               "files and directories (setting packages.files_max).",
                               shown_entry(name), limits_.files_max)};
    if (archive_entry_is_encrypted(entry) == 1) return refused(name, "is encrypted");
    auto parts = split_path(name, name);
    if (parts.has_error()) return parts.error();
    const char* hardlink = archive_entry_hardlink(entry);
    const auto type = archive_entry_filetype(entry);
    if (parts->empty()) {
      if (type == AE_IFDIR) return ok();  // "./", as tar writes it
      return refused(name, "has no name");
    }
    if (hardlink != nullptr) return make_hardlink(name, *parts, hardlink);
    switch (type) {
      case AE_IFDIR:
        return open_directory(name, *parts, parts->size()).error_or_ok();
      case AE_IFREG:
        return make_file(name, *parts, entry);
      case AE_IFLNK:
        return make_link(name, *parts, archive_entry_symlink_utf8(entry), entry);
      case AE_IFBLK:
      case AE_IFCHR:
        return refused(name, "is a device");
      case AE_IFIFO:
        return refused(name, "is a named pipe");
      case AE_IFSOCK:
        return refused(name, "is a socket");
      default:
        return refused(name, "is neither file, directory nor link");
    }
  }

  struct Opened {
    os::Fd fd;
    std::optional<Error> error;
    Status error_or_ok() const { return error ? Status(*error) : ok(); }
  };

  // The directory of the first count parts, made where it is missing. Never through a link.
  Opened open_directory(const std::string& name, const std::vector<std::string>& parts,
                        std::size_t count) {
    os::Fd at(openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (std::size_t i = 0; at && i < count; ++i) {
      const char* part = parts[i].c_str();
      const bool made = mkdirat(at.get(), part, 0755) == 0;
      if (!made && errno != EEXIST)
        return {os::Fd(), disk_error("unpack '" + shown_entry(name) + "'", directory_, errno)};
      if (made) ignore_mode(fchmodat(at.get(), part, 0755, 0));
      os::Fd next(openat(at.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!next && (errno == ELOOP || errno == ENOTDIR))
        return {os::Fd(), refused(name, fmt::format("goes through '{}', which is no directory",
                                                    shown_entry(parts[i])))};
      at = std::move(next);
    }
    if (!at) return {os::Fd(), disk_error("unpack '" + shown_entry(name) + "'", directory_, errno)};
    return {std::move(at), std::nullopt};
  }

  Status make_file(const std::string& name, const std::vector<std::string>& parts,
                   archive_entry* entry) {
    if (archive_entry_size_is_set(entry) && archive_entry_size(entry) > 0)
      MAYFLY_TRY(check_bytes(name, static_cast<std::uint64_t>(archive_entry_size(entry))));
    auto parent = open_directory(name, parts, parts.size() - 1);
    if (parent.error) return *parent.error;
    const os::Fd file(openat(parent.fd.get(), parts.back().c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!file && errno == EEXIST) return refused(name, "is in the archive twice");
    if (!file) return disk_error("unpack '" + shown_entry(name) + "'", directory_, errno);
    std::string head;
    MAYFLY_TRY(copy_data(name, file.get(), head));
    // Archives made on other systems know no modes; what begins like a program is one.
    const bool executable = (archive_entry_perm(entry) & 0111) != 0 || looks_executable(head);
    if (fchmod(file.get(), executable ? 0755 : 0644) != 0)
      return disk_error("unpack '" + shown_entry(name) + "'", directory_, errno);
    ++summary_.files;
    return ok();
  }

  Status check_bytes(const std::string& name, std::uint64_t more) const {
    if (more <= limits_.unpacked_bytes_max && summary_.bytes <= limits_.unpacked_bytes_max - more)
      return ok();
    return Error{Code::too_large,
                 fmt::format("The package was refused at the entry '{}': unpacked it has more than "
                             "{} bytes (setting packages.unpacked_bytes_max).",
                             shown_entry(name), limits_.unpacked_bytes_max)};
  }

  Status copy_data(const std::string& name, int file, std::string& head) {
    std::vector<char> buffer(128 * 1024);
    for (;;) {
      const la_ssize_t got = archive_read_data(in_, buffer.data(), buffer.size());
      if (got == 0) return ok();
      if (got == ARCHIVE_RETRY) continue;
      if (got < 0)
        return invalid(fmt::format("The archive is damaged in the entry '{}': {}.",
                                   shown_entry(name), problem()));
      const auto size = static_cast<std::size_t>(got);
      MAYFLY_TRY(check_bytes(name, size));
      if (head.empty()) head.assign(buffer.data(), std::min<std::size_t>(size, 4));
      for (std::size_t done = 0; done < size;) {
        const ssize_t wrote = write(file, buffer.data() + done, size - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return disk_error("unpack '" + shown_entry(name) + "'", directory_, errno);
        done += static_cast<std::size_t>(wrote);
      }
      summary_.bytes += size;
    }
  }

  Status make_link(const std::string& name, const std::vector<std::string>& parts,
                   const char* target, archive_entry* entry) {
    if (target == nullptr) target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return refused(name, "is a link to nothing");
    const std::string_view where = target;
    if (where.front() == '/')
      return refused(name, fmt::format("is a link to an absolute path ({})", shown_entry(where)));
    if (where.size() > kLinkBytesMax)
      return refused(name, fmt::format("is a link of more than {} bytes", kLinkBytesMax));
    // As it is written it must stay inside; check_links() looks again at where it really leads,
    // through other links, when all is there.
    std::size_t depth = parts.size() - 1;
    for (std::size_t at = 0; at <= where.size();) {
      const std::size_t end = std::min(where.find('/', at), where.size());
      const std::string_view part = where.substr(at, end - at);
      at = end + 1;
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        ++depth;
      } else if (depth-- == 0) {
        return refused(name,
                       fmt::format("is a link that leaves the package ({})", shown_entry(where)));
      }
    }
    auto parent = open_directory(name, parts, parts.size() - 1);
    if (parent.error) return *parent.error;
    if (symlinkat(target, parent.fd.get(), parts.back().c_str()) != 0) {
      if (errno == EEXIST) return refused(name, "is in the archive twice");
      return disk_error("unpack '" + shown_entry(name) + "'", directory_, errno);
    }
    std::string path;
    for (const auto& part : parts) path += (path.empty() ? "" : "/") + part;
    links_.push_back(std::move(path));
    ++summary_.files;
    return ok();
  }

  // A second name of a file that came before, in this archive.
  Status make_hardlink(const std::string& name, const std::vector<std::string>& parts,
                       std::string_view target) {
    auto target_parts = split_path(name, target);
    if (target_parts.has_error()) return target_parts.error();
    if (target_parts->empty()) return refused(name, "is a hard link to nothing");
    auto from = open_directory(name, *target_parts, target_parts->size() - 1);
    if (from.error) return *from.error;
    struct stat info;
    if (fstatat(from.fd.get(), target_parts->back().c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(info.st_mode))
      return refused(name, fmt::format("is a hard link to '{}', which is no file of the package",
                                       shown_entry(target)));
    auto to = open_directory(name, parts, parts.size() - 1);
    if (to.error) return *to.error;
    if (linkat(from.fd.get(), target_parts->back().c_str(), to.fd.get(), parts.back().c_str(), 0) !=
        0) {
      if (errno == EEXIST) return refused(name, "is in the archive twice");
      return disk_error("unpack '" + shown_entry(name) + "'", directory_, errno);
    }
    ++summary_.files;
    return ok();
  }

  archive* in_;
  const int root_;
  const std::string directory_;
  const PackageLimits& limits_;
  TreeSummary summary_;
  std::uint64_t entries_ = 0;
  std::string last_;
  std::vector<std::string> links_;
};

// libarchive reads a zip from its front and does not miss a directory that was cut off; every other
// tool would. True for what is no zip. (APPNOTE.TXT 4.3.16: the end record, then a comment.)
bool zip_is_whole(int file) {
  constexpr std::size_t kEndRecord = 22;
  constexpr std::size_t kCommentMax = 65'535;
  char magic[4] = {};
  if (pread(file, magic, sizeof(magic), 0) != 4 || std::memcmp(magic, "PK\x03\x04", 4) != 0)
    return true;
  struct stat info {};
  if (fstat(file, &info) != 0) return true;
  const auto size = static_cast<std::size_t>(info.st_size);
  std::string tail(std::min(size, kEndRecord + kCommentMax), '\0');
  const auto got = pread(file, tail.data(), tail.size(), static_cast<off_t>(size - tail.size()));
  return got == static_cast<ssize_t>(tail.size()) &&
         tail.rfind("PK\x05\x06", tail.size() - std::min(tail.size(), kEndRecord)) !=
             std::string::npos;
}

}  // namespace

Result<TreeSummary> unpack_archive(const std::string& archive_path, const std::string& directory,
                                   const PackageLimits& limits) {
  const Utf8Scope utf8;
  const os::Fd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return disk_error("open", directory, errno);
  const os::Fd file(open(archive_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return disk_error("open", archive_path, errno);
  if (!zip_is_whole(file.get()))
    return invalid("The .zip archive is cut off: its directory at the end is missing.");
  Archive in(archive_read_new(), archive_read_free);
  // Only what is promised: every format and filter more is code that meets foreign bytes.
  archive_read_support_format_zip(in.get());
  archive_read_support_format_tar(in.get());
  archive_read_support_filter_gzip(in.get());
  if (archive_read_open_fd(in.get(), file.get(), 128 * 1024) != ARCHIVE_OK)
    return invalid("These bytes are not a .zip, .tar or .tar.gz archive.");
  return Unpacker(in.get(), root.get(), directory, limits).run();
}

}  // namespace mayfly::functions
