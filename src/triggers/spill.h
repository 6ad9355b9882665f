#pragma once
// Payloads that are too large for a queue's message: files in a folder of the data directory, one
// for each call, by its id. Thread-safe; all calls block.

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::triggers {

class Spill {
 public:
  explicit Spill(std::string folder) : folder_(std::move(folder)) {}

  // Makes the folder, and removes the files of calls that needed() does not know: what was written
  // for calls that were never accepted, and what is left of calls that are over.
  Status open(const std::function<bool(const std::string& id)>& needed);
  // On disk, with its name, when this returns.
  Status write(const std::string& id, std::string_view bytes);
  Result<std::string> read(const std::string& id, std::uint64_t bytes);
  void remove(const std::string& id);

 private:
  std::string path_of(const std::string& id) const { return folder_ + "/" + id; }
  std::string folder_;
};

}  // namespace mayfly::triggers
