#pragma once
// Within the room: what an unpacked archive of an image holds. Blocks.

#include <string>
#include <vector>

#include "base/result.h"
#include "functions/image_config.h"
#include "functions/image_layer.h"
#include "os/fd.h"

namespace mayfly::functions {

struct ArchivedImage {
  struct Layer {
    std::string path;    // in the directory
    std::string digest;  // of the file; empty: not said
  };
  std::string digest;  // "sha256:..." of the manifest, else of the configuration
  ImageConfig config;
  std::vector<Layer> layers;
  std::vector<std::string> names;
};

// directory: an OCI layout (index.json) or what docker save writes (manifest.json).
Result<ArchivedImage> find_image(const std::string& directory, const ImageLimits& limits);

// Of a layer, whose digest is checked when there is one.
Result<os::Fd> open_layer(const std::string& directory, const ArchivedImage::Layer& layer);

}  // namespace mayfly::functions
