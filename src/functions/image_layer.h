#pragma once
// Layers of an image, laid one over the other into one tree. The tree and all that comes are
// foreign: every path is resolved by the kernel with the tree as the root, so no link in it leads
// out of it. Blocks.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace mayfly::functions {

struct ImageLimits {
  std::uint64_t archive_bytes_max = std::uint64_t{4} << 30;    // setting images.archive_bytes_max
  std::uint64_t unpacked_bytes_max = std::uint64_t{10} << 30;  // setting images.unpacked_bytes_max
  std::uint64_t files_max = 500'000;                           // setting images.files_max
  std::uint64_t layers_max = 128;                              // setting images.layers_max
};

// Of all layers together, files that a later one hides among them.
struct ImageSize {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;   // and directories and links
  std::uint64_t stream = 0;  // bytes of the tar archives
};

// blob: a tar archive, plain, gzip or zstd. tree: a directory. Files of earlier layers are
// replaced, and removed where the layer has whiteouts (.wh.NAME, .wh..wh..opq). Directories become
// 0755, files 0644 or 0755: setuid, owners, extended attributes and times are dropped. Refuses,
// naming the entry: .. in a path, devices outside of /dev (those in it are left out: every sandbox
// has its own), pipes, more than the limits; and bytes whose SHA-256 is not diff_id ("sha256:...").
Status apply_layer(int blob, int tree, const std::string& diff_id, const ImageLimits& limits,
                   ImageSize& size);

// The digest alone, of a layer whose files are here already.
Status check_layer(int blob, const std::string& diff_id, const ImageLimits& limits,
                   ImageSize& size);

// What a sandbox needs in order to mount its own over it: /proc, /dev, /tmp, /etc/resolv.conf,
// /etc/hosts and /var/runtime-lib as plain folders and files, in place of what is there.
Status make_mount_points(int tree);

}  // namespace mayfly::functions
