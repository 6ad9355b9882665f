// parse_manifest: a mayfly.yaml becomes a Manifest. Strict: an unknown key is an error, since a
// misspelt setting that is silently ignored costs somebody an afternoon.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <set>

#include "functions/app.h"
#include "functions/catalogue.h"
#include "functions/checks.h"
#include "functions/image_config.h"
#include "functions/manifest_api.h"
#include "functions/manifest_events.h"
#include "functions/policy.h"
#include "functions/yaml_reader.h"

namespace mayfly::functions {
namespace {

using namespace yaml;

constexpr std::size_t kManifestBytesMax = 1u << 20;
constexpr std::size_t kListMax = 10'000;
constexpr std::uint32_t kUrlMaxAge = 86'400;  // as Lambda has it

void read_env(const YAML::Node& node, const std::string& what, Settings& settings) {
  if (!node.IsMap()) wrong(node, what + " must be a mapping (NAME: value).");
  for (const auto& member : node) {
    const std::string name = filled_text_of(member.first, "A name in " + what);
    if (!member.second.IsScalar())
      wrong(member.second.IsNull() ? member.first : member.second,
            fmt::format("{}.{} must be a text, a number or a boolean (\"\" for an empty text).",
                        what, name.substr(0, 100)));
    if (!settings.env.emplace(name, member.second.Scalar()).second)
      wrong(member.first, fmt::format("'{}' is there twice in {}.", name.substr(0, 100), what));
  }
}

Cors read_cors(const YAML::Node& node) {
  Cors cors;
  const Keys keys(node, "cors",
                  {"origins", "methods", "headers", "expose", "credentials", "max_age"});
  keys.with("origins", [&](auto& v) { cors.allow_origins = texts_of(v, "cors: origins"); });
  keys.with("methods", [&](auto& v) {
    cors.allow_methods = texts_of(v, "cors: methods");
    for (const auto& method : cors.allow_methods)
      if (method != "*") unwrap(v, check_route_method(method));
  });
  keys.with("headers", [&](auto& v) { cors.allow_headers = texts_of(v, "cors: headers"); });
  keys.with("expose", [&](auto& v) { cors.expose_headers = texts_of(v, "cors: expose"); });
  keys.with("credentials",
            [&](auto& v) { cors.allow_credentials = boolean_of(v, "cors: credentials"); });
  keys.with("max_age",
            [&](auto& v) { cors.max_age_s = whole_of(v, "cors: max_age", 86'400 * 365); });
  unwrap(node, check_cors(cors));
  return cors;
}

// "none" and "iam" alone, or a mapping.
Manifest::Url read_url(const YAML::Node& node, const std::string& what) {
  Manifest::Url url;
  const auto auth = [&](const YAML::Node& value) {
    const std::string text = text_of(value, what + ": auth");
    if (text != "none" && text != "iam")
      wrong(value, what + ": auth must be none or iam, not '" + text.substr(0, 40) + "'.");
    url.iam = text == "iam";
  };
  if (node.IsScalar()) {
    auth(node);
    return url;
  }
  const Keys keys(node, what, {"auth", "stream", "cors"});
  keys.require("auth");
  keys.with("auth", auth);
  keys.with("stream", [&](auto& v) { url.stream = boolean_of(v, what + ": stream"); });
  keys.with("cors", [&](auto& v) {
    url.cors = read_cors(v);
    if (url.cors.max_age_s > kUrlMaxAge)
      wrong(v, fmt::format("{}: cors: max_age must be up to {}.", what, kUrlMaxAge));
  });
  return url;
}

// A path alone, or a mapping.
Manifest::Layer read_layer(const std::string& name, const YAML::Node& node) {
  Manifest::Layer layer;
  layer.name = name;
  const std::string what = "layer '" + name + "'";
  if (node.IsScalar()) {
    layer.path = filled_text_of(node, what);
    return layer;
  }
  const Keys keys(node, what, {"path", "description", "license", "runtimes", "architectures"});
  keys.require("path");
  keys.with("path", [&](auto& v) { layer.path = filled_text_of(v, what + ": path"); });
  keys.with("description",
            [&](auto& v) { layer.description = text_of(v, what + ": description"); });
  keys.with("license", [&](auto& v) { layer.license = text_of(v, what + ": license"); });
  keys.with("runtimes", [&](auto& v) { layer.runtimes = texts_of(v, what + ": runtimes"); });
  keys.with("architectures",
            [&](auto& v) { layer.architectures = texts_of(v, what + ": architectures"); });
  return layer;
}

void read_image(const Keys& keys, const std::string& what, Manifest::Function& function) {
  auto& image = function.settings.image;
  keys.with("image", [&](auto& v) {
    image.uri = filled_text_of(v, what + ": image");
    const auto name = parse_image_name(image.uri);
    if (name.has_error()) wrong(v, what + ": image: " + name.error().message);
  });
  const auto only_with_image = [&](auto& v, const char* key) {
    if (image.uri.empty()) wrong(v, fmt::format("{}: {} goes with image.", what, key));
  };
  keys.with("entrypoint", [&](auto& v) {
    only_with_image(v, "entrypoint");
    image.over.entrypoint = texts_of(v, what + ": entrypoint");
  });
  keys.with("command", [&](auto& v) {
    only_with_image(v, "command");
    image.over.command = texts_of(v, what + ": command");
  });
  keys.with("workdir", [&](auto& v) {
    only_with_image(v, "workdir");
    image.over.workdir = filled_text_of(v, what + ": workdir");
  });
  keys.with("path", [&](auto& v) {
    if (!image.uri.empty())
      wrong(v, what + ": a function is made of a path or of an image, not of both.");
  });
}

Manifest::Function read_function(const std::string& name, const YAML::Node& node,
                                 Manifest& manifest) {
  Manifest::Function function;
  function.name = name;
  auto& s = function.settings;
  const std::string what = "function '" + name + "'";
  const Keys keys(node, what,
                  {"path",  "runtime",    "handler",    "memory",  "timeout",  "concurrency",
                   "min",   "max",        "keep_alive", "network", "snapshot", "description",
                   "env",   "triggers",   "async",      "direct",  "layers",   "url",
                   "image", "entrypoint", "command",    "workdir", "policy",   "services"});
  if (!node["image"].IsDefined()) keys.require("path");
  read_image(keys, what, function);
  keys.with("path", [&](auto& v) { function.path = filled_text_of(v, what + ": path"); });
  keys.with("runtime", [&](auto& v) { s.runtime = filled_text_of(v, what + ": runtime"); });
  keys.with("handler", [&](auto& v) { s.handler = filled_text_of(v, what + ": handler"); });
  keys.with("description", [&](auto& v) { s.description = text_of(v, what + ": description"); });
  keys.with("memory", [&](auto& v) {
    s.memory_mb = whole_of(v, what + ": memory (in MB)", 1u << 20);
    if (s.memory_mb == 0) wrong(v, what + ": memory must not be 0.");
  });
  keys.with("timeout", [&](auto& v) {
    const auto ms = milliseconds_of(v, what + ": timeout");
    if (ms == 0) wrong(v, what + ": timeout must not be 0.");
    s.timeout_ms = static_cast<std::uint32_t>(ms);
  });
  keys.with("keep_alive",
            [&](auto& v) { s.keep_alive_ms = milliseconds_of(v, what + ": keep_alive"); });
  keys.with("direct", [&](auto& v) { s.direct = on_of(v, what + ": direct"); });
  keys.with("services", [&](auto& v) { s.services = on_of(v, what + ": services"); });
  keys.with("policy", [&](auto& v) {
    s.policy = v.IsScalar() ? filled_text_of(v, what + ": policy") : json_of(v, what + ": policy");
    const auto policy = Policy::parse(s.policy);
    if (policy.has_error()) wrong(v, what + ": " + policy.error().message);
  });
  keys.with("snapshot", [&](auto& v) { s.snapshot = on_of(v, what + ": snapshot"); });
  keys.with("concurrency", [&](auto& v) {
    s.concurrency = whole_of(v, what + ": concurrency", 100'000);
    if (s.concurrency == 0) wrong(v, what + ": concurrency must not be 0.");
  });
  keys.with("min", [&](auto& v) { s.instances_min = whole_of(v, what + ": min", 100'000); });
  keys.with("max", [&](auto& v) {
    s.instances_max = whole_of(v, what + ": max", 100'000);
    if (s.instances_max == 0) wrong(v, what + ": max must not be 0.");
  });
  keys.with("network", [&](auto& v) {
    const std::string network = text_of(v, what + ": network");
    if (network != "nat" && network != "none")
      wrong(v, what + ": network must be nat or none, not '" + network.substr(0, 40) + "'.");
    s.network = network == "none" ? NetworkMode::none : NetworkMode::nat;
  });
  keys.with("env", [&](auto& v) { read_env(v, what + ": env", s); });
  keys.with("triggers", [&](auto& v) { read_triggers(v, function, manifest); });
  keys.with("async", [&](auto& v) { s.async = read_async(v, what); });
  keys.with("layers", [&](auto& v) {
    function.layers = texts_of(v, what + ": layers");
    unwrap(v, check_layer_refs(function.layers));
  });
  keys.with("url", [&](auto& v) { function.url = read_url(v, what + ": url"); });
  // The server has the last word on its own limits; these hold for every server.
  Defaults widest;
  widest.memory_mb_max = 1u << 20;
  widest.timeout_ms_max = UINT32_MAX;
  widest.concurrency_max = 100'000;
  widest.env_bytes_max = kManifestBytesMax;
  unwrap(node, check_settings(s, widest));
  return function;
}

Route read_route(const YAML::Node& node) {
  Route route;
  route.method = "ANY";
  const Keys keys(
      node, "a route",
      {"method", "path", "function", "event", "authorizer", "scopes", "api_key", "throttle"});
  keys.require("path");
  keys.require("function");
  keys.with("method", [&](auto& v) {
    route.method = text_of(v, "method");
    unwrap(v, check_route_method(route.method));
  });
  keys.with("path", [&](auto& v) {
    route.path = text_of(v, "path");
    unwrap(v, check_route_path(route.path));
  });
  keys.with("function", [&](auto& v) {
    route.function = filled_text_of(v, "function");
    unwrap(v, check_name("function", route.function.substr(0, route.function.find(':'))));
  });
  route.rules = read_rules(node);
  return route;
}

Manifest::StaticSite read_site(const YAML::Node& node) {
  Manifest::StaticSite site;
  const Keys keys(node, "a static folder", {"path", "folder", "index", "fallback"});
  keys.require("path");
  keys.require("folder");
  keys.with("path", [&](auto& v) {
    site.path = text_of(v, "path");
    unwrap(v, check_route_path(site.path));
  });
  keys.with("folder", [&](auto& v) { site.folder = filled_text_of(v, "folder"); });
  keys.with("index", [&](auto& v) { site.index = filled_text_of(v, "index"); });
  keys.with("fallback", [&](auto& v) { site.fallback = filled_text_of(v, "fallback"); });
  return site;
}

Manifest read_manifest(const YAML::Node& root, std::string_view folder_name) {
  if (!root.IsDefined() || root.IsNull()) wrong(root, "The file is empty.");
  Manifest manifest;
  const Keys keys(root, "the manifest",
                  {"name", "functions", "layers", "routes", "static", "cors", "api", "queues",
                   "topics", "schedules"});
  manifest.name = std::string(folder_name);
  keys.with("name", [&](auto& v) {
    manifest.name = text_of(v, "name");
    unwrap(v, check_name("application", manifest.name));
  });
  const auto named = check_name("application", manifest.name);
  if (named.has_error())
    wrong(root, named.error().message + " The folder has this name: set 'name' in the manifest.");
  keys.with("functions", [&](auto& v) {
    if (!v.IsMap()) wrong(v, "functions must be a mapping (NAME: settings).");
    std::set<std::string> seen;
    for (const auto& member : v) {
      const std::string name = text_of(member.first, "The name of a function");
      unwrap(member.first, check_name("function", name));
      if (!seen.insert(name).second) wrong(member.first, "'" + name + "' is there twice.");
      manifest.functions.push_back(read_function(name, member.second, manifest));
      if (manifest.functions.size() > kListMax) wrong(v, "There are too many functions.");
    }
  });
  keys.with("layers", [&](auto& v) {
    if (!v.IsMap()) wrong(v, "layers must be a mapping (NAME: folder or archive).");
    std::set<std::string> seen;
    for (const auto& member : v) {
      const std::string name = text_of(member.first, "The name of a layer");
      unwrap(member.first, check_layer_name(name));
      if (!seen.insert(name).second) wrong(member.first, "'" + name + "' is there twice.");
      manifest.layers.push_back(read_layer(name, member.second));
      if (manifest.layers.size() > kListMax) wrong(v, "There are too many layers.");
    }
  });
  std::set<std::pair<std::string, std::string>> seen;
  const auto once = [&](const YAML::Node& node, const std::string& method,
                        const std::string& path) {
    if (!seen.emplace(method, route_shape(path)).second)
      wrong(node, "The route " + method + " " + path + " is there twice.");
  };
  keys.with("routes", [&](auto& v) {
    if (!v.IsSequence() || v.size() > kListMax) wrong(v, "routes must be a list of routes.");
    for (const auto& item : v) {
      manifest.routes.push_back(read_route(item));
      once(item, manifest.routes.back().method, manifest.routes.back().path);
    }
  });
  keys.with("static", [&](auto& v) {
    if (!v.IsSequence() || v.size() > kListMax) wrong(v, "static must be a list of folders.");
    for (const auto& item : v) {
      manifest.sites.push_back(read_site(item));
      once(item, "(static)", manifest.sites.back().path);
    }
  });
  keys.with("cors", [&](auto& v) { manifest.cors = read_cors(v); });
  keys.with("api", [&](auto& v) { manifest.api = read_api(v); });
  check_manifest_api(root, manifest);
  keys.with("queues", [&](auto& v) { read_queues(v, manifest); });
  keys.with("topics", [&](auto& v) { read_topics(v, manifest); });
  keys.with("schedules", [&](auto& v) { read_schedules(v, manifest); });
  check_events(root, manifest);
  return manifest;
}

Error at_line(int line, const std::string& message) {
  return Error{Code::invalid_argument, line > 0
                                           ? fmt::format("mayfly.yaml, line {}: {}", line, message)
                                           : "mayfly.yaml: " + message};
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view yaml, std::string_view folder_name) {
  if (yaml.size() > kManifestBytesMax)
    return Error{Code::too_large, fmt::format("mayfly.yaml has {} bytes; {} are allowed.",
                                              yaml.size(), kManifestBytesMax)};
  // yaml-cpp reports by exceptions; none of them leaves this function.
  try {
    return read_manifest(YAML::Load(std::string(yaml)), folder_name);
  } catch (const Wrong& problem) {
    return at_line(problem.line, problem.message);
  } catch (const YAML::Exception& problem) {
    return at_line(problem.mark.line + 1, "this is not valid YAML: " + problem.msg + ".");
  } catch (const std::exception& problem) {
    return at_line(0, std::string("this cannot be read: ") + problem.what() + ".");
  }
}

}  // namespace mayfly::functions
