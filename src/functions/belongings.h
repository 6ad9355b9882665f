#pragma once
// What belongs to a function as a whole and not to one of its versions: aliases, tags, limits, and
// what dialects keep about it. Plain values; kept by the Catalogue.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "functions/types.h"

namespace mayfly::functions {

// A name for one version, or for several by weight.
struct Alias {
  std::uint64_t version = 0;  // 0: $LATEST
  // Version to its share of the calls, 0 to 1; what is left goes to `version`.
  std::map<std::uint64_t, double> weights;
  std::string description;
  std::string revision;  // changes with every change
  // For calls by this name that nobody waits for; unset: the settings of the version that runs.
  std::optional<AsyncSettings> async;
  bool operator==(const Alias&) const = default;
};

// Instances kept ready for so many calls at once.
struct Provisioned {
  std::uint32_t calls = 0;
  std::int64_t changed_us = 0;  // Unix epoch, microseconds
  bool operator==(const Provisioned&) const = default;
};

struct Belongings {
  std::map<std::string, Alias> aliases;  // by name
  std::map<std::string, std::string> tags;
  // How many calls of it, of all versions together, run at once; unset: no limit of its own.
  std::optional<std::uint32_t> reserved_concurrency;
  std::map<std::string, Provisioned> provisioned;  // by number of a version, or alias
  // What a dialect keeps for its clients, under names of its own ("aws.policy").
  std::map<std::string, std::string> other;
  bool operator==(const Belongings&) const = default;
};

// [a-zA-Z0-9_-]{1,128}, not only digits.
bool is_alias_name(std::string_view name);
// The version that one call of the alias goes to; share is a random number from 0 to below 1.
std::uint64_t choose_version(const Alias& alias, double share);

// For how many calls at once instances of a published version are kept ready: its own, or its share
// of what its aliases have.
std::uint32_t provisioned_calls(const Belongings& belongings, std::uint64_t version);
// The settings of calls that nobody waits for, where the alias that they go by has some.
std::optional<AsyncSettings> alias_async(const Belongings& belongings, const std::string& alias);

// The stored form, without its version byte.
std::string belongings_to_json(const Belongings& belongings);
Result<Belongings> belongings_from_json(std::string_view json);

}  // namespace mayfly::functions
