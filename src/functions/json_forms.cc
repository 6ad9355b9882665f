// JSON forms of settings, versions and apps. Reading is strict: unknown keys and wrong types are
// errors that name the key.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <limits>

#include "functions/api_forms.h"
#include "functions/app.h"
#include "functions/checks.h"
#include "functions/image_forms.h"
#include "functions/json_fields.h"
#include "functions/json_forms.h"
#include "functions/log_choices.h"
#include "functions/policy.h"

namespace mayfly::functions {
namespace {

namespace json = boost::json;

constexpr std::size_t kJsonBytesMax = 4u << 20;

json::object async_object(const AsyncSettings& s) {
  return {{"retries", s.retries},
          {"max_age_s", s.max_age_s},
          {"on_success", s.on_success},
          {"on_failure", s.on_failure},
          {"dead_letter", s.dead_letter}};
}

Result<AsyncSettings> async_from(const json::object& object, const std::string& where) {
  AsyncSettings s;
  Fields fields(object, where + "async.");
  fields.integer("retries", s.retries, -1);
  fields.integer("max_age_s", s.max_age_s, -1);
  fields.text("on_success", s.on_success);
  fields.text("on_failure", s.on_failure);
  fields.text("dead_letter", s.dead_letter);
  MAYFLY_TRY(fields.finish());
  return s;
}

json::object settings_object(const Settings& s) {
  json::object env;
  for (const auto& [name, value] : s.env) env[name] = value;
  json::object object{{"runtime", s.runtime},
                      {"handler", s.handler},
                      {"description", s.description},
                      {"memory_mb", s.memory_mb},
                      {"timeout_ms", s.timeout_ms},
                      {"concurrency", s.concurrency},
                      {"instances_min", s.instances_min},
                      {"instances_max", s.instances_max},
                      {"keep_alive_ms", s.keep_alive_ms},
                      {"network", s.network == NetworkMode::none ? "none" : "nat"},
                      {"snapshot", s.snapshot},
                      {"env", std::move(env)},
                      {"async", async_object(s.async)}};
  if (!s.layers.empty()) object["layers"] = json::array(s.layers.begin(), s.layers.end());
  if (s.logs != LogSettings())
    object["logs"] = json::object{
        {"format", s.logs.format}, {"level", s.logs.level}, {"system_level", s.logs.system_level}};
  if (!s.image.uri.empty()) object["image"] = image_settings_object(s.image);
  if (!s.direct) object["direct"] = false;
  if (!s.services) object["services"] = false;
  if (!s.policy.empty()) object["policy"] = s.policy;
  if (!s.install) object["install"] = false;
  if (!s.other.empty()) {
    json::object& other = object["other"].emplace_object();
    for (const auto& [name, value] : s.other) other[name] = value;
  }
  return object;
}

Result<LogSettings> logs_from(const json::object& object, const std::string& where) {
  LogSettings logs;
  Fields fields(object, where);
  fields.text("format", logs.format);
  fields.text("level", logs.level);
  fields.text("system_level", logs.system_level);
  const auto check = [&](const char* key, const std::string& value, const auto& allowed) {
    if (!value.empty() && !is_choice(allowed, value))
      fields.fail(fmt::format("{}{} must be one of {}.", where, key, fmt::join(allowed, ", ")));
  };
  check("format", logs.format, kLogFormats);
  check("level", logs.level, kLogLevels);
  check("system_level", logs.system_level, kSystemLogLevels);
  MAYFLY_TRY(fields.finish());
  return logs;
}

Result<Settings> settings_from(const json::object& object, const std::string& where) {
  Settings s;
  Fields fields(object, where);
  fields.text("runtime", s.runtime);
  fields.text("handler", s.handler);
  fields.text("description", s.description);
  fields.integer("memory_mb", s.memory_mb);
  fields.integer("timeout_ms", s.timeout_ms);
  fields.integer("concurrency", s.concurrency);
  fields.integer("instances_min", s.instances_min);
  fields.integer("instances_max", s.instances_max);
  fields.integer("keep_alive_ms", s.keep_alive_ms, -1);
  std::string network = "nat";
  fields.text("network", network);
  if (network != "nat" && network != "none")
    fields.fail(where + "network must be \"nat\" or \"none\".");
  s.network = network == "none" ? NetworkMode::none : NetworkMode::nat;
  fields.boolean("snapshot", s.snapshot);
  fields.boolean("install", s.install);
  fields.boolean("direct", s.direct);
  fields.boolean("services", s.services);
  fields.text("policy", s.policy);
  if (!s.policy.empty()) {
    const auto policy = Policy::parse(s.policy);
    if (policy.has_error()) fields.fail(where + policy.error().message);
  }
  fields.texts("layers", s.layers);
  for (auto [key, into] : {std::pair("env", &s.env), std::pair("other", &s.other)}) {
    const auto* map = fields.object(key);
    if (map == nullptr) continue;
    for (const auto& entry : *map) {
      if (!entry.value().is_string()) {
        fields.fail(fmt::format("{}{}.{} must be a text, not {}.", where, key,
                                std::string_view(entry.key()), kind_name(entry.value())));
        break;
      }
      (*into)[std::string(entry.key())] = std::string(entry.value().get_string());
    }
  }
  const auto* async = fields.object("async");
  const auto* logs = fields.object("logs");
  const auto* image = fields.object("image");
  MAYFLY_TRY(fields.finish());
  if (logs != nullptr) {
    auto read = logs_from(*logs, where + "logs.");
    if (read.has_error()) return std::move(read).error();
    s.logs = std::move(*read);
  }
  if (image != nullptr) {
    auto read = image_settings_from(*image, where + "image.");
    if (read.has_error()) return std::move(read).error();
    s.image = std::move(*read);
  }
  if (async != nullptr) {
    auto read = async_from(*async, where);
    if (read.has_error()) return std::move(read).error();
    s.async = std::move(*read);
  }
  return s;
}

json::object cors_object(const Cors& cors) {
  return {{"allow_origins", json_array_of(cors.allow_origins)},
          {"allow_methods", json_array_of(cors.allow_methods)},
          {"allow_headers", json_array_of(cors.allow_headers)},
          {"expose_headers", json_array_of(cors.expose_headers)},
          {"allow_credentials", cors.allow_credentials},
          {"max_age_s", cors.max_age_s}};
}

Result<Cors> cors_from(const json::object& object) {
  Cors cors;
  Fields fields(object, "cors.");
  fields.texts("allow_origins", cors.allow_origins);
  fields.texts("allow_methods", cors.allow_methods);
  fields.texts("allow_headers", cors.allow_headers);
  fields.texts("expose_headers", cors.expose_headers);
  fields.boolean("allow_credentials", cors.allow_credentials);
  fields.integer("max_age_s", cors.max_age_s);
  MAYFLY_TRY(fields.finish());
  return cors;
}

Result<Route> route_from(const json::object& object, std::size_t index) {
  Route route;
  route.method = "ANY";
  Fields fields(object, fmt::format("routes[{}].", index));
  fields.text("method", route.method);
  fields.text("path", route.path);
  fields.text("function", route.function);
  fields.text("static_package", route.static_package);
  fields.text("static_index", route.static_index);
  fields.text("static_fallback", route.static_fallback);
  const auto* rules = fields.object("rules");
  MAYFLY_TRY(fields.finish());
  if (rules != nullptr) {
    auto read = rules_from(*rules, fmt::format("routes[{}].rules.", index));
    if (read.has_error()) return std::move(read).error();
    route.rules = std::move(*read);
  }
  return route;
}

}  // namespace

Result<json::object> parse_object(std::string_view text, std::string_view what) {
  if (text.size() > kJsonBytesMax)
    return Error{Code::too_large, fmt::format("The JSON of {} has {} bytes; {} are allowed.", what,
                                              text.size(), kJsonBytesMax)};
  json::parse_options options;
  options.max_depth = 32;
  boost::system::error_code error;
  json::stream_parser parser({}, options);
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && parser.done() &&
      text.substr(used).find_first_not_of(" \t\r\n") != std::string_view::npos)
    error = json::error::extra_data;
  if (!error) parser.finish(error);
  if (error)
    return invalid(
        fmt::format("The JSON of {} is malformed at byte {}: {}.", what, used, error.message()));
  json::value value = parser.release();
  if (!value.is_object())
    return invalid(
        fmt::format("The JSON of {} must be an object, not {}.", what, kind_name(value)));
  return std::move(value.get_object());
}

