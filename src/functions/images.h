#pragma once
// Images by name and tag, as they were imported. A function keeps what it was made from
// (Settings::image), so an image that is removed stays with the functions that use it. Durable in
// the store, held in memory.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/image_config.h"
#include "functions/image_trees.h"
#include "functions/types.h"
#include "io/blocking.h"
#include "io/keyed_lock.h"
#include "store/store.h"

namespace mayfly::functions {

struct Image {
  std::string name, tag;
  std::string digest;       // "sha256:..."
  std::string tree;         // ImageTrees::tree()
  std::uint64_t bytes = 0;  // unpacked
  ImageProgram program;
  std::map<std::string, std::string> env;
  std::int64_t created_us = 0;  // of the import

  std::string full_name() const { return name + ":" + tag; }
  bool operator==(const Image&) const = default;
};
using ImagePtr = std::shared_ptr<const Image>;

// The stored form, without its version byte.
std::string image_to_json(const Image& image);
Result<Image> image_from_json(std::string_view json);

// Belongs to the engine's loop; writes go through the pool.
class Images {
 public:
  struct Parts {
    store::Store& store;
    io::BlockingPool& pool;
  };
  explicit Images(Parts parts) : parts_(parts) {}

  // Reads everything from the store; at start. Blocks.
  Status load();

  // "NAME:TAG", "NAME@sha256:...", with any registry in front. not_found says how it is imported.
  Result<ImagePtr> find(std::string_view uri) const;
  std::vector<ImagePtr> list() const;  // by name and tag

  // Durable, then visible, in place of what had the name and the tag.
  io::Task<Result<ImagePtr>> put(Image image);
  // By name and tag. not_found when it is not there.
  io::Task<Status> remove(std::string uri);

  std::set<std::string> trees_in_use() const;

  // Fills in what image.uri names, but for image.over; returns the tree.
  Result<std::string> resolve(ImageSettings& image) const;

 private:
  const Parts parts_;
  io::KeyedLock locks_;
  std::map<std::string, ImagePtr, std::less<>> images_;  // by full_name()
};

// What a function's image runs: the program as it is written, and its arguments.
std::vector<std::string> image_command(const ImageSettings& image);
// The same for a version, whose entry is where the program was found.
std::vector<std::string> image_argv(const Version& version);
// The working directory inside.
std::string image_workdir(const ImageSettings& image);
// The path of the program in the image, found as a shell finds it, by the PATH of its environment.
// invalid_argument says where it was looked for. Blocks.
Result<std::string> find_image_program(const std::string& tree, const Settings& settings);
// Names of the files in a folder of an image, sorted; none when it is not there. Blocks.
std::vector<std::string> files_of_image(const std::string& tree, const std::string& folder);

}  // namespace mayfly::functions
