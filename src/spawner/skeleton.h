#pragma once
// The file system that every sandbox sees, built once: a read-only tree of the host's /usr, a
// minimal /etc and /dev, and empty places for /proc, /tmp and packages. A launch takes a detached
// copy of it, which costs a few microseconds for each mount in it.

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::spawner {

inline constexpr int kInsideUid = 1000;  // the only user and group that exist in a sandbox

class Skeleton {
 public:
  // Moves the calling process to a mount namespace of its own and builds the tree at
  // state_dir/root there; nothing of it is visible outside.
  static Result<Skeleton> build(const std::string& state_dir);

  // A detached, read-only copy of the whole tree, to be attached by move_mount.
  Result<os::Fd> copy_root() const;

  struct Source {
    os::Fd tree;  // detached
    bool directory = true;
  };
  // A detached copy of a host path with its submounts: nosuid, nodev, and read-only unless
  // writable. Symbolic links in the last component are followed.
  Result<Source> copy_source(const std::string& host_path, bool writable) const;

  // Makes the place at which a source will be attached. Refuses paths that would hide or change
  // the tree itself.
  Status prepare_mount_point(const std::string& sandbox_path, bool directory);

  // Takes the tree off state_dir/root again.
  void close();

  // Mount namespaces: where the spawner lives, and the nearly empty one whose copy a sandbox's
  // init starts in (kNewRoot, and a procfs without which the kernel allows none of its own).
  int home_namespace() const { return home_.get(); }
  int launch_namespace() const { return launch_.get(); }

 private:
  Status make_launch_namespace();

  std::string root_;
  os::Fd writable_;  // detached mount of the same tmpfs, for mount points
  os::Fd home_, launch_;
  std::set<std::string> mount_points_;
};

inline constexpr const char* kNewRoot = "/new";

// Whether a source may be mounted there: absolute, plain, and not in the system part of the tree.
Status check_mount_path(const std::string& path);

}  // namespace mayfly::spawner
