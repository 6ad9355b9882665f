#include "cli/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/ids.h"
#include "cli/glob.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIgnoreFile = ".mayflyignore";
constexpr std::size_t kReadBytes = 128 * 1024;

struct Item {
  fs::path host;
  std::string name;  // in the archive
};

struct Free {
  void operator()(archive* a) const { archive_write_free(a); }
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

Error archive_error(archive* a, const std::string& path) {
  const char* text = archive_error_string(a);
  return Error{Code::io_error, fmt::format("cannot pack {}: {}", path, text ? text : "no reason")};
}

Status write_content(archive* out, const fs::path& path, std::uint64_t promised) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error("open " + path.string(), errno);
  std::string chunk(kReadBytes, '\0');
  std::uint64_t done = 0;
  for (;;) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read " + path.string(), errno);
    if (got == 0) break;
    done += static_cast<std::uint64_t>(got);
    if (done > promised) break;
    if (archive_write_data(out, chunk.data(), static_cast<std::size_t>(got)) != got)
      return archive_error(out, path.string());
  }
  if (done != promised)
    return Error{Code::conflict, path.string() + " changed while it was packed; try again"};
  return ok();
}

Status write_item(archive* out, const Item& item) {
  struct stat info {};
  if (::lstat(item.host.c_str(), &info) != 0)
    return errno_error("look at " + item.host.string(), errno);
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), item.name.c_str());
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  std::uint64_t content = 0;
  if (S_ISLNK(info.st_mode)) {
    std::error_code failed;
    const fs::path target = fs::read_symlink(item.host, failed);
    if (failed) return errno_error("read the link " + item.host.string(), failed.value());
    archive_entry_set_filetype(entry.get(), AE_IFLNK);
    archive_entry_set_perm(entry.get(), 0777);
    archive_entry_set_symlink(entry.get(), target.c_str());
  } else if (S_ISDIR(info.st_mode)) {
    archive_entry_set_filetype(entry.get(), AE_IFDIR);
    archive_entry_set_perm(entry.get(), 0755);
  } else if (S_ISREG(info.st_mode)) {
    content = static_cast<std::uint64_t>(info.st_size);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), (info.st_mode & 0111) != 0 ? 0755 : 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content));
  } else {
    return Error{Code::invalid_argument, item.host.string() +
                                             " is neither file, folder nor link; list it in " +
                                             kIgnoreFile + " or move it away"};
  }
  if (archive_write_header(out, entry.get()) < ARCHIVE_WARN)
    return archive_error(out, item.host.string());
  if (S_ISREG(info.st_mode)) return write_content(out, item.host, content);
  return ok();
}

Status write_text(archive* out, const std::string& name, const std::string& content) {
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
  if (archive_write_header(out, entry.get()) < ARCHIVE_WARN) return archive_error(out, name);
  if (archive_write_data(out, content.data(), content.size()) !=
      static_cast<la_ssize_t>(content.size()))
    return archive_error(out, name);
  return ok();
}

bool always_ignored(const std::string& name) {
  return name == ".git" || name == "__pycache__" || name == ".DS_Store" || name == kIgnoreFile;
}

Status collect(const fs::path& root, const fs::path& directory, const IgnoreList& ignore,
               std::vector<Item>& items) {
  std::error_code failed;
  for (fs::directory_iterator at(directory, failed), end; !failed && at != end;
       at.increment(failed)) {
    const fs::path path = at->path();
    const std::string name = path.lexically_relative(root).string();
    std::error_code ignored;
    const bool is_directory = fs::is_directory(fs::symlink_status(path, ignored));
    if (always_ignored(path.filename().string()) || ignore.ignores(name, is_directory)) continue;
    items.push_back({path, name});
    if (is_directory) MAYFLY_TRY(collect(root, path, ignore, items));
  }
  if (failed) return errno_error("read the folder " + directory.string(), failed.value());
  return ok();
}

Result<os::Fd> scratch_file() {
  const char* directory = std::getenv("TMPDIR");
  if (directory == nullptr || directory[0] == '\0') directory = "/tmp";
  os::Fd file(::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) file = os::Fd(::memfd_create("mayfly-package", MFD_CLOEXEC));
  if (!file) return errno_error(std::string("make a scratch file in ") + directory, errno);
  return file;
}

Result<PackedFile> digest(os::Fd file, const std::string& path) {
  PackedFile packed;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return Error{Code::internal, "SHA-256 is not to be had"};
  std::string chunk(kReadBytes, '\0');
  for (;;) {
    const ssize_t got =
        ::pread(file.get(), chunk.data(), chunk.size(), static_cast<off_t>(packed.bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read " + path, errno);
    if (got == 0) break;
    EVP_DigestUpdate(context.get(), chunk.data(), static_cast<std::size_t>(got));
    packed.bytes += static_cast<std::uint64_t>(got);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw;
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), raw.data(), &size);
  packed.sha256 = to_hex({reinterpret_cast<const char*>(raw.data()), size});
  packed.file = std::move(file);
  return packed;
}

Result<PackedFile> pack_into(const std::vector<Item>& items, const std::string& path,
                             const std::string* content) {
  auto file = scratch_file();
  if (file.has_error()) return file.error();
  std::unique_ptr<archive, Free> out(archive_write_new());
  // The gzip header would hold the time of packing.
  if (archive_write_set_format_pax_restricted(out.get()) != ARCHIVE_OK ||
      archive_write_add_filter_gzip(out.get()) != ARCHIVE_OK ||
      archive_write_set_options(out.get(), "gzip:!timestamp,gzip:compression-level=4") !=
          ARCHIVE_OK ||
      archive_write_open_fd(out.get(), file->get()) != ARCHIVE_OK)
    return archive_error(out.get(), path);
  for (const auto& item : items) MAYFLY_TRY(write_item(out.get(), item));
  if (content != nullptr) MAYFLY_TRY(write_text(out.get(), path, *content));
  if (archive_write_close(out.get()) != ARCHIVE_OK) return archive_error(out.get(), path);
  return digest(std::move(*file), path);
}

Result<PackedFile> pack_items(std::vector<Item> items, const std::string& path) {
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.name < b.name; });
  return pack_into(items, path, nullptr);
}

