#include "spawner/writable.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "os/fd.h"

namespace mayfly::spawner {

namespace {

struct Walk {
  uid_t user;
  gid_t group;
  dev_t device;
  int error = 0;
};

constexpr int kDepthMax = 256;

// Consumes fd. The tree may have been made by hostile code, but nothing writes to it now.
void walk(Walk& w, int fd, int depth) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd), &::closedir);
  if (!dir) {
    w.error = errno;
    ::close(fd);
    return;
  }
  while (dirent* entry = ::readdir(dir.get())) {
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info {};
    if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (info.st_dev != w.device) continue;
    if (S_ISDIR(info.st_mode)) {
      int below = ::openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0 && depth < kDepthMax) {
        walk(w, below, depth + 1);
      } else {
        w.error = below < 0 ? errno : ELOOP;
        if (below >= 0) ::close(below);
      }
    }
    if (::fchownat(fd, entry->d_name, w.user, w.group, AT_SYMLINK_NOFOLLOW) != 0) w.error = errno;
  }
}

}  // namespace

Status change_owner(const std::string& path, uid_t user, gid_t group) {
  os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0)
    return errno_error("open writable mount " + path, errno);
  Walk w{user, group, info.st_dev};
  if (::fchown(fd.get(), user, group) != 0) w.error = errno;
  if (S_ISDIR(info.st_mode)) walk(w, fd.release(), 0);
  if (w.error != 0) return errno_error("change owner in writable mount " + path, w.error);
  return ok();
}

}  // namespace mayfly::spawner