std::string cors_to_json(const Cors& cors) {
  return json::serialize(cors_object(cors));
}

Result<Cors> cors_from_json(std::string_view text) {
  auto object = parse_object(text, "the CORS settings");
  if (object.has_error()) return std::move(object).error();
  return cors_from(*object);
}

std::string settings_to_json(const Settings& settings) {
  return json::serialize(settings_object(settings));
}

Result<Settings> settings_from_json(std::string_view text) {
  auto object = parse_object(text, "the settings");
  if (object.has_error()) return std::move(object).error();
  return settings_from(*object, "");
}

std::string app_to_json(const App& app) {
  json::array routes;
  for (const auto& route : app.routes) {
    json::object item{{"method", route.method}, {"path", route.path}};
    if (!route.function.empty()) item["function"] = route.function;
    if (!route.static_package.empty()) {
      item["static_package"] = route.static_package;
      item["static_index"] = route.static_index;
      item["static_fallback"] = route.static_fallback;
    }
    if (!(route.rules == RouteRules{})) item["rules"] = rules_object(route.rules);
    routes.push_back(std::move(item));
  }
  json::object object{
      {"name", app.name}, {"routes", std::move(routes)}, {"cors", cors_object(app.cors)}};
  if (!(app.api == Api{})) object["api"] = api_object(app.api);
  if (!app.resources.empty()) object["resources"] = json_array_of(app.resources);
  return json::serialize(object);
}

