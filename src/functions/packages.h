#pragma once
// Packages: the code of functions and the files of static sites, content-addressed by the SHA-256
// of the archive that was uploaded, kept once, unpacked once, read-only. Layout under directory:
//   <sha>/archive      the bytes as uploaded
//   <sha>/tree/        unpacked; files 0644 or 0755, directories 0755, links only inside the tree
// A package appears by one rename after everything in it is synced: never half.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "functions/tree_store.h"
#include "io/blocking.h"
#include "io/body.h"

namespace mayfly::functions {

struct PackageLimits {
  std::uint64_t archive_bytes_max = 256u << 20;  // setting packages.archive_bytes_max
  std::uint64_t unpacked_bytes_max = 1u << 30;   // setting packages.unpacked_bytes_max
  std::uint64_t files_max = 50'000;              // setting packages.files_max
};

struct PackageInfo {
  std::string sha256;
  std::uint64_t archive_bytes = 0;
  bool existed = false;  // the same bytes were here already
};

// Thread-safe. Methods without Task block.
class Packages {
 public:
  Packages(std::string directory, PackageLimits limits, io::BlockingPool& pool);

  // Removes what a killed server left half-written.
  Status open() { return store_.open(); }

  // Stores and unpacks a .zip, .tar or .tar.gz (told apart by their bytes). Refuses, naming the
  // entry: `..`, absolute paths, links that leave the tree, devices, too many files, more bytes
  // than allowed (counted while unpacking: zip bombs stop early). io_error names a full disk. Files
  // that begin with #! or as ELF become executable: not every archive knows modes.
  io::Task<Result<PackageInfo>> add(std::string first, io::BodyReaderPtr more);

  bool contains(std::string_view sha256) const { return store_.contains(sha256); }
  std::string tree(std::string_view sha256) const { return store_.tree(sha256); }  // host path
  std::string archive(std::string_view sha256) const;                              // host path

  // Layers: packages laid over each other, later ones over earlier ones; a tree of its own that is
  // found like a package, by overlay_id() ("" when there are none), but has no archive. overlay()
  // makes it unless it is there; not_found names a layer that is no package.
  static std::string overlay_id(const std::vector<std::string>& layers);
  Result<std::string> overlay(const std::vector<std::string>& layers);

  // Where a derived tree (after npm or pip install) is kept: <sha>/built/. staging() makes a copy
  // of the tree that a sandbox may write to; keep_built() checks it like an upload, brings it into
  // the form of a package and moves it in, synced first. The staging copy is gone afterwards.
  Result<std::string> staging(std::string_view sha256);
  Status keep_built(std::string_view sha256, const std::string& staging_path);
  void discard_staging(const std::string& staging_path);
  std::string built(std::string_view sha256) const;  // "" when there is none

  // As TreeStore::collect.
  std::size_t collect(const std::set<std::string>& in_use) { return store_.collect(in_use); }

 private:
  const TreeStore store_;
  PackageLimits limits_;
  io::BlockingPool& pool_;
};

}  // namespace mayfly::functions
