#pragma once
// A small file system of its own, unmounted at the end. Needs root.

#include <sys/mount.h>

#include <string>

#include "store/temp_dir.h"

namespace mayfly::test {

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& options) {
    mounted_ = mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return directory_.path(); }

 private:
  TempDir directory_;
  bool mounted_ = false;
};

}  // namespace mayfly::test
