#include "spawner/image_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "os/fd.h"
#include "spawner/init_steps.h"

namespace mayfly::spawner {

namespace {

constexpr unsigned kWhole = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | 0x8000;  // AT_RECURSIVE
constexpr unsigned kFromFdToFd = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

// A folder of the skeleton, over which the tree lies for as long as it takes to change to it.
constexpr const char* kPlace = "/mnt";

// What a sandbox has of its own. An import has made the places (functions/image_tree.cc).
constexpr const char* kTaken[] = {"/proc", "/dev", "/tmp", "/etc/resolv.conf", "/etc/hosts"};

}  // namespace

void attach_beneath(const InitPlan& plan, int root, const char* path, int tree) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;  // with O_NOFOLLOW a link at the end would be opened
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (*path == '/') ++path;
  os::Fd place(static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how)));
  check(plan, place.get(), "find in the image: ", path);
  check(plan, ::move_mount(tree, "", place.get(), "", kFromFdToFd), "mount in the image: ", path);
}

void enter_image_root(const InitPlan& plan, int tree) {
  check(plan, ::move_mount(tree, "", AT_FDCWD, kPlace, MOVE_MOUNT_F_EMPTY_PATH),
        "attach the image");
  for (const char* path : kTaken) {
    os::Fd taken(::open_tree(AT_FDCWD, path, kWhole));
    check(plan, taken.get(), "take into the image: ", path);
    attach_beneath(plan, tree, path, taken.get());
  }
  check(plan, ::fchdir(tree), "enter the image");
  check(plan, ::syscall(SYS_pivot_root, ".", "."), "pivot root to the image");
  check(plan, ::umount2(".", MNT_DETACH), "detach the root before");
  check(plan, ::chdir("/"), "enter /");
}

}  // namespace mayfly::spawner
