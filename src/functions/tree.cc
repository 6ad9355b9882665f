#include "functions/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "functions/entry_name.h"
#include "os/fd.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSyncEachMax = 64;

Error refuse_file(std::string_view name, std::string_view why) {
  return refused_entry("package", name, why);
}

// 0, or the errno of resolving path with root as the top: EXDEV when it leaves.
int resolve_beneath(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const os::Fd opened(
      static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
  return opened.valid() ? 0 : errno;
}

bool within(const fs::path& path, const fs::path& root) {
  const auto relative = path.lexically_relative(root);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

Error disk_error(const std::string& step, const std::string& path, int sys_errno) {
  if (sys_errno == ENOSPC || sys_errno == EDQUOT)
    return Error{Code::io_error,
                 "The disk that holds " + path +
                     " is full: nothing was kept. Free some space and try again.",
                 step, sys_errno};
  Error error = errno_error(step, sys_errno);
  error.message += " (" + path + ")";
  return error;
}

bool looks_executable(std::string_view first_bytes) {
  return first_bytes.substr(0, 4) ==
             "\x7f"
             "ELF" ||
         first_bytes.substr(0, 2) == "#!";
}

Status check_links(const std::string& root, const std::vector<std::string>& links) {
  const os::Fd top(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return errno_error("open " + root, errno);
  for (const auto& link : links) {
    std::error_code error;
    const fs::path target = fs::read_symlink(fs::path(root) / link, error);
    if (error) return errno_error("read the link " + link, error.value());
    if (target.is_absolute())
      return refuse_file(link,
                         "is a link to an absolute path (" + shown_entry(target.string()) + ")");
    int failed = resolve_beneath(top.get(), link);
    if (failed == ENOSYS || failed == EPERM) {  // old kernel, or a filter that does not know it
      const auto real = fs::weakly_canonical(fs::path(root) / link, error);
      failed = error ? error.value() : within(real, fs::canonical(root, error)) ? 0 : EXDEV;
    }
    // A link to nothing leads nowhere, as long as the way does not leave either.
    if (failed == ENOENT || failed == ENOTDIR) {
      const fs::path written = (fs::path(link).parent_path() / target).lexically_normal();
      failed = !written.empty() && *written.begin() == ".." ? EXDEV : 0;
    }
    if (failed == EXDEV)
      return refuse_file(
          link, "is a link that leaves the package (" + shown_entry(target.string()) + ")");
    if (failed == ELOOP) return refuse_file(link, "is a link that leads back to itself");
    if (failed != 0) return errno_error("follow the link " + link, failed);
  }
  return ok();
}

Result<TreeSummary> normalise_tree(const std::string& root) {
  TreeSummary summary;
  std::vector<std::string> links;
  std::error_code error;
  const bool owner = geteuid() == 0;
  chmod(root.c_str(), 0755);
  if (owner && lchown(root.c_str(), 0, 0) != 0) return errno_error("own " + root, errno);
  auto at = fs::recursive_directory_iterator(root, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const std::string path = at->path().string();
    const std::string name = path.substr(root.size() + 1);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) return errno_error("look at " + name, errno);
    if (owner && lchown(path.c_str(), 0, 0) != 0) return errno_error("own " + name, errno);
    if (S_ISLNK(info.st_mode)) {
      links.push_back(name);
      continue;
    }
    if (S_ISDIR(info.st_mode)) {
      if (chmod(path.c_str(), 0755) != 0) return errno_error("set the mode of " + name, errno);
      continue;
    }
    if (!S_ISREG(info.st_mode)) return refuse_file(name, "is neither file, directory nor link");
    const mode_t mode = (info.st_mode & 0111) != 0 ? 0755 : 0644;
    if (chmod(path.c_str(), mode) != 0) return errno_error("set the mode of " + name, errno);
    summary.bytes += static_cast<std::uint64_t>(info.st_size);
    ++summary.files;
  }
  if (error) return errno_error("read " + root, error.value());
  MAYFLY_TRY(check_links(root, links));
  return summary;
}

TreeSummary measure_tree(const std::string& root) {
  TreeSummary summary;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(root, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    struct stat info;
    if (lstat(at->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    summary.bytes += static_cast<std::uint64_t>(info.st_size);
    ++summary.files;
  }
  return summary;
}

Status lay_over(const std::string& source, const std::string& target,
                std::vector<std::string>& links) {
  std::error_code error;
  auto at = fs::recursive_directory_iterator(source, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const std::string from = at->path().string();
    const std::string name = from.substr(source.size() + 1);
    const std::string to = target + "/" + name;
    struct stat info, there;
    if (lstat(from.c_str(), &info) != 0) return errno_error("look at " + name, errno);
    if (lstat(to.c_str(), &there) == 0) {
      if (S_ISDIR(info.st_mode) && S_ISDIR(there.st_mode)) continue;
      remove_tree(to);
    }
    if (S_ISDIR(info.st_mode)) {
      if (mkdir(to.c_str(), 0755) != 0 || chmod(to.c_str(), 0755) != 0)
        return disk_error("merge layers", to, errno);
    } else if (S_ISLNK(info.st_mode)) {
      fs::copy_symlink(from, to, error);
      if (error) return disk_error("merge layers", to, error.value());
      links.push_back(name);
    } else if (link(from.c_str(), to.c_str()) != 0) {
      fs::copy_file(from, to, error);  // another disk, or too many links
      if (error || chmod(to.c_str(), info.st_mode & 0777) != 0)
        return disk_error("merge layers", to, error ? error.value() : errno);
    }
  }
  if (error) return errno_error("read " + source, error.value());
  return ok();
}

Status sync_directory(const std::string& path) {
  const os::Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.get()) != 0) return disk_error("sync", path, errno);
  return ok();
}

Status sync_tree(const std::string& root, std::uint64_t files) {
  const os::Fd top(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return disk_error("open", root, errno);
  if (files > kSyncEachMax) {  // then it costs less to sync the file system
    if (syncfs(top.get()) != 0) return disk_error("sync", root, errno);
    return ok();
  }
  std::error_code error;
  auto at = fs::recursive_directory_iterator(root, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_symlink(error)) continue;
    const os::Fd file(open(at->path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file || fsync(file.get()) != 0) return disk_error("sync", at->path().string(), errno);
  }
  if (error) return disk_error("read", root, error.value());
  if (fsync(top.get()) != 0) return disk_error("sync", root, errno);
  return ok();
}

Status copy_tree_writable(const std::string& source, const std::string& target) {
  std::error_code error;
  fs::copy(source, target, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error) return disk_error("copy the package", target, error.value());
  return open_up_tree(target);
}

Status open_up_tree(const std::string& root) {
  std::error_code error;
  if (chmod(root.c_str(), 0777) != 0) return disk_error("open up", root, errno);
  auto at = fs::recursive_directory_iterator(root, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    struct stat info;
    if (lstat(at->path().c_str(), &info) != 0 || S_ISLNK(info.st_mode)) continue;
    const mode_t mode = S_ISDIR(info.st_mode) || (info.st_mode & 0100) != 0 ? 0777 : 0666;
    if (chmod(at->path().c_str(), mode) != 0) return disk_error("open up", at->path(), errno);
  }
  if (error) return disk_error("read", root, error.value());
  return ok();
}

void remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
}

void remove_below(const std::string& path) {
  std::error_code error;
  std::vector<fs::path> children;
  for (auto at = fs::directory_iterator(path, error); !error && at != fs::directory_iterator();
       at.increment(error))
    children.push_back(at->path());
  for (const auto& child : children) fs::remove_all(child, error);
}

std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> open(copy < 0 ? nullptr : fdopendir(copy), &closedir);
  if (!open) return names;
  while (const dirent* entry = readdir(open.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

}  // namespace mayfly::functions
