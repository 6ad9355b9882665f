#include "functions/image_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "functions/entry_name.h"
#include "functions/image_config.h"
#include "functions/tree.h"
#include "functions/utf8_scope.h"
#include "os/fd.h"

namespace mayfly::functions {

namespace {

constexpr std::size_t kEntryDepthMax = 128, kEntryLinkMax = 4095;
constexpr std::size_t kHeaderBytes = 4096;  // of an entry in a tar archive, its long names included
constexpr std::string_view kWhiteout = ".wh.", kOpaque = ".wh..wh..opq", kReservedName = ".wh..wh.";

using LayerArchive = std::unique_ptr<archive, int (*)(archive*)>;

Error refuse_entry(std::string_view name, std::string_view why) {
  return refused_entry("image", name, why);
}

Error entry_error(std::string_view name, int error) {
  return disk_error("unpack '" + shown_entry(name) + "'", "the images", error);
}

std::string archive_problem(archive* in) {
  const char* text = archive_error_string(in);
  return shown_entry(text == nullptr ? "unknown format" : text);
}

// The tar archive in a blob: taken out of its compression, counted and hashed on its way.
class LayerStream {
 public:
  LayerStream(int blob, const ImageLimits& limits, ImageSize& size)
      : blob_(blob), limits_(limits), size_(size), raw_(archive_read_new(), archive_read_free) {}

  Status open() {
    hash_.reset(EVP_MD_CTX_new());
    if (hash_ == nullptr || EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr) != 1)
      return Error{Code::internal, "SHA-256 is not available.", "unpack an image"};
    archive_read_support_format_raw(raw_.get());
    archive_read_support_filter_gzip(raw_.get());
    archive_read_support_filter_zstd(raw_.get());
    archive_entry* entry = nullptr;
    if (archive_read_open_fd(raw_.get(), blob_, kBufferBytes) != ARCHIVE_OK ||
        archive_read_next_header(raw_.get(), &entry) != ARCHIVE_OK)
      return invalid(
          "The image was refused: a layer cannot be read: " + archive_problem(raw_.get()) + ".");
    return ok();
  }

  // 0 at the end; less: problem() says why.
  la_ssize_t read(const void** bytes) {
    const la_ssize_t got = archive_read_data(raw_.get(), buffer_.data(), buffer_.size());
    if (got < 0) {
      problem_ = invalid(
          "The image was refused: a layer is damaged: " + archive_problem(raw_.get()) + ".");
      return -1;
    }
    size_.stream += static_cast<std::uint64_t>(got);
    if (size_.stream > limits_.unpacked_bytes_max + kHeaderBytes * limits_.files_max) {
      problem_ = Error{Code::too_large,
                       fmt::format("The image was refused: its layers have more than {} bytes "
                                   "(setting images.unpacked_bytes_max).",
                                   limits_.unpacked_bytes_max)};
      return -1;
    }
    EVP_DigestUpdate(hash_.get(), buffer_.data(), static_cast<std::size_t>(got));
    *bytes = buffer_.data();
    return got;
  }

