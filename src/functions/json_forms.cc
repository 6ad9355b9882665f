// JSON forms of settings, versions and apps. Reading is strict: unknown keys and wrong types are
// errors that name the key.

#include <fmt/format.h>
#include <boost/json.hpp>

#include <limits>

#include "functions/app.h"
#include "functions/checks.h"
#include "functions/json_forms.h"

namespace mayfly::functions {
namespace {

namespace json = boost::json;

constexpr std::size_t kJsonBytesMax = 4u << 20;

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a text";
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

// Reads the members of one object; the first error stays.
class Fields {
 public:
  Fields(const json::object& object, std::string where)
      : object_(object), where_(std::move(where)) {}

  void text(std::string_view key, std::string& out) {
    if (const auto* value = member(key)) {
      if (!value->is_string()) return wrong(key, "a text", *value);
      out = std::string(value->get_string());
    }
  }
  void boolean(std::string_view key, bool& out) {
    if (const auto* value = member(key)) {
      if (!value->is_bool()) return wrong(key, "true or false", *value);
      out = value->get_bool();
    }
  }
  template <class T>
  void integer(std::string_view key, T& out, std::int64_t min = 0) {
    const auto* value = member(key);
    if (value == nullptr) return;
    // 128 may arrive as 128.0 from clients whose numbers are all floating.
    std::int64_t number = 0;
    if (value->is_int64()) {
      number = value->get_int64();
    } else if (value->is_double() && value->get_double() >= -9e15 && value->get_double() <= 9e15 &&
               value->get_double() ==
                   static_cast<double>(static_cast<std::int64_t>(value->get_double()))) {
      number = static_cast<std::int64_t>(value->get_double());
    } else {
      return wrong(key, "a whole number", *value);
    }
    constexpr std::uint64_t kTypeMax = std::numeric_limits<T>::max();
    if (number < min || (number > 0 && static_cast<std::uint64_t>(number) > kTypeMax))
      return fail(
          fmt::format("{}{} is {}; it must be {} to {}.", where_, key, number, min, kTypeMax));
    out = static_cast<T>(number);
  }
  void texts(std::string_view key, std::vector<std::string>& out) {
    const auto* value = member(key);
    if (value == nullptr) return;
    if (!value->is_array()) return wrong(key, "a list of texts", *value);
    for (const auto& item : value->get_array()) {
      if (!item.is_string()) return wrong(key, "a list of texts", item);
      out.emplace_back(item.get_string());
    }
  }
  const json::object* object(std::string_view key) {
    const auto* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_object()) {
      wrong(key, "an object", *value);
      return nullptr;
    }
    return &value->get_object();
  }
  const json::array* array(std::string_view key) {
    const auto* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) {
      wrong(key, "a list", *value);
      return nullptr;
    }
    return &value->get_array();
  }
  void fail(std::string message) {
    if (!error_) error_ = invalid(std::move(message));
  }
  // Complains about keys that nobody asked for.
  Status finish() {
    if (error_) return *error_;
    for (const auto& entry : object_) {
      const std::string_view key = entry.key();
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        return invalid(fmt::format("{}'{}' is not a known key.{}", where_, key.substr(0, 100),
                                   did_you_mean(key, known_)));
    }
    return ok();
  }

 private:
  const json::value* member(std::string_view key) {
    known_.push_back(key);
    if (error_) return nullptr;
    const auto* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  void wrong(std::string_view key, std::string_view wanted, const json::value& value) {
    fail(fmt::format("{}{} must be {}, not {}.", where_, key, wanted, kind_name(value)));
  }

  const json::object& object_;
  const std::string where_;
  std::vector<std::string_view> known_;
  std::optional<Error> error_;
};

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
  if (!s.install) object["install"] = false;
  if (!s.other.empty()) {
    json::object& other = object["other"].emplace_object();
    for (const auto& [name, value] : s.other) other[name] = value;
  }
  return object;
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
  MAYFLY_TRY(fields.finish());
  if (async != nullptr) {
    auto read = async_from(*async, where);
    if (read.has_error()) return std::move(read).error();
    s.async = std::move(*read);
  }
  return s;
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
  MAYFLY_TRY(fields.finish());
  return route;
}

json::array to_array(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
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
    routes.push_back(std::move(item));
  }
  const auto& cors = app.cors;
  json::object object{{"name", app.name},
                      {"routes", std::move(routes)},
                      {"cors",
                       {{"allow_origins", to_array(cors.allow_origins)},
                        {"allow_methods", to_array(cors.allow_methods)},
                        {"allow_headers", to_array(cors.allow_headers)},
                        {"expose_headers", to_array(cors.expose_headers)},
                        {"allow_credentials", cors.allow_credentials},
                        {"max_age_s", cors.max_age_s}}}};
  if (!app.resources.empty()) object["resources"] = to_array(app.resources);
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
  fields.texts("resources", app.resources);
  MAYFLY_TRY(fields.finish());
  if (cors != nullptr) {
    auto read = cors_from(*cors);
    if (read.has_error()) return std::move(read).error();
    app.cors = std::move(*read);
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
      {"notes", to_array(v.notes)}};
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
                      {"notes", to_array(v.notes)}};
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