Result<App> app_from_json(std::string_view text) {
  auto object = parse_object(text, "the application");
  if (object.has_error()) return std::move(object).error();
  App app;
  Fields fields(*object, "");
  fields.text("name", app.name);
  const auto* routes = fields.array("routes");
  const auto* cors = fields.object("cors");
  const auto* api = fields.object("api");
  fields.texts("resources", app.resources);
  MAYFLY_TRY(fields.finish());
  if (cors != nullptr) {
    auto read = cors_from(*cors);
    if (read.has_error()) return std::move(read).error();
    app.cors = std::move(*read);
  }
  if (api != nullptr) {
    auto read = api_from(*api);
    if (read.has_error()) return std::move(read).error();
    app.api = std::move(*read);
  }
  if (routes != nullptr) {
    for (std::size_t i = 0; i < routes->size(); ++i) {
      if (!(*routes)[i].is_object())
        return invalid(
            fmt::format("routes[{}] must be an object, not {}.", i, kind_name((*routes)[i])));
      auto route = route_from((*routes)[i].get_object(), i);
      if (route.has_error()) return std::move(route).error();
      app.routes.push_back(std::move(*route));
    }
  }
  return app;
}

std::string version_to_json(const Version& v) {
  json::object object{
      {"function", v.function},
      {"version", v.number == 0 ? std::string("$LATEST") : std::to_string(v.number)},
      {"revision", v.revision},
      {"package", v.package},
      {"code_bytes", v.code_bytes},
      {"model", model_name(v.model)},
      {"concurrency", v.concurrency},
      {"created_us", v.created_us},
      {"settings", settings_object(v.settings)},
      {"notes", json_array_of(v.notes)}};
  return json::serialize(object);
}

std::string encode_version(const Version& v) {
  json::object object{{"function", v.function},
                      {"number", v.number},
                      {"revision", v.revision},
                      {"package", v.package},
                      {"code_bytes", v.code_bytes},
                      {"settings", settings_object(v.settings)},
                      {"entry", v.entry},
                      {"digest", v.digest},
                      {"model", model_name(v.model)},
                      {"concurrency", v.concurrency},
                      {"uncloneable", v.uncloneable},
                      {"created_us", v.created_us},
                      {"notes", json_array_of(v.notes)}};
  return kStoredVersion + json::serialize(object);
}

Result<Version> decode_version(std::string_view bytes) {
  if (bytes.substr(0, 1) != kStoredVersion)
    return Error{Code::corrupt, "A stored function is of a format that this server does not know."};
  auto object = parse_object(bytes.substr(1), "a stored function");
  if (object.has_error()) return Error{Code::corrupt, object.error().message};
  Version v;
  std::string model;
  Fields fields(*object, "stored function: ");
  fields.text("function", v.function);
  fields.integer("number", v.number);
  fields.text("revision", v.revision);
  fields.text("package", v.package);
  fields.integer("code_bytes", v.code_bytes);
  fields.text("entry", v.entry);
  fields.text("digest", v.digest);
  fields.text("model", model);
  fields.integer("concurrency", v.concurrency);
  fields.text("uncloneable", v.uncloneable);
  fields.integer("created_us", v.created_us);
  fields.texts("notes", v.notes);
  const auto* settings = fields.object("settings");
  const auto done = fields.finish();
  if (done.has_error()) return Error{Code::corrupt, done.error().message};
  v.model = model_from_name(model).value_or(Model::unknown);
  if (settings != nullptr) {
    auto read = settings_from(*settings, "stored function: ");
    if (read.has_error()) return Error{Code::corrupt, read.error().message};
    v.settings = std::move(*read);
  }
  return v;
}

}  // namespace mayfly::functions