  // What stands behind the archive's end counts for the digest.
  Status finish(const std::string& diff_id) {
    const void* rest = nullptr;
    for (la_ssize_t got = 1; got != 0;) {
      got = read(&rest);
      if (got < 0) return *problem_;
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_DigestFinal_ex(hash_.get(), digest, &length);
    const std::string hex = to_hex({reinterpret_cast<const char*>(digest), length});
    if (hex == digest_hex(diff_id)) return ok();
    return invalid(
        fmt::format("The image was refused: a layer has the SHA-256 {} and not {}, as "
                    "its configuration says.",
                    hex, diff_id));
  }

  const std::optional<Error>& problem() const { return problem_; }

 private:
  static constexpr std::size_t kBufferBytes = 128 * 1024;
  struct FreeHash {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const int blob_;
  const ImageLimits& limits_;
  ImageSize& size_;
  LayerArchive raw_;
  std::unique_ptr<EVP_MD_CTX, FreeHash> hash_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
  std::optional<Error> problem_;
};

la_ssize_t read_layer(archive*, void* stream, const void** bytes) {
  return static_cast<LayerStream*>(stream)->read(bytes);
}

// With the tree as the root of all links.
os::Fd open_in_tree(int tree, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return os::Fd(static_cast<int>(
      ::syscall(SYS_openat2, tree, path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

// Removes what a name in a directory stands for, and all below it; follows no link.
int remove_at(int directory, const char* name) {
  if (::unlinkat(directory, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return errno;
  const os::Fd inner(::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner) return errno;
  // By the name of the descriptor: nothing that a layer wrote is resolved.
  remove_below("/proc/self/fd/" + std::to_string(inner.get()));
  return ::unlinkat(directory, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

std::string join_parts(const std::vector<std::string>& parts, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) path += (i == 0 ? "" : "/") + parts[i];
  return path;
}

class LayerUnpacker {
 public:
  LayerUnpacker(archive* in, int tree, const ImageLimits& limits, ImageSize& size)
      : in_(in), tree_(tree), limits_(limits), size_(size) {}

  Status take(archive_entry* entry) {
    const char* raw = archive_entry_pathname_utf8(entry);
    if (raw == nullptr) raw = archive_entry_pathname(entry);
    if (raw == nullptr) return invalid("The image was refused: an entry has no readable name.");
    name_ = raw;
    if (++size_.files > limits_.files_max)
      return Error{Code::too_large,
                   fmt::format("The image was refused at the entry '{}': it has more than {} files "
                               "and directories (setting images.files_max).",
                               shown_entry(name_), limits_.files_max)};
    auto parts = entry_parts("image", name_, name_, kEntryDepthMax);
    if (parts.has_error()) return parts.error();
    if (parts->empty()) return ok();  // the top, as tar writes it
    parts_ = std::move(*parts);
    const std::string& last = parts_.back();
    if (last.starts_with(kWhiteout)) return whiteout(last);
    const char* hardlink = archive_entry_hardlink_utf8(entry);
    if (hardlink == nullptr) hardlink = archive_entry_hardlink(entry);
    const auto type = archive_entry_filetype(entry);
    const bool device = type == AE_IFCHR || type == AE_IFBLK;
    if (hardlink == nullptr && device && parts_.front() == "dev") return ok();
    if (hardlink == nullptr && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
      return refuse_entry(name_, device ? "is a device" : "is neither file, directory nor link");
    if (auto opened = open_parent(true); opened.has_error()) return opened.error();
    // With the directories above it, which a layer need not name.
    for (std::size_t i = 1; i <= parts_.size(); ++i) made_.insert(join_parts(parts_, i));
    if (hardlink != nullptr) return make_hardlink(hardlink);
    if (type == AE_IFDIR) return make_directory();
    if (const int failed = remove_at(parent_.get(), last.c_str()); failed != 0)
      return entry_error(name_, failed);
    return type == AE_IFLNK ? make_symlink(entry) : make_file(entry);
  }

 private:
  // Into parent_: the directory that holds the entry, through links of the tree. False: there is
  // none, and it was not to be made.
  Result<bool> open_parent(bool make) {
    const std::size_t count = parts_.size() - 1;
    parent_ = open_in_tree(tree_, join_parts(parts_, count), O_PATH | O_DIRECTORY);
    if (parent_) return true;
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) return entry_error(name_, errno);
    if (!make) return false;
    os::Fd above = open_in_tree(tree_, "", O_PATH | O_DIRECTORY);
    for (std::size_t i = 1; i <= count; ++i) {
      os::Fd next = open_in_tree(tree_, join_parts(parts_, i), O_PATH | O_DIRECTORY);
      if (!next && errno == ENOENT && ::mkdirat(above.get(), parts_[i - 1].c_str(), 0755) == 0) {
        ::fchmodat(above.get(), parts_[i - 1].c_str(), 0755, 0);
        next = open_in_tree(tree_, join_parts(parts_, i), O_PATH | O_DIRECTORY);
      }
      if (!next && (errno == ENOSPC || errno == EDQUOT)) return entry_error(name_, errno);
      if (!next)
        return refuse_entry(name_, fmt::format("is below '{}', which is no directory",
                                               shown_entry(join_parts(parts_, i))));
      above = std::move(next);
    }
    parent_ = std::move(above);
    return true;
  }

  // Hides what earlier layers have, and not what this one has.
  Status whiteout(const std::string& last) {
    const std::string hidden = last.substr(kWhiteout.size());
    if (hidden.empty() || hidden == "." || hidden == "..")
      return refuse_entry(name_, "is a whiteout of nothing");
    const auto opened = open_parent(false);
    if (opened.has_error()) return opened.error();
    if (!*opened) return ok();
    if (last == kOpaque) return remove_lower(parent_.get(), join_parts(parts_, parts_.size() - 1));
    if (last.starts_with(kReservedName)) return ok();  // notes of aufs
    const std::string path = join_parts(parts_, parts_.size() - 1);
    if (made_.contains(path.empty() ? hidden : path + "/" + hidden)) return ok();
    const int failed = remove_at(parent_.get(), hidden.c_str());
    return failed == 0 ? Status(ok()) : entry_error(name_, failed);
  }

  // Whatever in a directory is not of this layer; what is, keeps the directories above it.
  Status remove_lower(int directory, const std::string& path) {
    for (const auto& child : names_in(directory)) {
      const std::string below = path.empty() ? child : path + "/" + child;
      struct stat info {};
      if (::fstatat(directory, child.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (!made_.contains(below)) {
        if (const int failed = remove_at(directory, child.c_str()); failed != 0)
          return entry_error(name_, failed);
      } else if (S_ISDIR(info.st_mode)) {
        const os::Fd inner(
            ::openat(directory, child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (inner) MAYFLY_TRY(remove_lower(inner.get(), below));
      }
    }
    return ok();
  }

  Status make_directory() {
    const char* last = parts_.back().c_str();
    struct stat info {};
    if (::fstatat(parent_.get(), last, &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISDIR(info.st_mode)) return ok();
      if (::unlinkat(parent_.get(), last, 0) != 0) return entry_error(name_, errno);
    }
    if (::mkdirat(parent_.get(), last, 0755) != 0 ||
        ::fchmodat(parent_.get(), last, 0755, 0) != 0)  // the umask is another's
      return entry_error(name_, errno);
    return ok();
  }

  Status make_symlink(archive_entry* entry) {
    const char* target = archive_entry_symlink_utf8(entry);
    if (target == nullptr) target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return refuse_entry(name_, "is a link to nothing");
    if (std::string_view(target).size() > kEntryLinkMax)
      return refuse_entry(name_, fmt::format("is a link of more than {} bytes", kEntryLinkMax));
    if (::symlinkat(target, parent_.get(), parts_.back().c_str()) != 0)
      return entry_error(name_, errno);
    return ok();
  }

  // A second name of a file of this or an earlier layer.
  Status make_hardlink(std::string_view target) {
    auto parts = entry_parts("image", name_, target, kEntryDepthMax);
    if (parts.has_error()) return parts.error();
    if (parts->empty()) return refuse_entry(name_, "is a hard link to nothing");
    if (*parts == parts_) return ok();
    const os::Fd from =
        open_in_tree(tree_, join_parts(*parts, parts->size() - 1), O_PATH | O_DIRECTORY);
    struct stat info {};
    if (!from || ::fstatat(from.get(), parts->back().c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)))
      return refuse_entry(name_,
                          fmt::format("is a hard link to '{}', which is no file of the image",
                                      shown_entry(target)));
    if (const int failed = remove_at(parent_.get(), parts_.back().c_str()); failed != 0)
      return entry_error(name_, failed);
    if (::linkat(from.get(), parts->back().c_str(), parent_.get(), parts_.back().c_str(), 0) != 0)
      return entry_error(name_, errno);
    return ok();
  }

  Status make_file(archive_entry* entry) {
    const os::Fd file(::openat(parent_.get(), parts_.back().c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return entry_error(name_, errno);
    const bool program = (archive_entry_perm(entry) & 0111) != 0;
    if (::fchmod(file.get(), program ? 0755 : 0644) != 0) return entry_error(name_, errno);
    for (;;) {
      const la_ssize_t got = archive_read_data(in_, buffer_.data(), buffer_.size());
      if (got == 0) return ok();
      if (got == ARCHIVE_RETRY) continue;
      if (got < 0)
        return invalid(
            fmt::format("The image was refused: a layer is damaged in the entry '{}': "
                        "{}.",
                        shown_entry(name_), archive_problem(in_)));
      const auto count = static_cast<std::size_t>(got);
      size_.bytes += count;
      if (size_.bytes > limits_.unpacked_bytes_max)
        return Error{Code::too_large,
                     fmt::format("The image was refused at the entry '{}': it has more than {} "
                                 "bytes unpacked (setting images.unpacked_bytes_max).",
                                 shown_entry(name_), limits_.unpacked_bytes_max)};
      for (std::size_t done = 0; done < count;) {
        const ssize_t wrote = ::write(file.get(), buffer_.data() + done, count - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return entry_error(name_, errno);
        done += static_cast<std::size_t>(wrote);
      }
    }
  }

  archive* in_;
  const int tree_;
  const ImageLimits& limits_;
  ImageSize& size_;
  std::string name_;
  std::vector<std::string> parts_;
  os::Fd parent_;
  std::unordered_set<std::string> made_;  // paths of this layer
  std::vector<char> buffer_ = std::vector<char>(128 * 1024);
};

// A plain folder of that name, whatever was there.
Status settle_folder(int directory, const char* name) {
  struct stat info {};
  if (::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    if (S_ISDIR(info.st_mode)) return ok();
    if (::unlinkat(directory, name, 0) != 0) return entry_error(name, errno);
  }
  if (::mkdirat(directory, name, 0755) != 0 || ::fchmodat(directory, name, 0755, 0) != 0)
    return entry_error(name, errno);
  return ok();
}

Status settle_file(int directory, const char* name) {
  struct stat info {};
  if (::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
    return ok();
  if (const int failed = remove_at(directory, name); failed != 0) return entry_error(name, failed);
  const os::Fd file(
      ::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file || ::fchmod(file.get(), 0644) != 0) return entry_error(name, errno);
  return ok();
}

os::Fd open_plain_folder(int directory, const char* name) {
  return os::Fd(::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

}  // namespace

Status apply_layer(int blob, int tree, const std::string& diff_id, const ImageLimits& limits,
                   ImageSize& size) {
  const Utf8Scope utf8;
  LayerStream stream(blob, limits, size);
  MAYFLY_TRY(stream.open());
  LayerArchive in(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(in.get());
  const auto broken = [&]() -> Error {
    if (stream.problem()) return *stream.problem();
    return invalid("The image was refused: a layer is no tar archive, or damaged: " +
                   archive_problem(in.get()) + ".");
  };
  if (archive_read_open(in.get(), &stream, nullptr, read_layer, nullptr) != ARCHIVE_OK)
    return broken();
  LayerUnpacker unpacker(in.get(), tree, limits, size);
  for (;;) {
    archive_entry* entry = nullptr;
    const int got = archive_read_next_header(in.get(), &entry);
    if (got == ARCHIVE_EOF) break;
    if (got == ARCHIVE_RETRY) continue;
    if (got < ARCHIVE_WARN) return broken();
    auto taken = unpacker.take(entry);
    // The stream's own problem is the cause of what the archive says.
    if (taken.has_error()) return stream.problem() ? *stream.problem() : taken.error();
  }
  return stream.finish(diff_id);
}

Status check_layer(int blob, const std::string& diff_id, const ImageLimits& limits,
                   ImageSize& size) {
  LayerStream stream(blob, limits, size);
  MAYFLY_TRY(stream.open());
  return stream.finish(diff_id);
}

Status make_mount_points(int tree) {
  for (const char* name : {"proc", "dev", "tmp"}) MAYFLY_TRY(settle_folder(tree, name));
  MAYFLY_TRY(settle_folder(tree, "etc"));
  const os::Fd etc = open_plain_folder(tree, "etc");
  if (!etc) return entry_error("etc", errno);
  for (const char* name : {"resolv.conf", "hosts"}) MAYFLY_TRY(settle_file(etc.get(), name));
  // What starts extensions; an image whose /var is a link has none.
  if (::mkdirat(tree, "var", 0755) == 0) ::fchmodat(tree, "var", 0755, 0);
  const os::Fd var = open_plain_folder(tree, "var");
  if (var) MAYFLY_TRY(settle_folder(var.get(), "runtime-lib"));
  return ok();
}

}  // namespace mayfly::functions
