// Layers: packages with a name and numbered versions, which functions find at /opt.

#include "dialects/lambda_api/layers.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <filesystem>

#include "dialects/native/state.h"
#include "functions/checks.h"

namespace mayfly::dialects::native {

namespace json = boost::json;
using functions::LayerVersion;

namespace {

json::object layer_object(const LayerVersion& layer, const lambda_api::Home& home) {
  const auto list = [](const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
  };
  return json::object{{"name", layer.name},
                      {"version", layer.number},
                      {"arn", home.layer_arn(layer.name, layer.number)},
                      {"package", layer.package},
                      {"archive_bytes", layer.archive_bytes},
                      {"description", layer.description},
                      {"license", layer.license},
                      {"runtimes", list(layer.runtimes)},
                      {"architectures", list(layer.architectures)},
                      {"created_us", layer.created_us}};
}

Status take_texts(const json::object& body, std::string_view key, std::vector<std::string>& into) {
  const auto* value = body.if_contains(key);
  if (value == nullptr) return ok();
  bool good = value->is_array();
  if (good)
    for (const auto& item : value->get_array()) {
      good = good && item.is_string();
      if (item.is_string()) into.emplace_back(item.get_string());
    }
  return good ? ok() : invalid(fmt::format("\"{}\" must be a list of texts.", key));
}

Result<LayerVersion> layer_in(const std::string& name, const json::object& body) {
  LayerVersion layer;
  layer.name = name;
  MAYFLY_TRY(functions::check_layer_name(name));
  for (const auto& [key, into] :
       {std::pair("package", &layer.package), std::pair("description", &layer.description),
        std::pair("license", &layer.license)}) {
    const auto* value = body.if_contains(key);
    if (value == nullptr) continue;
    if (!value->is_string()) return invalid(fmt::format("\"{}\" must be a text.", key));
    *into = std::string(value->get_string());
  }
  MAYFLY_TRY(take_texts(body, "runtimes", layer.runtimes));
  MAYFLY_TRY(take_texts(body, "architectures", layer.architectures));
  const auto good = lambda_api::check_layer(layer);
  if (good.has_error()) return invalid(good.error().message);
  return layer;
}

}  // namespace

Reply Api::State::list_layers(Call call) {
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  const lambda_api::Home home{facts.region, facts.account};
  json::array array;
  for (const auto& name : parts.catalogue.layers().names())
    for (const auto& layer : parts.catalogue.layers().versions(name))
      array.push_back(layer_object(*layer, home));
  co_return json_reply(200, json::object{{"layers", std::move(array)}});
}

Reply Api::State::put_layer(Call call) {
  std::vector<std::string_view> known{"package", "description", "license", "runtimes",
                                      "architectures"};
  auto reading = object_of(call, std::move(known));
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  auto layer = layer_in(call.name, *body);
  if (layer.has_error()) co_return layer.error();
  auto holding = keeper->hold();
  const auto hold = co_await std::move(holding);
  if (!parts.packages.contains(layer->package))
    co_return Error{Code::invalid_argument,
                    "There is no package \"" + layer->package + "\"; PUT /v1/packages first."};
  keeper->touch(layer->package);
  auto measure = [path = parts.packages.archive(layer->package)]() -> std::uint64_t {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(path, failed);
    return failed ? 0 : bytes;
  };
  auto measuring = parts.pool.run(std::move(measure));
  layer->archive_bytes = co_await std::move(measuring);
  layer->created_us = to_epoch_us(clock.wall_now());
  auto publishing = parts.catalogue.layers().publish_changed(std::move(*layer));
  auto published = co_await std::move(publishing);
  if (published.has_error()) co_return published.error();
  const lambda_api::Home home{facts.region, facts.account};
  co_return json_reply(200, json::object{{"layer", layer_object(*published->layer, home)},
                                         {"unchanged", published->unchanged}});
}

Reply Api::State::delete_layer(Call call) {
  const auto ref = functions::parse_layer_ref(call.name);
  auto& layers = parts.catalogue.layers();
  std::vector<functions::LayerVersionPtr> gone;
  if (ref && ref->version == 0) gone = layers.versions(ref->name);
  if (ref && ref->version != 0)
    if (auto one = layers.find(ref->name, ref->version)) gone.push_back(std::move(one));
  if (gone.empty())
    co_return Error{Code::not_found, "There is no layer \"" + call.name.substr(0, 200) +
                                         "\"; `mayfly layer ls` lists the layers."};
  for (const auto& layer : gone) {
    keeper->touch(layer->package);
    auto removing = layers.remove(layer->name, layer->number);
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return removed.error();
  }
  keeper->collect();
  co_return json_reply(200, json::object{{"removed", call.name}});
}

}  // namespace mayfly::dialects::native
