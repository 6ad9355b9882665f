#include "functions/belongings.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

#include "functions/json_forms.h"

namespace mayfly::functions {

namespace {

using JsonObject = boost::json::object;

JsonObject texts_object(const std::map<std::string, std::string>& texts) {
  JsonObject out;
  for (const auto& [name, text] : texts) out[name] = text;
  return out;
}

std::string text_at(const JsonObject& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

void read_texts(const JsonObject& object, std::string_view key,
                std::map<std::string, std::string>& into) {
  const auto* value = object.if_contains(key);
  if (!value || !value->is_object()) return;
  for (const auto& [name, text] : value->get_object())
    if (text.is_string()) into[std::string(name)] = std::string(text.get_string());
}

std::uint64_t whole_at(const JsonObject& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() && value->get_int64() > 0
             ? static_cast<std::uint64_t>(value->get_int64())
             : 0;
}

std::int64_t number_at(const JsonObject& object, std::string_view key, std::int64_t unset) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() ? value->get_int64() : unset;
}

JsonObject async_of_alias(const AsyncSettings& async) {
  return {{"retries", async.retries},
          {"max_age_s", async.max_age_s},
          {"on_success", async.on_success},
          {"on_failure", async.on_failure}};
}

AsyncSettings async_of_alias(const JsonObject& object) {
  AsyncSettings async;
  async.retries = static_cast<std::int32_t>(number_at(object, "retries", -1));
  async.max_age_s = number_at(object, "max_age_s", -1);
  async.on_success = text_at(object, "on_success");
  async.on_failure = text_at(object, "on_failure");
  return async;
}

void read_provisioned(const JsonObject& object, Belongings& into) {
  const auto* all = object.if_contains("provisioned");
  if (!all || !all->is_object()) return;
  for (const auto& [name, value] : all->get_object())
    if (value.is_object())
      into.provisioned[std::string(name)] = {
          static_cast<std::uint32_t>(whole_at(value.get_object(), "calls")),
          number_at(value.get_object(), "changed_us", 0)};
}

Alias alias_from(const JsonObject& object) {
  Alias alias;
  alias.version = whole_at(object, "version");
  alias.description = text_at(object, "description");
  alias.revision = text_at(object, "revision");
  if (const auto* async = object.if_contains("async"); async && async->is_object())
    alias.async = async_of_alias(async->get_object());
  const auto* weights = object.if_contains("weights");
  if (!weights || !weights->is_object()) return alias;
  for (const auto& [name, share] : weights->get_object()) {
    std::uint64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (share.is_number()) alias.weights[number] = share.to_number<double>();
  }
  return alias;
}

}  // namespace

bool is_alias_name(std::string_view name) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (name.empty() || name.size() > 128 || std::all_of(name.begin(), name.end(), digit))
    return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

std::uint64_t choose_version(const Alias& alias, double share) {
  for (const auto& [version, weight] : alias.weights) {
    if (share < weight) return version;
    share -= weight;
  }
  return alias.version;
}

std::uint32_t provisioned_calls(const Belongings& belongings, std::uint64_t version) {
  double calls = 0;
  for (const auto& [name, provisioned] : belongings.provisioned) {
    const auto alias = belongings.aliases.find(name);
    if (alias == belongings.aliases.end()) {
      if (name == std::to_string(version)) calls += provisioned.calls;
      continue;
    }
    double rest = 1, share = 0;
    for (const auto& [other, weight] : alias->second.weights) {
      rest -= weight;
      if (other == version) share += weight;
    }
    if (alias->second.version == version) share += std::max(0.0, rest);
    calls += std::ceil(share * provisioned.calls - 1e-9);
  }
  return static_cast<std::uint32_t>(std::min(calls, 4e9));
}

std::optional<AsyncSettings> alias_async(const Belongings& belongings, const std::string& alias) {
  const auto found = belongings.aliases.find(alias);
  return found == belongings.aliases.end() ? std::nullopt : found->second.async;
}

std::string belongings_to_json(const Belongings& belongings) {
  JsonObject aliases;
  for (const auto& [name, alias] : belongings.aliases) {
    JsonObject weights;
    for (const auto& [version, share] : alias.weights) weights[std::to_string(version)] = share;
    aliases[name] = JsonObject{{"version", alias.version},
                               {"weights", std::move(weights)},
                               {"description", alias.description},
                               {"revision", alias.revision}};
    if (alias.async) aliases[name].get_object()["async"] = async_of_alias(*alias.async);
  }
  JsonObject object{{"aliases", std::move(aliases)},
                    {"tags", texts_object(belongings.tags)},
                    {"other", texts_object(belongings.other)}};
  if (belongings.reserved_concurrency)
    object["reserved_concurrency"] = *belongings.reserved_concurrency;
  JsonObject provisioned;
  for (const auto& [name, one] : belongings.provisioned)
    provisioned[name] = JsonObject{{"calls", one.calls}, {"changed_us", one.changed_us}};
  if (!provisioned.empty()) object["provisioned"] = std::move(provisioned);
  return boost::json::serialize(object);
}

Result<Belongings> belongings_from_json(std::string_view text) {
  auto object = parse_object(text, "what belongs to a function");
  if (object.has_error()) return Error{Code::corrupt, object.error().message};
  Belongings out;
  if (const auto* aliases = object->if_contains("aliases"); aliases && aliases->is_object())
    for (const auto& [name, alias] : aliases->get_object())
      if (alias.is_object()) out.aliases[std::string(name)] = alias_from(alias.get_object());
  read_texts(*object, "tags", out.tags);
  read_texts(*object, "other", out.other);
  read_provisioned(*object, out);
  if (object->contains("reserved_concurrency"))
    out.reserved_concurrency =
        static_cast<std::uint32_t>(whole_at(*object, "reserved_concurrency"));
  return out;
}

}  // namespace mayfly::functions
