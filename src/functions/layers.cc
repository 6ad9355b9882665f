#include "functions/layers.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "functions/checks.h"
#include "functions/commit.h"
#include "functions/json_forms.h"

namespace mayfly::functions {

namespace {

constexpr std::string_view kLayerPrefix = "f/y/";
constexpr std::string_view kLayerCounterPrefix = "f/yn/";

std::string layer_key(std::string_view name, std::uint64_t number) {
  std::string key = std::string(kLayerPrefix) + std::string(name) + '\0';
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(number >> shift);
  return key;
}

std::string layer_counter_key(std::string_view name) {
  return std::string(kLayerCounterPrefix) + std::string(name);
}

void read_layer_text(const boost::json::object& object, std::string_view key, std::string& into) {
  const auto* value = object.if_contains(key);
  if (value && value->is_string()) into = std::string(value->get_string());
}

void read_layer_texts(const boost::json::object& object, std::string_view key,
                      std::vector<std::string>& into) {
  const auto* value = object.if_contains(key);
  if (!value || !value->is_array()) return;
  for (const auto& item : value->get_array())
    if (item.is_string()) into.emplace_back(item.get_string());
}

std::int64_t layer_number(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() ? std::max<std::int64_t>(0, value->get_int64()) : 0;
}

}  // namespace

bool is_layer_name(std::string_view name) {
  return !name.empty() && name.size() <= 140 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

std::optional<LayerRef> parse_layer_ref(std::string_view text) {
  constexpr std::size_t kArnParts = 6;  // arn:aws:lambda:REGION:ACCOUNT:layer
  std::vector<std::string_view> parts;
  for (std::string_view rest = text;;) {
    const auto colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos || parts.size() > kArnParts + 2) break;
    rest.remove_prefix(colon + 1);
  }
  if (parts[0] == "arn" && parts.size() > kArnParts && parts[1].starts_with("aws") &&
      parts[2] == "lambda" && parts[5] == "layer")
    parts.erase(parts.begin(), parts.begin() + kArnParts);
  if (parts.size() > 2 || !is_layer_name(parts[0])) return std::nullopt;
  LayerRef ref{std::string(parts[0]), 0};
  if (parts.size() == 1) return ref;
  const auto [end, failed] =
      std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), ref.version);
  if (failed != std::errc() || end != parts[1].data() + parts[1].size() || ref.version == 0)
    return std::nullopt;
  return ref;
}

std::string layer_to_json(const LayerVersion& layer) {
  const auto list = [](const std::vector<std::string>& texts) {
    return boost::json::array(texts.begin(), texts.end());
  };
  return boost::json::serialize(boost::json::object{{"name", layer.name},
                                                    {"number", layer.number},
                                                    {"package", layer.package},
                                                    {"archive_bytes", layer.archive_bytes},
                                                    {"description", layer.description},
                                                    {"license", layer.license},
                                                    {"runtimes", list(layer.runtimes)},
                                                    {"architectures", list(layer.architectures)},
                                                    {"policy", layer.policy},
                                                    {"created_us", layer.created_us}});
}

Result<LayerVersion> layer_from_json(std::string_view json) {
  const auto object = parse_object(json, "a stored layer");
  if (object.has_error()) return object.error();
  LayerVersion layer;
  read_layer_text(*object, "name", layer.name);
  layer.number = static_cast<std::uint64_t>(layer_number(*object, "number"));
  read_layer_text(*object, "package", layer.package);
  layer.archive_bytes = static_cast<std::uint64_t>(layer_number(*object, "archive_bytes"));
  read_layer_text(*object, "description", layer.description);
  read_layer_text(*object, "license", layer.license);
  read_layer_texts(*object, "runtimes", layer.runtimes);
  read_layer_texts(*object, "architectures", layer.architectures);
  read_layer_text(*object, "policy", layer.policy);
  layer.created_us = layer_number(*object, "created_us");
  if (!is_layer_name(layer.name) || layer.number == 0 || !is_sha256(layer.package))
    return Error{Code::corrupt, "A stored layer lacks its name, number or package."};
  return layer;
}

