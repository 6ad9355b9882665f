#pragma once
// A folder of trees named by the SHA-256 of what they were made of: DIRECTORY/SHA256/tree, and what
// belongs to each beside it. What is unfinished lives in DIRECTORY/.incoming. A value that may be
// copied; what is there, the disk knows. All block.

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::functions {

class TreeStore {
 public:
  // what: "package", for messages.
  TreeStore(std::string directory, std::string what)
      : directory_(std::move(directory)), what_(std::move(what)) {}

  // Makes the folder; removes what a killed server left unfinished.
  Status open() const;
  // Whoever asks is about to use it: collect() does not take it in between.
  bool contains(std::string_view sha256) const;
  std::string place(std::string_view sha256) const {
    return directory_ + "/" + std::string(sha256);
  }
  std::string tree(std::string_view sha256) const { return place(sha256) + "/tree"; }
  // A free path for something unfinished: .incoming/PREFIX and random characters.
  std::string incoming(std::string_view prefix = "") const;
  // Moves what was made, synced but for its own name, to its place. True: somebody else has made
  // the same meanwhile; theirs stays, and base too.
  Result<bool> keep(const std::string& base, std::string_view sha256) const;
  // Removes what is not in use and was not asked for within the last hour: what was just added is
  // named by a function only when its deploy is over. Returns how many.
  std::size_t collect(const std::set<std::string>& in_use) const;

 private:
  std::string directory_, what_;
};

}  // namespace mayfly::functions
