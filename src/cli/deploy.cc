#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "cli/commands.h"
#include "cli/deploy_events.h"
#include "cli/deploy_project.h"
#include "functions/app.h"
#include "functions/image_config.h"
#include "functions/layers.h"

namespace mayfly::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::string_view kBucketScheme = "s3://";

// Sends the package unless the server has it. The exit code is kOk when it is there.
int send_package(Context& context, const PackedFile& packed) {
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  auto known = (*client)->request("HEAD", "/v1/packages/" + packed.sha256);
  if (known.has_error()) return fail(known.error());
  if (known->status == 200) return kOk;
  if (known->status != 404) {
    // A HEAD has no body that could say why: ask for something that has.
    auto why = (*client)->request("GET", "/v1/info");
    if (why.has_error()) return fail(why.error());
    return fail(context, why->status >= 300 ? *why : *known);
  }
  auto sent = (*client)->upload("PUT", "/v1/packages", packed);
  if (sent.has_error()) return fail(sent.error());
  return sent->status == 200 ? kOk : fail(context, *sent);
}

std::string seconds_text(std::int64_t ms) {
  return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000) : fmt::format("{} ms", ms);
}

void print_deployed(const Context& context, const std::string& name, const json::value& answer) {
  const bool colour = context.colour();
  const bool unchanged = flag_of(answer, "unchanged");
  const std::string what = unchanged                    ? "unchanged"
                           : flag_of(answer, "created") ? "created"
                                                        : "updated";
  const auto& function = value_of(answer, "function");
  const auto& settings = value_of(function, "settings");
  std::string line = paint(name, Colour::bold, colour) + "  " +
                     paint(what, unchanged ? Colour::dim : Colour::green, colour) + "  " +
                     text_of(answer, "url") + "\n";
  std::string facts;
  const auto add = [&facts](const std::string& fact) {
    if (!fact.empty()) facts += (facts.empty() ? "" : ", ") + fact;
  };
  add(text_of(settings, "runtime"));
  if (const std::string handler = text_of(settings, "handler"); !handler.empty())
    add("handler " + handler);
  if (const std::string model = text_of(function, "model"); model != "unknown") add(model);
  if (const auto memory = number_of(settings, "memory_mb"); memory > 0)
    add(fmt::format("{} MB", memory));
  if (const auto timeout = number_of(settings, "timeout_ms"); timeout > 0)
    add("timeout " + seconds_text(timeout));
  line += "  " + paint(printable(facts), Colour::dim, colour) + "\n";
  if (!unchanged)
    for (const auto& note : list_of(answer, "detected"))
      if (note.is_string()) line += "  " + printable(std::string(note.get_string())) + "\n";
  if (const auto& url = value_of(answer, "function_url"); url.is_object())
    line += fmt::format("  function URL {}{}\n", text_of(url, "url"),
                        text_of(url, "auth") == "iam" ? ", for signed requests" : "");
  write_out(line);
}

Result<PackedFile> pack_by(const std::string& path, const std::vector<std::string>& patterns) {
  std::error_code failed;
  if (patterns.empty() || !fs::is_directory(path, failed)) return pack(path);
  return pack_selected(path, patterns);
}

Result<PackedFile> pack_function(const functions::Manifest::Function& function) {
  if (!function.inline_file.empty()) return pack_text(function.inline_file, function.inline_code);
  return pack_by(function.path, function.patterns);
}

