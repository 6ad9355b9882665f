#include "spawner/skeleton.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "os/files.h"
#include "spawner/etc.h"

namespace mayfly::spawner {

namespace {

constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE; <fcntl.h> lacks it before glibc 2.37
constexpr unsigned kSourceFlags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | kRecursive;

Result<os::Fd> clone_tree(const std::string& path) {
  os::Fd tree(::open_tree(AT_FDCWD, path.c_str(), kSourceFlags));
  if (!tree) return errno_error("open mount source " + path, errno);
  return tree;
}

Status set_attributes(int tree, std::uint64_t attributes, const std::string& what) {
  mount_attr attr{};
  attr.attr_set = attributes;
  if (::mount_setattr(tree, "", AT_EMPTY_PATH | kRecursive, &attr, sizeof attr) != 0) {
    return errno_error("set mount attributes of " + what, errno);
  }
  return ok();
}

Status attach(int tree, const std::string& path) {
  if (::move_mount(tree, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return errno_error("attach mount at " + path, errno);
  }
  return ok();
}

Status bind_mount(const std::string& from, const std::string& to, std::uint64_t attributes) {
  auto tree = clone_tree(from);
  if (tree.has_error()) return std::move(tree).error();
  MAYFLY_TRY(set_attributes(tree.value().get(), attributes, from));
  return attach(tree.value().get(), to);
}

Status make_dir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno_error("make directory " + path, errno);
  }
  return ok();
}

Status link_to(const char* target, const std::string& path) {
  if (::symlink(target, path.c_str()) != 0) return errno_error("make link " + path, errno);
  return ok();
}

// /bin, /lib and so on: the same link as on the host, or the same folder.
Status copy_top_level(const std::string& root) {
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    struct stat info {};
    if (::lstat(name, &info) != 0) continue;
    if (S_ISLNK(info.st_mode)) {
      char target[256];
      ssize_t size = ::readlink(name, target, sizeof target - 1);
      if (size <= 0) continue;
      target[size] = '\0';
      MAYFLY_TRY(link_to(target, root + name));
    } else if (S_ISDIR(info.st_mode)) {
      MAYFLY_TRY(make_dir(root + name));
      MAYFLY_TRY(
          bind_mount(name, root + name, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    }
  }
  return ok();
}

Status make_devices(const std::string& root) {
  MAYFLY_TRY(make_dir(root + "/dev"));
  for (const char* name : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
    os::Fd file(::open((root + name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (!file) return errno_error(std::string("make ") + name, errno);
    MAYFLY_TRY(bind_mount(name, root + name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  }
  MAYFLY_TRY(link_to("/proc/self/fd", root + "/dev/fd"));
  MAYFLY_TRY(link_to("/proc/self/fd/0", root + "/dev/stdin"));
  MAYFLY_TRY(link_to("/proc/self/fd/1", root + "/dev/stdout"));
  MAYFLY_TRY(link_to("/proc/self/fd/2", root + "/dev/stderr"));
  // POSIX shared memory counts against the private /tmp.
  return link_to("/tmp", root + "/dev/shm");
}

Status populate(const std::string& root) {
  for (const char* name : {"/usr", "/proc", "/tmp", "/etc", "/var", "/var/task", "/var/runtime",
                           "/opt", "/srv", "/run", "/home", "/mnt", "/root"}) {
    MAYFLY_TRY(make_dir(root + name));
  }
  MAYFLY_TRY(link_to("/tmp", root + "/var/tmp"));
  MAYFLY_TRY(
      bind_mount("/usr", root + "/usr", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  MAYFLY_TRY(copy_top_level(root));
  MAYFLY_TRY(make_devices(root));
  return fill_etc(root + "/etc");
}

Status mount_proc(const std::string& at) {
  if (::mount("proc", at.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) {
    return ok();
  }
  // Not ours to make without privilege over the pid namespace: what the host shows will do.
  auto tree = clone_tree("/proc");
  if (tree.has_error()) return std::move(tree).error();
  return attach(tree.value().get(), at);
}

}  // namespace

Result<Skeleton> Skeleton::build(const std::string& state_dir) {
  Skeleton skeleton;
  skeleton.root_ = state_dir + "/root";
  if (::unshare(CLONE_NEWNS) != 0) return errno_error("make mount namespace", errno);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno_error("make mounts private", errno);
  }
  auto home = os::open_file("/proc/self/ns/mnt", O_RDONLY);
  if (home.has_error()) return std::move(home).error();
  skeleton.home_ = std::move(home).value();

  MAYFLY_TRY(make_dir(skeleton.root_));
  if (::mount("mayfly", skeleton.root_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
              "size=16m,nr_inodes=20000,mode=0755") != 0) {
    return errno_error("mount root of the sandboxes at " + skeleton.root_, errno);
  }
  skeleton.writable_ =
      os::Fd(::open_tree(AT_FDCWD, skeleton.root_.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!skeleton.writable_) return errno_error("copy root of the sandboxes", errno);
  auto old_mask = ::umask(022);
  auto populated = populate(skeleton.root_);
  ::umask(old_mask);
  MAYFLY_TRY(populated);
  MAYFLY_TRY(skeleton.make_launch_namespace());
  return skeleton;
}

Status Skeleton::make_launch_namespace() {
  std::string base = root_ + "/mnt";  // only in the new namespace, then gone
  if (::unshare(CLONE_NEWNS) != 0) return errno_error("make launch namespace", errno);
  if (::mount("mayfly", base.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0755") != 0) {
    return errno_error("mount base of the launch namespace", errno);
  }
  MAYFLY_TRY(make_dir(base + kNewRoot));
  MAYFLY_TRY(make_dir(base + "/proc"));
  MAYFLY_TRY(mount_proc(base + "/proc"));
  if (::chdir(base.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0) {
    return errno_error("pivot into the launch namespace", errno);
  }
  auto launch = os::open_file("/proc/self/ns/mnt", O_RDONLY);
  if (launch.has_error()) return std::move(launch).error();
  launch_ = std::move(launch).value();
  if (::setns(home_.get(), CLONE_NEWNS) != 0) return errno_error("return to own mounts", errno);
  return ok();
}

void Skeleton::close() {
  writable_.reset();
  launch_.reset();
  ::umount2(root_.c_str(), MNT_DETACH);
}

Result<os::Fd> Skeleton::copy_root() const {
  auto tree = clone_tree(root_);
  if (tree.has_error()) return std::move(tree).error();
  // The top alone: what is mounted below has its attributes already.
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (::mount_setattr(tree.value().get(), "", AT_EMPTY_PATH, &attr, sizeof attr) != 0) {
    return errno_error("make root of the sandbox read-only", errno);
  }
  return tree;
}

Result<Skeleton::Source> Skeleton::copy_source(const std::string& host_path, bool writable) const {
  struct stat info {};
  if (::stat(host_path.c_str(), &info) != 0) {
    return errno_error("open mount source " + host_path, errno);
  }
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
    return Error{Code::invalid_argument,
                 "mount source " + host_path + " is neither a directory nor a file",
                 "open mount source", EINVAL};
  }
  auto tree = clone_tree(host_path);
  if (tree.has_error()) return std::move(tree).error();
  std::uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (!writable) attributes |= MOUNT_ATTR_RDONLY;
  MAYFLY_TRY(set_attributes(tree.value().get(), attributes, host_path));
  return Source{std::move(tree).value(), S_ISDIR(info.st_mode)};
}

Status check_mount_path(const std::string& path) {
  auto refuse = [&path](const char* why) {
    return Error{Code::invalid_argument, "sandbox path '" + path + "' " + why,
                 "check mount " + path, EINVAL};
  };
  if (path.size() < 2 || path[0] != '/' || path.back() == '/' || path.size() > 1024) {
    return refuse("must be absolute, without a slash at its end");
  }
  if (("/" + path + "/").find("/../") != std::string::npos ||
      path.find("//") != std::string::npos || (path + "/").find("/./") != std::string::npos) {
    return refuse("must not contain '..', '.' or '//'");
  }
  for (const char* top : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc",
                          "/dev", "/proc", "/sys", "/tmp", "/var/tmp"}) {
    if (path == top || path.starts_with(std::string(top) + "/")) {
      return refuse("would change the system part of the sandbox");
    }
  }
  return ok();
}

Status Skeleton::prepare_mount_point(const std::string& sandbox_path, bool directory) {
  if (mount_points_.contains(sandbox_path)) return ok();
  MAYFLY_TRY(check_mount_path(sandbox_path));
  for (std::size_t end = sandbox_path.find('/', 1);; end = sandbox_path.find('/', end + 1)) {
    std::string part = sandbox_path.substr(1, end == std::string::npos ? end : end - 1);
    bool last = end == std::string::npos;
    int status = 0;
    if (last && !directory) {
      os::Fd file(::openat(writable_.get(), part.c_str(), O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
      status = file ? 0 : -1;
    } else {
      status = ::mkdirat(writable_.get(), part.c_str(), 0755);
      if (status == 0) ::fchmodat(writable_.get(), part.c_str(), 0755, 0);
    }
    if (status != 0 && errno != EEXIST) {
      return errno_error("make mount point " + sandbox_path, errno);
    }
    if (last) break;
  }
  mount_points_.insert(sandbox_path);
  return ok();
}

}  // namespace mayfly::spawner
