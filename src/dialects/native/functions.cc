#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "buckets/types.h"
#include "dialects/lambda_api/layers.h"
#include "dialects/native/render.h"
#include "dialects/native/state.h"
#include "triggers/async_calls.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

Reply Api::State::put_package(Call call) {
  auto query = query_of(call, {"bucket", "key"});
  if (query.has_error()) co_return query.error();
  std::string first = std::move(call.http.body);
  io::BodyReaderPtr more = std::move(call.http.more);
  if (query->contains("bucket") || query->contains("key")) {
    if (parts.buckets == nullptr || text_in(*query, "bucket").empty() ||
        text_in(*query, "key").empty())
      co_return invalid("A package of a bucket wants both the parameters bucket and key.");
    buckets::Object object;
    auto opening = open_object(text_in(*query, "bucket"), text_in(*query, "key"), &object);
    auto body = co_await std::move(opening);
    if (body.has_error()) co_return body.error();
    first.clear();
    more = std::move(*body);
  }
  auto hold = co_await keeper->hold();
  auto adding = parts.packages.add(std::move(first), std::move(more));
  auto added = co_await std::move(adding);
  if (added.has_error()) co_return added.error();
  keeper->touch(added->sha256);
  json::object object;
  object["sha256"] = added->sha256;
  object["archive_bytes"] = added->archive_bytes;
  object["existed"] = added->existed;
  co_return json_reply(200, object);
}

Reply Api::State::head_package(Call call) {
  auto hold = co_await keeper->hold();
  if (!parts.packages.contains(call.name))
    co_return Error{Code::not_found, "There is no package " + call.name + "."};
  keeper->touch(call.name);  // whoever asks is about to deploy it
  co_return io::json_response(200, "");
}

Reply Api::State::list_functions(Call call) {
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  json::array array;
  for (const auto& version : parts.catalogue.list()) array.push_back(render_version(*version));
  json::object object;
  object["functions"] = std::move(array);
  co_return json_reply(200, object);
}

namespace {

// The body of a deploy: {"package","settings","layers","check"}; settings.image in place of
// package.
Result<engine::DeployRequest> deploy_request(const std::string& name, const json::object& body,
                                             functions::Catalogue& catalogue,
                                             const lambda_api::Home& home) {
  engine::DeployRequest request;
  request.function = name;
  if (const auto* check = body.if_contains("check"); check != nullptr) {
    if (!check->is_bool()) return Error{Code::invalid_argument, "\"check\" must be true or false."};
    request.check = check->get_bool();
  }
  if (const auto* settings = body.if_contains("settings"); settings != nullptr) {
    auto parsed = functions::settings_from_json(json::serialize(*settings));
    if (parsed.has_error()) return parsed.error();
    request.settings = std::move(*parsed);
  }
  if (const auto* value = body.if_contains("layers"); value != nullptr) {
    std::vector<std::string> refs;
    if (!value->is_array()) return invalid("\"layers\" must be a list of texts.");
    for (const auto& item : value->get_array()) {
      if (!item.is_string()) return invalid("\"layers\" must be a list of texts.");
      refs.emplace_back(item.get_string());
    }
    const auto given = lambda_api::give_layers(catalogue.layers(), home, refs,
                                               lambda_api::Unversioned::newest, request.settings);
    if (given.has_error())
      return invalid(given.error().message + " `mayfly layer ls` lists the layers.");
  }
  const auto* package = body.if_contains("package");
  if (!request.settings.image.uri.empty()) {
    if (package != nullptr)
      return invalid(
          "A function is made of a package or of an image: \"package\" and "
          "\"settings.image\" do not go together.");
    if (!request.settings.layers.empty())
      return invalid("A function of an image has no layers: they belong into the image.");
    auto tree = catalogue.images().resolve(request.settings.image);
    if (tree.has_error()) return tree.error();
    request.package = std::move(*tree);
    return request;
  }
  if (package == nullptr || !package->is_string())
    return Error{Code::invalid_argument,
                 "\"package\" must be the SHA-256 that PUT /v1/packages answered."};
  request.package = std::string(package->get_string());
  return request;
}

}  // namespace

