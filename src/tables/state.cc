// Rows in the store: "s/d/" and the key; the value is the JSON text alone, without the version byte
// that other rows have, since the store itself adds to whole numbers.

#include "tables/state.h"

#include <set>

#include "base/ids.h"
#include "wire/json_slices.h"

namespace mayfly::tables {
namespace {

constexpr std::string_view kPrefix = "s/d/";  // d: the namespace "default"

std::string row_of(std::string_view key) {
  return std::string(kPrefix).append(key);
}

// For messages.
std::string shown(std::string_view key) {
  std::string text = "\"";
  for (const char c : key.substr(0, 100))
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text + (key.size() > 100 ? "...\"" : "\"");
}

}  // namespace

std::string etag_of(std::string_view value) {
  return sha256_hex(value).substr(0, 32);
}

Status check_key(std::string_view key) {
  if (key.empty()) return Error{Code::invalid_argument, "A key of the state must not be empty."};
  if (key.size() > kKeyBytesMax)
    return Error{Code::too_large, "The key " + shown(key) + " has " + std::to_string(key.size()) +
                                      " bytes; " + std::to_string(kKeyBytesMax) + " are allowed."};
  return ok();
}

Status check_value(std::string_view key, std::string_view value) {
  if (value.size() > kValueBytesMax)
    return Error{Code::too_large, "The value of the key " + shown(key) + " has " +
                                      std::to_string(value.size()) + " bytes; " +
                                      std::to_string(kValueBytesMax) + " are allowed."};
  const auto valid = wire::check_json(value);
  if (valid.has_error())
    return Error{valid.error().code,
                 "The value of the key " + shown(key) + ": " + valid.error().message};
  return ok();
}

Status check(const Changes& changes) {
  std::set<std::string_view> written;
  const auto once = [&](const std::string& key) -> Status {
    MAYFLY_TRY(check_key(key));
    if (!written.insert(key).second)
      return Error{Code::invalid_argument, "The key " + shown(key) + " is written twice."};
    return ok();
  };
  for (const auto& item : changes.puts) {
    MAYFLY_TRY(once(item.key));
    MAYFLY_TRY(check_value(item.key, item.value));
  }
  for (const auto& key : changes.deletes) MAYFLY_TRY(once(key));
  for (const auto& add : changes.adds) MAYFLY_TRY(once(add.key));
  for (const auto& require : changes.require) MAYFLY_TRY(check_key(require.key));
  return ok();
}

io::Task<Result<std::optional<Item>>> State::get(std::string key) {
  MAYFLY_CO_TRY(check_key(key));
  store::Store* const store = &store_;
  auto reading = pool_.run([store, row = row_of(key)] { return store->get(row); });
  auto found = co_await std::move(reading);
  if (found.has_value()) co_return std::optional<Item>(Item{std::move(key), std::move(*found)});
  if (found.error().code == Code::not_found) co_return std::optional<Item>();
  co_return found.error();
}

io::Task<Result<std::vector<Item>>> State::list(std::string prefix, std::string after,
                                                std::size_t limit) {
  if (prefix.size() > kKeyBytesMax || after.size() > kKeyBytesMax)
    co_return Error{Code::too_large, "No key of the state is as long as that."};
  store::Store* const store = &store_;
  auto reading = pool_.run([store, prefix = std::move(prefix), after = std::move(after),
                            limit = std::min(limit, kListMax)]() -> Result<std::vector<Item>> {
    std::vector<Item> items;
    store::Store::Scan range;
    range.first = row_of(prefix);
    range.last = store::prefix_end(range.first);
    range.limit = limit;
    // The least key behind it: the same with a NUL.
    if (!after.empty()) range.first = std::max(range.first, row_of(after) + '\0');
    if (range.first >= range.last) return items;
    MAYFLY_TRY(store->scan(range, [&](std::string_view key, std::string_view value) {
      items.push_back({std::string(key.substr(kPrefix.size())), std::string(value)});
      return true;
    }));
    return items;
  });
  auto items = co_await std::move(reading);
  co_return items;
}

io::Task<Status> State::put(std::string key, std::string value) {
  MAYFLY_CO_TRY(check_key(key));
  MAYFLY_CO_TRY(check_value(key, value));
  const auto trimmed = wire::check_json(value);  // add() wants a number with nothing around it
  if (trimmed.has_error()) co_return trimmed.error();
  store::Transaction transaction;
  transaction.put(row_of(key), std::string(*trimmed));
  auto committing = committer_.commit(std::move(transaction), store::Durability::synced);
  co_return co_await std::move(committing);
}

io::Task<Status> State::remove(std::string key) {
  auto getting = get(key);
  auto found = co_await std::move(getting);
  if (found.has_error()) co_return found.error();
  if (!found->has_value())
    co_return Error{Code::not_found, "The state has no key " + shown(key) + "."};
  store::Transaction transaction;
  transaction.remove(row_of(key));
  auto committing = committer_.commit(std::move(transaction), store::Durability::synced);
  co_return co_await std::move(committing);
}

io::Task<Result<store::Transaction>> State::prepare(Changes changes) {
  MAYFLY_CO_TRY(check(changes));
  store::Transaction transaction;
  for (auto& item : changes.puts) transaction.put(row_of(item.key), std::move(item.value));
  for (const auto& key : changes.deletes) transaction.remove(row_of(key));
  for (const auto& add : changes.adds) transaction.add(row_of(add.key), add.delta, add.at_least);
  if (changes.require.empty()) co_return transaction;

  store::Store* const store = &store_;
  using Conditions = std::vector<store::Transaction::Condition>;
  auto reading = pool_.run([store, wanted = std::move(changes.require)]() -> Result<Conditions> {
    Conditions conditions;
    for (const auto& want : wanted) {
      auto found = store->get(row_of(want.key));
      if (found.has_error() && found.error().code != Code::not_found) return found.error();
      if (found.has_value() != want.etag.has_value() ||
          (found.has_value() && etag_of(*found) != *want.etag))
        return Error{Code::conflict,
                     "The key " + shown(want.key) + " has changed since the function read it."};
      conditions.push_back({row_of(want.key), found.has_value()
                                                  ? std::optional<std::string>(std::move(*found))
                                                  : std::nullopt});
    }
    return conditions;
  });
  auto conditions = co_await std::move(reading);
  if (conditions.has_error()) co_return conditions.error();
  transaction.conditions = std::move(*conditions);
  co_return transaction;
}

}  // namespace mayfly::tables