json::array texts_array(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

// "s3://BUCKET/KEY" of a project becomes a package of the server; sets its digest.
int take_from_bucket(Context& context, const std::string& place, std::string& sha256) {
  const auto slash = place.find('/', kBucketScheme.size());
  int code = kOk;
  const auto taken = fetch_json(
      context, "PUT",
      "/v1/packages?bucket=" +
          percent_encode(place.substr(kBucketScheme.size(), slash - kBucketScheme.size())) +
          "&key=" + percent_encode(place.substr(slash + 1)),
      code);
  if (taken) sha256 = text_of(*taken, "sha256");
  return code;
}

// A package of the project that the server then has; sets its digest.
template <class Pack>
int provide_package(Context& context, const std::string& path, Pack pack_it, std::string& sha256) {
  if (path.starts_with(kBucketScheme)) return take_from_bucket(context, path, sha256);
  auto packed = pack_it();
  if (packed.has_error()) return fail(packed.error());
  sha256 = packed->sha256;
  return send_package(context, *packed);
}

std::string path_in(const fs::path& folder, const std::string& path) {
  return path.starts_with(kBucketScheme) ? path : (folder / path).string();
}

// Packs, sends and publishes one layer; version is the number that it has now.
int deploy_layer(Context& context, const functions::Manifest::Layer& layer, std::uint64_t& version,
                 json::array& summary) {
  std::string package;
  const auto pack_it = [&layer] { return pack_by(layer.path, layer.patterns); };
  if (const int sent = provide_package(context, layer.path, pack_it, package); sent != kOk)
    return sent;
  const json::object body{{"package", package},
                          {"description", layer.description},
                          {"license", layer.license},
                          {"runtimes", texts_array(layer.runtimes)},
                          {"architectures", texts_array(layer.architectures)}};
  int code = kOk;
  auto answer = fetch_json(context, "PUT", "/v1/layers/" + percent_encode(layer.name), code,
                           json::serialize(body));
  if (!answer) return code;
  version = static_cast<std::uint64_t>(number_of(value_of(*answer, "layer"), "version"));
  const bool unchanged = flag_of(*answer, "unchanged");
  if (!context.json) {
    const bool colour = context.colour();
    write_out(fmt::format("layer {}  {}\n",
                          paint(fmt::format("{}:{}", layer.name, version), Colour::bold, colour),
                          paint(unchanged ? "unchanged" : "published",
                                unchanged ? Colour::dim : Colour::green, colour)));
  }
  summary.push_back(std::move(*answer));
  return kOk;
}

// The functions then name the layers of the manifest by their versions.
int deploy_layers(Context& context, functions::Manifest& manifest, const fs::path& folder,
                  json::object& summary) {
  std::map<std::string, std::uint64_t> versions;
  json::array deployed;
  for (auto layer : manifest.layers) {
    layer.path = path_in(folder, layer.path);
    const int code = deploy_layer(context, layer, versions[layer.name], deployed);
    if (code != kOk) return code;
  }
  if (!deployed.empty()) summary["layers"] = std::move(deployed);
  for (auto& function : manifest.functions)
    for (auto& text : function.layers) {
      const auto ref = functions::parse_layer_ref(text);
      if (!ref || ref->version != 0) continue;
      if (const auto own = versions.find(ref->name); own != versions.end())
        text = fmt::format("{}:{}", own->first, own->second);
    }
  return kOk;
}

// The function URL that a manifest gives a function.
int deploy_url(Context& context, const functions::Manifest::Function& function,
               json::value& deployed) {
  if (!function.url) return kOk;
  json::object body{{"auth", function.url->iam ? "iam" : "none"}, {"stream", function.url->stream}};
  if (!function.url->cors.allow_origins.empty())
    body["cors"] = json::parse(functions::cors_to_json(function.url->cors));
  std::string path = "/v1/functions/" + percent_encode(function.name) + "/url";
  if (!function.alias.empty()) path += "?alias=" + percent_encode(function.alias);
  int code = kOk;
  auto answer = fetch_json(context, "PUT", path, code, json::serialize(body));
  if (!answer) return code;
  deployed.as_object()["function_url"] = std::move(*answer);
  return kOk;
}

// Packs, sends and deploys one function; answer is what the server said.
int deploy_one(Context& context, const functions::Manifest::Function& function, bool check,
               json::value& answer) {
  const std::string& name = function.name;
  json::object body;
  if (function.settings.image.uri.empty()) {
    std::string package;
    const auto pack_it = [&function] { return pack_function(function); };
    if (const int sent = provide_package(context, function.path, pack_it, package); sent != kOk)
      return sent;
    body["package"] = package;
  }
  boost::system::error_code failed;
  body["settings"] = json::parse(functions::settings_to_json(function.settings), failed);
  body["check"] = check;
  if (!function.layers.empty()) body["layers"] = texts_array(function.layers);
  int code = kOk;
  auto got = fetch_json(context, "PUT", "/v1/functions/" + percent_encode(name), code,
                        json::serialize(body));
  if (!got && code == kFunctionFailed)
    write_err("mayfly: Nothing was deployed: " + name +
              " fails to start. --no-check deploys it all the same.\n");
  if (!got) return code;
  answer = std::move(*got);
  return kOk;
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  if (!in || !(bytes << in.rdbuf())) return Error{Code::not_found, "Cannot read " + path};
  return bytes.str();
}

// "/site/{proxy+}" and "/site" both mean the folder itself and all below it.
std::vector<functions::Route> site_routes(const functions::Manifest::StaticSite& site,
                                          const std::string& package) {
  std::string base = site.path;
  if (const auto at = base.find("/{"); at != std::string::npos) base.resize(at);
  while (!base.empty() && base.back() == '/') base.pop_back();
  functions::Route route;
  route.method = "GET";
  route.static_package = package;
  route.static_index = site.index;
  route.static_fallback = site.fallback;
  std::vector<functions::Route> routes;
  for (const auto& path : {base.empty() ? std::string("/") : base, base + "/{proxy+}"}) {
    route.path = path;
    routes.push_back(route);
  }
  return routes;
}

// The server's app of that name; an empty one when there is none.
functions::App app_there(Context& context, const std::string& name, int& code) {
  auto apps = fetch_json(context, "GET", "/v1/apps", code);
  if (!apps) return {};
  for (const auto& item : list_of(*apps, "apps")) {
    if (text_of(item, "name") != name) continue;
    auto there = functions::app_from_json(json::serialize(item));
    if (there.has_error()) return {};
    for (auto& route : there->routes) route.static_dir.clear();
    return std::move(*there);
  }
  return {};
}

int deploy_app(Context& context, const functions::App& app, json::object& summary) {
  int code = kOk;
  const functions::App before = app_there(context, app.name, code);
  if (code != kOk) return code;
  const bool unchanged = before == app;
  report_unnamed(before, app, summary, context);
  if (!unchanged) {
    auto put = fetch_json(context, "PUT", "/v1/apps/" + percent_encode(app.name), code,
                          functions::app_to_json(app));
    if (!put) return code;
    summary["app"] = value_of(*put, "app");
  }
  summary["app_unchanged"] = unchanged;
  if (context.json) return kOk;
  auto info = fetch_json(context, "GET", "/v1/info", code);
  if (!info) return code;
  const bool colour = context.colour();
  std::string text = paint(app.name, Colour::bold, colour) + "  " +
                     paint(unchanged ? "unchanged" : "routes updated",
                           unchanged ? Colour::dim : Colour::green, colour) +
                     "\n";
  for (const auto& route : app.routes)
    text += fmt::format("  {:<7} {}{}  {}\n", route.method, text_of(*info, "gateway"), route.path,
                        route.function.empty() ? "static files" : route.function);
  write_out(text);
  return kOk;
}

int deploy_functions(Context& context, const functions::Manifest& manifest, const fs::path& folder,
                     bool check, json::object& summary) {
  json::array deployed;
  int worst = kOk;
  for (auto function : manifest.functions) {
    json::value answer;
    if (function.inline_file.empty()) function.path = path_in(folder, function.path);
    int code = deploy_one(context, function, check, answer);
    if (code == kOk) code = deploy_belongings(context, function);
    if (code == kOk) code = deploy_url(context, function, answer);
    if (code == kUnreachable) return code;
    if (code != kOk) {
      write_err("mayfly: function " + function.name + " was not deployed.\n");
      worst = code;
      continue;
    }
    if (!context.json) print_deployed(context, function.name, answer);
    deployed.push_back(std::move(answer));
  }
  summary["functions"] = std::move(deployed);
  return worst;
}

// All that a manifest names; paths are relative to folder.
int deploy_all(Context& context, functions::Manifest manifest, const std::string& file,
               const fs::path& folder, bool check, json::object& summary) {
  const std::vector<std::string> resources = resources_of(manifest);
  if (manifest.functions.empty() && manifest.routes.empty() && manifest.sites.empty() &&
      resources.empty() && manifest.api.websocket.path.empty())
    return usage_error(file +
                       " describes nothing: it has no functions, layers, routes, static folders, "
                       "queues, topics or schedules");
  if (const int code = deploy_layers(context, manifest, folder, summary); code != kOk) return code;
  if (const int code = deploy_queues(context, manifest, summary); code != kOk) return code;
  // Routes to functions that are not there would be refused anyway.
  if (const int code = deploy_functions(context, manifest, folder, check, summary); code != kOk)
    return code;
  if (const int code = deploy_triggers(context, manifest, summary); code != kOk) return code;

  functions::App app;
  app.name = manifest.name;
  app.routes = manifest.routes;
  app.cors = manifest.cors;
  app.api = manifest.api;
  for (auto& authorizer : app.api.authorizers) {  // the server gets the keys, not their place
    if (authorizer.jwks.empty() || authorizer.jwks.starts_with("{")) continue;
    auto keys = read_text((folder / authorizer.jwks).string());
    if (keys.has_error()) return fail(keys.error());
    authorizer.jwks = std::move(*keys);
  }
  app.resources = resources;
  for (const auto& site : manifest.sites) {
    auto packed = pack((folder / site.folder).string());
    if (packed.has_error()) return fail(packed.error());
    if (const int code = send_package(context, *packed); code != kOk) return code;
    for (auto& route : site_routes(site, packed->sha256)) app.routes.push_back(std::move(route));
  }
  if (app.routes.empty() && app.resources.empty() && app.api.websocket.path.empty()) return kOk;
  return deploy_app(context, app, summary);
}

int deploy_file(Context& context, const std::string& file, const DeployOptions& options) {
  namespace projects = functions::projects;
  auto text = read_text(file);
  if (text.has_error()) return fail(text.error());
  const auto kind = projects::kind_of(fs::path(file).filename().string(), *text);
  const bool project = kind != projects::ProjectKind::none;
  const bool named = !options.name.empty() && kind != projects::ProjectKind::sam;
  if (named || !(options.settings == functions::Settings{}))
    return usage_error("settings of a deploy by " + file +
                       " stand in that file; on the command line they are for a single "
                       "function");
  if (!project &&
      (!options.stage.empty() || !options.region.empty() || !options.parameters.empty()))
    return usage_error(
        "--stage, --region and --parameter are for SAM templates and serverless.yml");
  std::error_code failed;
  const fs::path folder = fs::absolute(file, failed).lexically_normal().parent_path();
  json::object summary;
  if (!project) {
    auto manifest = functions::parse_manifest(*text, default_name(folder));
    if (manifest.has_error()) {
      Error error = manifest.error();
      error.message = file + ": " + error.message;
      return fail(error);
    }
    const int code = deploy_all(context, *manifest, file, folder, options.check, summary);
    if (code != kOk || !context.json) return code;
    return print_json(json::value(std::move(summary)));
  }
  int code = kOk;
  auto read = read_project(context, file, *text, kind, options, code);
  if (code != kOk) return code;
  if (read.has_error()) return fail(read.error());
  report_project(*read, summary, context);  // first: it may say why something fails
  code = deploy_all(context, read->manifest, file, folder, options.check, summary);
  if (code != kOk) return code;
  return context.json ? print_json(json::value(std::move(summary))) : kOk;
}

int deploy_single(Context& context, const functions::Manifest::Function& function, bool check) {
  json::value answer;
  const int code = deploy_one(context, function, check, answer);
  if (code != kOk) return code;
  if (context.json) return print_json(answer);
  print_deployed(context, function.name, answer);
  return kOk;
}

// "team/app" of "host/team/app:1.2" makes the function app.
int deploy_image(Context& context, const DeployOptions& options) {
  if (!options.path.empty() || !options.manifest.empty())
    return usage_error("a function is made of a path or of an --image, not of both");
  if (!options.stage.empty() || !options.region.empty() || !options.parameters.empty())
    return usage_error(
        "--stage, --region and --parameter are for SAM templates and serverless.yml");
  auto image = functions::parse_image_name(options.settings.image.uri);
  if (image.has_error()) return fail(image.error());
  functions::Manifest::Function function;
  const std::string last = image->name.substr(image->name.rfind('/') + 1);
  function.name = options.name.empty() ? default_name(last + ".tar") : options.name;
  function.settings = options.settings;
  return deploy_single(context, function, options.check);
}

}  // namespace

int deploy(Context& context, const DeployOptions& options) {
  if (!options.settings.image.uri.empty()) return deploy_image(context, options);
  std::error_code failed;
  std::string file = options.manifest;
  const std::string path = options.path.empty() ? "." : options.path;
  if (file.empty() && fs::is_directory(path, failed)) {
    auto found = project_file_in(path);
    if (found.has_error()) return fail(found.error());
    file = *found;
  }
  const std::string base = fs::path(path).filename().string();
  if (file.empty() && (base == "mayfly.yaml" || base.ends_with(".yaml") || base.ends_with(".yml")))
    file = path;
  if (!file.empty()) return deploy_file(context, file, options);
  if (options.path.empty())
    return usage_error(
        "deploy what? Name a file or folder, or run it where a mayfly.yaml, template.yaml or "
        "serverless.yml is");
  if (!options.stage.empty() || !options.region.empty() || !options.parameters.empty())
    return usage_error(
        "--stage, --region and --parameter are for SAM templates and serverless.yml");

  functions::Manifest::Function function;
  function.name = options.name.empty() ? default_name(path) : options.name;
  function.path = path;
  function.settings = options.settings;
  return deploy_single(context, function, options.check);
}

}  // namespace mayfly::cli