Reply Api::State::put_function(Call call) {
  std::vector<std::string_view> known{"package", "settings", "layers", "check"};
  auto body = co_await object_of(call, known);
  if (body.has_error()) co_return body.error();
  auto hold = co_await keeper->hold();
  const lambda_api::Home home{facts.region, facts.account};
  auto request = deploy_request(call.name, *body, parts.catalogue, home);
  if (request.has_error()) co_return request.error();
  if (auto good = triggers::check_async_targets(request->settings.async); good.has_error())
    co_return good.error();
  const bool image = !request->settings.image.uri.empty();
  if (!image && !parts.packages.contains(request->package))
    co_return Error{Code::invalid_argument,
                    "There is no package \"" + request->package + "\"; PUT /v1/packages first."};
  keeper->touch(request->package);
  const auto before = parts.catalogue.find(call.name, "");
  auto deployed = co_await parts.deployer.deploy(std::move(*request));
  if (deployed.has_error()) co_return deployed.error();
  if (deployed->failure) co_return failure_reply(*deployed->failure, call.request_id, 422);
  // Instances of the old revision may still be at work on its files.
  if (before) keeper->touch(before->package);
  keeper->collect();
  json::object object;
  object["function"] = render_version(*deployed->version);
  object["unchanged"] = deployed->unchanged;
  object["created"] = deployed->created;
  object["detected"] = json::array(deployed->detected.begin(), deployed->detected.end());
  if (deployed->version->settings.direct)
    object["url"] = facts.gateway_url + "/function/" + call.name;
  co_return json_reply(200, object);
}

Reply Api::State::get_function(Call call) {
  const auto version = parts.catalogue.find_qualified(call.name);
  if (!version) co_return no_such_function(call.name);
  auto object = render_version(*version);
  object["keep_alive"] = render_keep_alive(parts.dispatcher.keep_alive_of(*version));
  co_return json_reply(200, object);
}

Reply Api::State::delete_function(Call call) {
  if (!parts.catalogue.find(call.name, "")) co_return no_such_function(call.name);
  for (const auto& version : parts.catalogue.versions(call.name)) keeper->touch(version->package);
  auto removed = co_await parts.deployer.remove(call.name);
  if (removed.has_error()) co_return removed.error();
  keeper->collect();
  json::object object;
  object["removed"] = call.name;
  co_return json_reply(200, object);
}

Reply Api::State::publish_version(Call call) {
  if (!parts.catalogue.find(call.name, "")) co_return no_such_function(call.name);
  auto published = co_await parts.deployer.publish(call.name);
  if (published.has_error()) co_return published.error();
  co_return json_reply(200, render_version(**published));
}

Reply Api::State::list_versions(Call call) {
  if (!parts.catalogue.find(call.name, "")) co_return no_such_function(call.name);
  json::array array;
  for (const auto& version : parts.catalogue.versions(call.name))
    array.push_back(render_version(*version));
  json::object object;
  object["versions"] = std::move(array);
  co_return json_reply(200, object);
}

namespace {

json::value render_app(functions::App app) {
  for (auto& route : app.routes) route.static_dir.clear();  // a host path
  boost::system::error_code failed;
  json::value value = json::parse(functions::app_to_json(app), failed);
  return failed ? json::value(json::object()) : value;
}

}  // namespace

Reply Api::State::list_apps(Call) {
  json::array array;
  for (const auto& app : parts.catalogue.apps()) array.push_back(render_app(app));
  json::object object;
  object["apps"] = std::move(array);
  co_return json_reply(200, object);
}

Reply Api::State::put_app(Call call) {
  std::vector<std::string_view> known{"name", "routes", "cors", "api", "resources"};
  auto body = co_await object_of(call, known);
  if (body.has_error()) co_return body.error();
  (*body)["name"] = call.name;
  auto app = functions::app_from_json(json::serialize(*body));
  if (app.has_error()) co_return app.error();
  for (auto& route : app->routes) route.static_dir.clear();  // the server's to fill in
  auto hold = co_await keeper->hold();
  auto put = co_await parts.catalogue.put_app(*app);
  if (put.has_error()) co_return put.error();
  keeper->collect();
  json::object object;
  object["app"] = render_app(std::move(*app));
  object["url"] = facts.gateway_url + "/";
  co_return json_reply(200, object);
}

Reply Api::State::delete_app(Call call) {
  auto removed = co_await parts.catalogue.remove_app(call.name);
  if (removed.has_error()) co_return removed.error();
  keeper->collect();
  json::object object;
  object["removed"] = call.name;
  co_return json_reply(200, object);
}

}  // namespace mayfly::dialects::native
