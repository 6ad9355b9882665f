// PUT /v1/functions/{name}/belongings: what is the function's and of no version.

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "dialects/native/render.h"
#include "dialects/native/state.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

namespace {

using functions::Belongings;

constexpr std::size_t kFunctionTagsMax = 50;
constexpr std::int64_t kReservedMax = 100'000;

Result<std::map<std::string, std::string>> tags_in(const json::value& value) {
  if (!value.is_object() || value.get_object().size() > kFunctionTagsMax)
    return invalid("tags must be an object of up to 50 texts.");
  std::map<std::string, std::string> tags;
  for (const auto& [name, text] : value.get_object()) {
    if (!text.is_string() || name.empty() || name.size() > 128 || text.get_string().size() > 256)
      return invalid("A tag has a name of 1 to 128 bytes and a text of up to 256.");
    tags[std::string(name)] = std::string(text.get_string());
  }
  return tags;
}

// What a body asks to change; applied as a whole.
struct BelongingsChange {
  std::optional<std::map<std::string, std::string>> tags;
  bool limits = false;
  std::optional<std::uint32_t> reserved;
  std::map<std::string, std::uint64_t> aliases;
};

Result<BelongingsChange> change_in(const json::object& body, const functions::Catalogue& catalogue,
                                   const std::string& function) {
  BelongingsChange change;
  if (const auto* value = body.if_contains("tags")) {
    auto tags = tags_in(*value);
    if (tags.has_error()) return tags.error();
    change.tags = std::move(*tags);
  }
  if (const auto* value = body.if_contains("reserved_concurrency")) {
    change.limits = true;
    const bool number = value->is_int64() && value->get_int64() >= 0;
    if (!value->is_null() && (!number || value->get_int64() > kReservedMax))
      return invalid("reserved_concurrency must be 0 to 100000, or null.");
    if (number) change.reserved = static_cast<std::uint32_t>(value->get_int64());
  }
  const auto* aliases = body.if_contains("aliases");
  if (aliases == nullptr) return change;
  if (!aliases->is_object()) return invalid("aliases must be an object, as in {\"live\": 3}.");
  for (const auto& [name, version] : aliases->get_object()) {
    if (!functions::is_alias_name(name))
      return invalid(
          "'" + std::string(name.substr(0, 100)) +
          "' is no name of an alias: 1 to 128 letters, digits, - and _, not only digits.");
    if (!version.is_int64() || version.get_int64() < 1 ||
        !catalogue.find(function, std::to_string(version.get_int64())))
      return invalid("The alias '" + std::string(name) + "' must lead to a published version.");
    change.aliases[std::string(name)] = static_cast<std::uint64_t>(version.get_int64());
  }
  return change;
}

Status apply_change(const BelongingsChange& change, Belongings& belongings) {
  if (change.tags) belongings.tags = *change.tags;
  if (change.limits) belongings.reserved_concurrency = change.reserved;
  for (const auto& [name, version] : change.aliases) {
    auto& alias = belongings.aliases[name];
    if (alias.version == version && alias.weights.empty()) continue;
    alias.version = version;
    alias.weights.clear();
    alias.revision = new_uuid();
  }
  return ok();
}

json::object render_belongings(const Belongings& belongings) {
  json::object tags, aliases, out;
  for (const auto& [name, text] : belongings.tags) tags[name] = text;
  for (const auto& [name, alias] : belongings.aliases) aliases[name] = alias.version;
  out["tags"] = std::move(tags);
  out["aliases"] = std::move(aliases);
  out["reserved_concurrency"] = nullptr;
  if (belongings.reserved_concurrency)
    out["reserved_concurrency"] = *belongings.reserved_concurrency;
  return out;
}

}  // namespace

Reply Api::State::dispatch_belongings(Endpoint endpoint, Call call) {
  switch (endpoint) {
    case Endpoint::put_belongings:
      return put_belongings(std::move(call));
    case Endpoint::get_url:
    case Endpoint::put_url:
    case Endpoint::delete_url:
      return function_urls(endpoint, std::move(call));
    case Endpoint::list_layers:
      return list_layers(std::move(call));
    case Endpoint::put_layer:
      return put_layer(std::move(call));
    case Endpoint::delete_layer:
      return delete_layer(std::move(call));
    case Endpoint::list_buckets:
    case Endpoint::put_bucket:
    case Endpoint::delete_bucket:
    case Endpoint::get_notifications:
    case Endpoint::put_notifications:
    case Endpoint::list_objects:
    case Endpoint::put_object:
    case Endpoint::get_object:
    case Endpoint::delete_object:
      return bucket_requests(endpoint, std::move(call));
    default:
      return dispatch_events(endpoint, std::move(call));
  }
}

Reply Api::State::put_belongings(Call call) {
  const std::string name = call.name;
  std::vector<std::string_view> known{"tags", "reserved_concurrency", "aliases"};
  auto body = co_await object_of(call, known);
  if (body.has_error()) co_return body.error();
  if (!parts.catalogue.find(name, "")) co_return no_such_function(name);
  auto change = change_in(*body, parts.catalogue, name);
  if (change.has_error()) co_return change.error();
  std::function<Status(Belongings&)> apply = [wanted = std::move(*change)](Belongings& belongings) {
    return apply_change(wanted, belongings);
  };
  auto changing = parts.catalogue.change_belongings(name, std::move(apply));
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return done.error();
  co_return json_reply(200, render_belongings(parts.catalogue.belongings(name)));
}

}  // namespace mayfly::dialects::native
