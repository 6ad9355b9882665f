#pragma once
// Layers: packages that have a name and numbered versions, for functions to be laid under /opt. A
// function keeps what it was given by the digest of the package (Settings::layers), so a version
// that is deleted stays with the functions that use it. Durable in the store, held in memory.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/blocking.h"
#include "io/keyed_lock.h"
#include "store/store.h"

namespace mayfly::functions {

struct LayerVersion {
  std::string name;          // [a-zA-Z0-9_-]{1,140}
  std::uint64_t number = 0;  // from 1; never given twice
  std::string package;       // SHA-256, hex
  std::uint64_t archive_bytes = 0;
  std::string description, license;
  std::vector<std::string> runtimes, architectures;  // as they were named; not acted upon
  std::string policy;                                // what a dialect keeps about it; may be empty
  std::int64_t created_us = 0;

  bool operator==(const LayerVersion&) const = default;
};
using LayerVersionPtr = std::shared_ptr<const LayerVersion>;

bool is_layer_name(std::string_view name);
struct LayerRef {
  std::string name;
  std::uint64_t version = 0;  // 0: none was named
};
// NAME, NAME:VERSION, or an ARN of a layer or of a version of one, of any region and account.
std::optional<LayerRef> parse_layer_ref(std::string_view text);
// The stored form, without its version byte.
std::string layer_to_json(const LayerVersion& layer);
Result<LayerVersion> layer_from_json(std::string_view json);

// Belongs to the engine's loop; writes go through the pool.
class Layers {
 public:
  struct Parts {
    store::Store& store;
    io::BlockingPool& pool;
  };
  explicit Layers(Parts parts) : parts_(parts) {}

  // Reads everything from the store; at start. Blocks.
  Status load();

  LayerVersionPtr find(std::string_view name, std::uint64_t number) const;  // null: none
  std::vector<LayerVersionPtr> versions(std::string_view name) const;       // newest first
  std::vector<std::string> names() const;                                   // in order

  // Durable, then visible. number is given here; name must be one, and the package be there.
  io::Task<Result<LayerVersionPtr>> publish(LayerVersion layer);
  // The newest version when it is the same but for its number, its time and its policy, else a new
  // one.
  struct Published {
    LayerVersionPtr layer;
    bool unchanged = false;
  };
  io::Task<Result<Published>> publish_changed(LayerVersion layer);
  // not_found when it is not there. An error of change() leaves all as it was; it runs on the loop,
  // and must leave name, number and package.
  io::Task<Result<LayerVersionPtr>> change(std::string name, std::uint64_t number,
                                           std::function<Status(LayerVersion&)> change);
  // Also ok when it is not there.
  io::Task<Status> remove(std::string name, std::uint64_t number);

  std::set<std::string> packages_in_use() const;

 private:
  // The name's lock is held.
  io::Task<Result<LayerVersionPtr>> publish_locked(LayerVersion layer);

  const Parts parts_;
  io::KeyedLock locks_;
  std::map<std::string, std::map<std::uint64_t, LayerVersionPtr>, std::less<>> layers_;
  std::map<std::string, std::uint64_t, std::less<>> last_numbers_;
};

}  // namespace mayfly::functions
