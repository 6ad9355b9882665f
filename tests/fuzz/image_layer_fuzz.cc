// link: mayfly_functions
// Layers of strangers, one over a tree that holds links out of it. Nothing may appear or vanish
// outside of the tree, and no entry of it is anything but a file, a directory or a link.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "functions/image_layer.h"
#include "functions/tree.h"
#include "os/fd.h"

namespace {

namespace fs = std::filesystem;

// In memory where that is possible: the target runs thousands of times a second.
struct Base {
  std::string path = make();
  ~Base() { mayfly::functions::remove_tree(path); }
  static std::string make() {
    for (std::string name : {"/dev/shm/mayfly-layer-XXXXXX", "/tmp/mayfly-layer-XXXXXX"})
      if (mkdtemp(name.data()) != nullptr) return name;
    std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace functions = mayfly::functions;
  static const Base base;
  const std::string tree = base.path + "/tree", victim = base.path + "/victim";
  fs::create_directories(tree + "/etc");
  fs::create_directories(victim + "/inner");
  fs::create_directory_symlink(victim, tree + "/a");
  fs::create_directory_symlink("../victim", tree + "/etc/b");
  const mayfly::os::Fd top(open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const mayfly::os::Fd blob(memfd_create("layer", MFD_CLOEXEC));
  if (!top || !blob || write(blob.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  lseek(blob.get(), 0, SEEK_SET);
  functions::ImageLimits limits;
  limits.unpacked_bytes_max = 4u << 20;
  limits.files_max = 200;
  functions::ImageSize sum;
  // The digest is never right; it is looked at when all is there.
  (void)functions::apply_layer(blob.get(), top.get(), "sha256:" + std::string(64, '0'), limits,
                               sum);
  if (functions::make_mount_points(top.get()).has_error()) std::abort();
  std::size_t beside = 0;
  for (const auto& entry : fs::directory_iterator(base.path)) {
    (void)entry;
    ++beside;
  }
  if (beside != 2 || !fs::is_directory(victim + "/inner")) std::abort();
  if (std::distance(fs::directory_iterator(victim), fs::directory_iterator()) != 1) std::abort();
  for (const auto& entry : fs::recursive_directory_iterator(tree))
    if (!entry.is_symlink() && !entry.is_directory() && !entry.is_regular_file()) std::abort();
  functions::remove_tree(tree);
  return 0;
}
