#pragma once
// The file systems of images: layers laid over each other once, read-only, known by the SHA-256 of
// the list of their layers' own. Layout under directory: <sha>/tree/. A tree appears by one rename
// after everything in it is synced: never half. Nothing of this server follows a path into a tree:
// its links lead where its maker wanted; open_in_image() keeps them inside.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/image_config.h"
#include "functions/image_layer.h"
#include "functions/tree_store.h"
#include "io/blocking.h"
#include "io/body.h"
#include "os/fd.h"

namespace mayfly::functions {

struct ImportedImage {
  std::string tree;  // what tree() takes
  std::string
      digest;  // "sha256:..." of its manifest; of its configuration when that has come alone
  ImageConfig config;
  std::vector<std::string> names;  // as the archive says; may be empty
  std::uint64_t bytes = 0;         // unpacked
  bool existed = false;            // the same layers were here already
};

// Thread-safe. Methods without Task block.
class ImageTrees {
 public:
  ImageTrees(std::string directory, ImageLimits limits, io::BlockingPool& pool);

  // Removes what a killed server left half-written.
  Status open() { return store_.open(); }

  // An archive as docker save, podman save or skopeo write it (docker-archive or OCI layout), or a
  // packed folder with an OCI layout. Every digest in it is checked. Refuses what is of another
  // architecture, holds several images, or has a layer that apply_layer() refuses.
  io::Task<Result<ImportedImage>> add(std::string first, io::BodyReaderPtr more);

  bool contains(std::string_view sha256) const { return store_.contains(sha256); }
  std::string tree(std::string_view sha256) const { return store_.tree(sha256); }  // host path

  // As TreeStore::collect.
  std::size_t collect(const std::set<std::string>& in_use) { return store_.collect(in_use); }

 private:
  const TreeStore store_;
  ImageLimits limits_;
  io::BlockingPool& pool_;
};

// A file or directory of an image by its path there; links lead nowhere but inside. Not valid:
// errno says why.
os::Fd open_in_image(const std::string& tree, const std::string& path, int flags);

}  // namespace mayfly::functions