Status Layers::load() {
  layers_.clear();
  last_numbers_.clear();
  Status problem;
  MAYFLY_TRY(parts_.store.scan(
      {std::string(kLayerPrefix), store::prefix_end(kLayerPrefix)},
      [&](std::string_view key, std::string_view value) {
        auto layer = value.starts_with(kStoredVersionView)
                         ? layer_from_json(value.substr(1))
                         : Result<LayerVersion>(Error{Code::corrupt, "Its format is not known."});
        if (layer.has_error()) {
          problem = Error{Code::corrupt,
                          "The layer stored as '" + std::string(key.substr(0, key.find('\0'))) +
                              "' is damaged: " + layer.error().message,
                          "load layers"};
          return false;
        }
        auto& versions = layers_[layer->name];
        const auto number = layer->number;
        versions[number] = std::make_shared<const LayerVersion>(std::move(*layer));
        return true;
      }));
  if (problem.has_error()) return problem;
  return parts_.store.scan(
      {std::string(kLayerCounterPrefix), store::prefix_end(kLayerCounterPrefix)},
      [&](std::string_view key, std::string_view value) {
        auto& last = last_numbers_[std::string(key.substr(kLayerCounterPrefix.size()))];
        value.remove_prefix(std::min<std::size_t>(1, value.size()));
        std::from_chars(value.data(), value.data() + value.size(), last);
        return true;
      });
}

LayerVersionPtr Layers::find(std::string_view name, std::uint64_t number) const {
  const auto layer = layers_.find(name);
  if (layer == layers_.end()) return nullptr;
  const auto version = layer->second.find(number);
  return version == layer->second.end() ? nullptr : version->second;
}

std::vector<LayerVersionPtr> Layers::versions(std::string_view name) const {
  std::vector<LayerVersionPtr> all;
  const auto layer = layers_.find(name);
  if (layer == layers_.end()) return all;
  for (const auto& [number, version] : layer->second) all.push_back(version);
  std::reverse(all.begin(), all.end());
  return all;
}

std::vector<std::string> Layers::names() const {
  std::vector<std::string> all;
  for (const auto& [name, versions] : layers_) all.push_back(name);
  return all;
}

io::Task<Result<LayerVersionPtr>> Layers::publish(LayerVersion layer) {
  auto locking = locks_.lock(layer.name);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  auto publishing = publish_locked(std::move(layer));
  co_return co_await std::move(publishing);
}

io::Task<Result<Layers::Published>> Layers::publish_changed(LayerVersion layer) {
  auto locking = locks_.lock(layer.name);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  Published published;
  const auto present = layers_.find(layer.name);
  if (present != layers_.end()) {
    published.layer = present->second.rbegin()->second;
    LayerVersion same = *published.layer;
    same.number = layer.number;
    same.policy = layer.policy;
    same.created_us = layer.created_us;
    published.unchanged = same == layer;
  }
  if (published.unchanged) co_return published;
  auto publishing = publish_locked(std::move(layer));
  auto made = co_await std::move(publishing);
  if (made.has_error()) co_return std::move(made).error();
  published.layer = std::move(*made);
  co_return published;
}

io::Task<Result<LayerVersionPtr>> Layers::publish_locked(LayerVersion layer) {
  layer.number = last_numbers_[layer.name] + 1;
  const std::string key = layer_key(layer.name, layer.number);
  store::Transaction transaction;
  transaction.require(key, std::nullopt).put(key, kStoredVersion + layer_to_json(layer));
  transaction.put(layer_counter_key(layer.name), kStoredVersion + std::to_string(layer.number));
  auto writing = commit(parts_.store, parts_.pool, std::move(transaction));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  last_numbers_[layer.name] = layer.number;
  LayerVersionPtr visible = std::make_shared<const LayerVersion>(std::move(layer));
  layers_[visible->name][visible->number] = visible;
  co_return visible;
}

io::Task<Result<LayerVersionPtr>> Layers::change(std::string name, std::uint64_t number,
                                                 std::function<Status(LayerVersion&)> change) {
  auto locking = locks_.lock(name);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  const LayerVersionPtr present = find(name, number);
  if (!present)
    co_return Error{Code::not_found, "There is no version " + std::to_string(number) +
                                         " of the layer '" + name.substr(0, 150) + "'."};
  LayerVersion changed = *present;
  const Status good = change(changed);
  if (good.has_error()) co_return good.error();
  store::Transaction transaction;
  transaction.put(layer_key(name, number), kStoredVersion + layer_to_json(changed));
  auto writing = commit(parts_.store, parts_.pool, std::move(transaction));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  LayerVersionPtr visible = std::make_shared<const LayerVersion>(std::move(changed));
  layers_[name][number] = visible;
  co_return visible;
}

io::Task<Status> Layers::remove(std::string name, std::uint64_t number) {
  auto locking = locks_.lock(name);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  if (!find(name, number)) co_return ok();
  store::Transaction transaction;
  transaction.remove(layer_key(name, number));
  auto writing = commit(parts_.store, parts_.pool, std::move(transaction));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  auto& versions = layers_[name];
  versions.erase(number);
  if (versions.empty()) layers_.erase(name);
  co_return ok();
}

std::set<std::string> Layers::packages_in_use() const {
  std::set<std::string> used;
  for (const auto& [name, versions] : layers_)
    for (const auto& [number, version] : versions) used.insert(version->package);
  return used;
}

}  // namespace mayfly::functions
