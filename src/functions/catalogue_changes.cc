// Changes of the catalogue that are no deploys.

#include <fmt/format.h>

#include "base/ids.h"
#include "functions/catalogue_state.h"
#include "functions/checks.h"
#include "functions/commit.h"

namespace mayfly::functions {

double random_share() {
  std::uint8_t bytes[4];
  random_bytes(bytes);
  std::uint32_t number = 0;
  for (const std::uint8_t byte : bytes) number = number << 8 | byte;
  return static_cast<double>(number) / 4294967296.0;
}

Status Catalogue::State::load_belongings() {
  Status problem;
  MAYFLY_TRY(parts.store.scan(
      {"f/x/", store::prefix_end("f/x/")}, [&](std::string_view key, std::string_view value) {
        auto read = value.substr(0, 1) == kStoredVersion
                        ? belongings_from_json(value.substr(1))
                        : Result<Belongings>(Error{Code::corrupt, "Its format is not known."});
        if (read.has_error()) {
          problem =
              Error{Code::corrupt,
                    fmt::format("What is stored as '{}' is damaged: {}", key, read.error().message),
                    "load functions"};
          return false;
        }
        functions[std::string(key.substr(4))].belongings = std::move(*read);
        return true;
      }));
  return problem;
}

const Belongings& Catalogue::belongings(std::string_view function) const {
  static const Belongings kNothing;
  const auto* entry = state_->entry(function);
  return entry == nullptr ? kNothing : entry->belongings;
}

io::Task<Status> Catalogue::change_belongings(std::string function,
                                              std::function<Status(Belongings&)> change) {
  auto& s = *state_;
  auto locking = s.locks.lock("function " + function);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  const auto* entry = s.entry(function);
  if (entry == nullptr) co_return unknown_function(function);
  Belongings belongings = entry->belongings;
  MAYFLY_CO_TRY(change(belongings));
  if (belongings == entry->belongings) co_return ok();
  store::Transaction transaction;
  transaction.put(belongings_key(function), kStoredVersion + belongings_to_json(belongings));
  auto writing = functions::commit(s.parts.store, s.parts.pool, std::move(transaction));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  s.functions[function].belongings = std::move(belongings);
  s.changed();
  co_return ok();
}

io::Task<Status> Catalogue::remove_version(std::string function, std::uint64_t number) {
  auto& s = *state_;
  auto locking = s.locks.lock("function " + function);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  const auto* entry = s.entry(function);
  if (entry == nullptr) co_return unknown_function(function);
  if (!entry->version(number))
    co_return Error{Code::not_found,
                    fmt::format("There is no version {} of the function '{}'.", number, function)};
  std::string aliases;
  for (const auto& [name, alias] : entry->belongings.aliases)
    if (alias.version == number || alias.weights.contains(number))
      aliases += (aliases.empty() ? "" : ", ") + name;
  if (!aliases.empty())
    co_return Error{Code::conflict,
                    "Unable to delete version because the following aliases "
                    "reference it: [" +
                        aliases + "]"};
  Belongings belongings = entry->belongings;
  const bool provisioned = belongings.provisioned.erase(std::to_string(number)) > 0;
  store::Transaction transaction;
  transaction.remove(version_key(function, number));
  if (provisioned)
    transaction.put(belongings_key(function), kStoredVersion + belongings_to_json(belongings));
  auto writing = functions::commit(s.parts.store, s.parts.pool, std::move(transaction));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  if (provisioned) s.functions[function].belongings = std::move(belongings);
  std::erase_if(s.functions[function].published,
                [number](const VersionPtr& one) { return one->number == number; });
  s.changed();
  co_return ok();
}

io::Task<Result<VersionPtr>> Catalogue::adjust(std::string function, std::uint64_t number,
                                               std::function<Status(Version&)> change) {
  auto& s = *state_;
  auto locking = s.locks.lock("function " + function);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  const auto* entry = s.entry(function);
  if (entry == nullptr) co_return unknown_function(function);
  const VersionPtr before = number == 0 ? entry->latest : entry->version(number);
  if (!before)
    co_return Error{Code::not_found,
                    fmt::format("There is no version {} of the function '{}'.", number, function)};
  Version version = *before;
  MAYFLY_CO_TRY(change(version));
  MAYFLY_CO_TRY(check_settings(version.settings, s.parts.defaults));
  auto write = [&parts = s.parts, version]() -> Status {
    store::Transaction transaction;
    transaction.put(version.number == 0 ? latest_key(version.function)
                                        : version_key(version.function, version.number),
                    encode_version(version));
    return parts.store.commit(transaction, store::Durability::synced);
  };
  auto writing = s.parts.pool.run(std::move(write));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  VersionPtr visible = std::make_shared<const Version>(std::move(version));
  auto& into = s.functions[function];
  if (number == 0)
    into.latest = visible;
  else
    for (auto& one : into.published)
      if (one->number == number) one = visible;
  s.changed();
  co_return visible;
}

}  // namespace mayfly::functions