bool ends_with_ignoring_case(const std::string& text, std::string_view ending) {
  return text.size() > ending.size() &&
         std::equal(ending.rbegin(), ending.rend(), text.rbegin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

}  // namespace

bool is_archive(const std::string& path) {
  for (const auto ending : {".zip", ".tar.gz", ".tgz", ".tar"})
    if (ends_with_ignoring_case(path, ending)) return true;
  return false;
}

IgnoreList::IgnoreList(std::string_view text) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    Pattern pattern;
    if (line.back() == '/') {
      pattern.directories_only = true;
      line.pop_back();
    }
    if (!line.empty() && line[0] == '/') {
      pattern.whole_path = true;
      line.erase(0, 1);
    }
    if (line.find('/') != std::string::npos) pattern.whole_path = true;
    pattern.glob = line;
    if (!line.empty()) patterns_.push_back(std::move(pattern));
  }
}

bool IgnoreList::ignores(const std::string& path, bool is_directory) const {
  const auto slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  for (const auto& pattern : patterns_) {
    if (pattern.directories_only && !is_directory) continue;
    const std::string& subject = pattern.whole_path ? path : name;
    if (::fnmatch(pattern.glob.c_str(), subject.c_str(), FNM_PATHNAME) == 0) return true;
  }
  return false;
}

std::string default_name(const std::string& path) {
  std::error_code failed;
  fs::path whole = fs::absolute(path, failed).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  std::string stem = whole.filename().string();
  if (!fs::is_directory(whole, failed)) {
    for (const auto ending : {".tar.gz", ".tgz", ".tar", ".zip"})
      if (ends_with_ignoring_case(stem, ending)) {
        stem.resize(stem.size() - std::string_view(ending).size());
        break;
      }
    if (!is_archive(path)) {
      if (const auto dot = stem.rfind('.'); dot != std::string::npos && dot > 0) stem.resize(dot);
    }
  }
  std::string name;
  for (const char c : stem) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (allowed)
      name += c;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (name.size() > 64) name.resize(64);
  return name.empty() ? "function" : name;
}

Result<PackedFile> pack(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Error{Code::not_found, "there is no file or folder " + path};
    return errno_error("look at " + path, errno);
  }
  if (S_ISREG(info.st_mode) && is_archive(path)) {
    os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return errno_error("open " + path, errno);
    return digest(std::move(file), path);
  }
  if (S_ISREG(info.st_mode)) {
    std::error_code failed;
    const fs::path real = fs::canonical(path, failed);  // a link is packed as what it names
    if (failed) return errno_error("look at " + path, failed.value());
    return pack_items({{real, fs::path(path).filename().string()}}, path);
  }
  if (!S_ISDIR(info.st_mode))
    return Error{Code::invalid_argument, path + " is neither a file nor a folder"};

  std::ifstream in(path + "/" + kIgnoreFile);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  std::vector<Item> items;
  MAYFLY_TRY(collect(path, path, IgnoreList(text.str()), items));
  if (items.empty()) return Error{Code::invalid_argument, "the folder " + path + " is empty"};
  return pack_items(std::move(items), path);
}

Result<PackedFile> pack_image(const std::string& path) {
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) return pack(path);
  os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error("open " + path, errno);
  return digest(std::move(file), path);
}

Result<PackedFile> open_file(const std::string& path) {
  PackedFile out;
  if (path != "-") {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return invalid(path + " is a folder, not a file");
    out.file = os::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!out.file) return errno_error("open " + path, errno);
    const off_t size = ::lseek(out.file.get(), 0, SEEK_END);
    if (size < 0) return invalid(path + " is no regular file: use - and standard input");
    out.bytes = static_cast<std::uint64_t>(size);
    return out;
  }
  auto scratch = scratch_file();
  if (scratch.has_error()) return scratch.error();
  out.file = std::move(*scratch);
  std::string chunk(kReadBytes, '\0');
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read standard input", errno);
    if (got == 0) return out;
    for (ssize_t written = 0; written < got;) {
      const ssize_t n =
          ::write(out.file.get(), chunk.data() + written, static_cast<std::size_t>(got - written));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error("keep standard input in a scratch file", errno);
      written += n;
    }
    out.bytes += static_cast<std::uint64_t>(got);
  }
}

Result<PackedFile> pack_selected(const std::string& folder,
                                 const std::vector<std::string>& patterns) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed))
    return Error{Code::not_found, "there is no folder " + folder};
  std::ifstream in(folder + "/" + kIgnoreFile);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  std::vector<Item> items, taken;
  MAYFLY_TRY(collect(folder, folder, IgnoreList(text.str()), items));
  const PathSelection selection(patterns);
  for (auto& item : items)
    if (!fs::is_directory(fs::symlink_status(item.host, failed)) && selection.takes(item.name))
      taken.push_back(std::move(item));
  if (taken.empty())
    return Error{Code::invalid_argument, "the patterns leave nothing of the folder " + folder};
  return pack_items(std::move(taken), folder);
}

Result<PackedFile> pack_text(const std::string& name, const std::string& content) {
  return pack_into({}, name, &content);
}

}  // namespace mayfly::cli
