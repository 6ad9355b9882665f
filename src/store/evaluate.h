#pragma once
// What stores have in common: does a transaction hold, and what do its adds come to?

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace mayfly::store {

// The value of a key now; nullopt when absent.
using Read = std::function<Result<std::optional<std::string>>(std::string_view)>;

// Ok when every condition and every add holds; sums are then the entries that the adds write.
Status evaluate(const Transaction& transaction, const Read& read, std::vector<Entry>& sums);

// What the accepted transactions of a group will have written, for the conditions of later ones.
// Keeps views: the transactions and sums outlive it.
class Overlay {
 public:
  void apply(const Transaction& transaction, const std::vector<Entry>& sums);
  // nullopt: the group does not touch the key; else its value, or that it is deleted.
  std::optional<std::optional<std::string_view>> find(std::string_view key) const;

 private:
  struct Write {
    std::size_t order;
    std::optional<std::string_view> value;
  };
  struct Range {
    std::size_t order;
    std::string_view first, last;
  };
  std::size_t order_ = 0;
  std::map<std::string_view, Write> writes_;
  std::vector<Range> ranges_;
};

}  // namespace mayfly::store
