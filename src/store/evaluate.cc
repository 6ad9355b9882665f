#include "store/evaluate.h"

#include <charconv>

namespace mayfly::store {
namespace {

Error conflict(std::string message) {
  return Error{Code::conflict, std::move(message)};
}

bool parse_number(std::string_view text, std::int64_t& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size();
}

Status sum(const Transaction::Add& add, const Read& read, std::vector<Entry>& sums) {
  Entry* earlier = nullptr;
  for (auto& entry : sums)
    if (entry.key == add.key) earlier = &entry;
  std::int64_t number = 0;
  if (earlier != nullptr) {
    if (!parse_number(earlier->value, number)) return conflict("A value is no whole number.");
  } else {
    auto value = read(add.key);
    if (value.has_error()) return value.error();
    if (*value && !parse_number(**value, number)) return conflict("A value is no whole number.");
  }
  if (__builtin_add_overflow(number, add.delta, &number))
    return conflict("A number would grow beyond 64 bits.");
  if (add.at_least && number < *add.at_least)
    return conflict("A number would fall below its limit.");
  if (earlier != nullptr)
    earlier->value = std::to_string(number);
  else
    sums.push_back({add.key, std::to_string(number)});
  return ok();
}

}  // namespace

Status evaluate(const Transaction& transaction, const Read& read, std::vector<Entry>& sums) {
  for (const auto& condition : transaction.conditions) {
    auto value = read(condition.key);
    if (value.has_error()) return value.error();
    if (*value != condition.expected) return conflict("Another change came first.");
  }
  for (const auto& add : transaction.adds) MAYFLY_TRY(sum(add, read, sums));
  return ok();
}

void Overlay::apply(const Transaction& transaction, const std::vector<Entry>& sums) {
  ++order_;
  for (const auto& [first, last] : transaction.delete_ranges)
    if (first < last) ranges_.push_back({order_, first, last});
  for (const auto& key : transaction.deletes)
    writes_.insert_or_assign(std::string_view(key), Write{order_, std::nullopt});
  for (const auto& entry : transaction.puts)
    writes_.insert_or_assign(std::string_view(entry.key), Write{order_, entry.value});
  for (const auto& entry : sums)
    writes_.insert_or_assign(std::string_view(entry.key), Write{order_, entry.value});
}

std::optional<std::optional<std::string_view>> Overlay::find(std::string_view key) const {
  std::size_t deleted = 0;
  for (const auto& range : ranges_)
    if (range.first <= key && key < range.last) deleted = range.order;
  const auto found = writes_.find(key);
  // Within one transaction ranges come before keys, so of the same order the key wins.
  if (found != writes_.end() && found->second.order >= deleted) return found->second.value;
  if (deleted != 0) return std::optional<std::string_view>();
  return std::nullopt;
}

}  // namespace mayfly::store
