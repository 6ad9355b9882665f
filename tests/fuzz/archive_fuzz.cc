// link: mayfly_functions
// Foreign archives. Nothing may appear outside of the directory, and within it only plain files,
// directories, and links that stay inside.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "functions/tree.h"
#include "functions/unpack.h"

namespace {

// In memory where that is possible: the target runs thousands of times a second.
std::string make_base() {
  for (std::string name : {"/dev/shm/mayfly-fuzz-XXXXXX", "/tmp/mayfly-fuzz-XXXXXX"})
    if (mkdtemp(name.data()) != nullptr) return name;
  std::abort();
}

struct Base {
  std::string path = make_base();
  ~Base() { mayfly::functions::remove_tree(path); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fs = std::filesystem;
  static const Base base;
  const std::string tree = base.path + "/tree";
  const int archive = memfd_create("archive", MFD_CLOEXEC);
  if (archive < 0 || write(archive, data, size) != static_cast<ssize_t>(size)) std::abort();
  mkdir(tree.c_str(), 0755);
  mayfly::functions::PackageLimits limits;
  limits.unpacked_bytes_max = 4u << 20;
  limits.files_max = 200;
  const auto unpacked =
      mayfly::functions::unpack_archive("/proc/self/fd/" + std::to_string(archive), tree, limits);
  close(archive);
  std::size_t outside = 0;
  for (const auto& entry : fs::directory_iterator(base.path))
    outside += entry.path().filename() != "tree" ? 1 : 0;
  if (outside != 0) std::abort();
  // A tree that was taken passes the check that built trees must pass.
  if (unpacked.has_value() && mayfly::functions::normalise_tree(tree).has_error()) std::abort();
  mayfly::functions::remove_tree(tree);
  return 0;
}
