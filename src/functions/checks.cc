#include "functions/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "functions/api_forms.h"
#include "functions/catalogue.h"
#include "functions/image_forms.h"

namespace mayfly::functions {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

Status check_env(const Settings& settings, const Defaults& defaults) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : settings.env) {
    const bool good = !name.empty() && !is_digit(name[0]) &&
                      std::all_of(name.begin(), name.end(),
                                  [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
    if (!good)
      return invalid(
          "The name of an environment variable is made of letters, digits and _, and "
          "does not begin with a digit; '" +
          name + "' is not such a name.");
    if (value.find('\0') != std::string::npos)
      return invalid("The value of the environment variable " + name + " holds a NUL byte.");
    bytes += name.size() + value.size() + 2;
  }
  if (bytes > defaults.env_bytes_max)
    return Error{Code::too_large,
                 fmt::format("The environment has {} bytes; the setting functions.env_bytes_max "
                             "allows {}.",
                             bytes, defaults.env_bytes_max)};
  return ok();
}

Status check_layers(const Settings& settings) {
  if (settings.layers.size() > kLayersMax)
    return invalid(fmt::format("A function has at most {} layers, not {}.", kLayersMax,
                               settings.layers.size()));
  for (const auto& layer : settings.layers)
    if (!is_sha256(layer))
      return invalid("A layer is named by the SHA-256 of its package in hex, not '" +
                     layer.substr(0, 100) + "'.");
  return ok();
}

// Whether the targets can be delivered to is for the room triggers to say, at the deploy's way in.
Status check_async(const AsyncSettings& s) {
  if (s.retries < -1 || s.retries > 100)
    return invalid(fmt::format("async.retries is {}; it must be 0 to 100.", s.retries));
  if (s.max_age_s < -1 || s.max_age_s > 1'209'600)
    return invalid(
        fmt::format("async.max_age is {} s; it must be 0 to 1209600 (14 days).", s.max_age_s));
  for (const auto* target : {&s.on_success, &s.on_failure, &s.dead_letter})
    if (target->size() > 2048 || target->find('\0') != std::string::npos)
      return invalid("A target under async is longer than 2048 bytes or holds a NUL.");
  return ok();
}

}  // namespace

Status check_name(std::string_view what, std::string_view name) {
  const bool good =
      !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '_' || c == '-';
      });
  if (good) return ok();
  return invalid(
      fmt::format("'{}' cannot be the name of {} {}: 1 to 64 letters, digits, - and _ are allowed.",
                  name.substr(0, 100), what == "application" ? "an" : "a", what));
}

Status check_layer_name(std::string_view name) {
  if (is_layer_name(name)) return ok();
  return invalid(
      fmt::format("The name of a layer is made of 1 to 140 letters, digits, - and _; '{}' is not "
                  "such a name.",
                  name.substr(0, 150)));
}

Status check_layer_refs(const std::vector<std::string>& layers) {
  if (layers.size() > kLayersMax)
    return invalid(
        fmt::format("A function has at most {} layers, not {}.", kLayersMax, layers.size()));
  for (const auto& layer : layers)
    if (!parse_layer_ref(layer))
      return invalid(fmt::format("A layer is named as NAME, NAME:VERSION or by its ARN, not '{}'.",
                                 layer.substr(0, 200)));
  return ok();
}

Status check_settings(const Settings& s, const Defaults& defaults) {
  if (s.memory_mb != 0 && (s.memory_mb < 16 || s.memory_mb > defaults.memory_mb_max))
    return invalid(
        fmt::format("memory is {} MB; it must be 16 to {} (setting "
                    "functions.memory_mb_max).",
                    s.memory_mb, defaults.memory_mb_max));
  if (s.timeout_ms > defaults.timeout_ms_max)
    return invalid(
        fmt::format("timeout is {} s; it can be up to {} s (setting "
                    "functions.timeout_ms_max).",
                    s.timeout_ms / 1000.0, defaults.timeout_ms_max / 1000.0));
  if (s.concurrency > defaults.concurrency_max)
    return invalid(
        fmt::format("concurrency is {}; it can be up to {} (setting "
                    "functions.concurrency_max).",
                    s.concurrency, defaults.concurrency_max));
  if (s.instances_max != 0 && s.instances_min > s.instances_max)
    return invalid(fmt::format("min is {} and max is {}: min cannot be over max.", s.instances_min,
                               s.instances_max));
  if (s.keep_alive_ms < -1 || s.keep_alive_ms > 86'400'000)
    return invalid(fmt::format("keep_alive is {} s; it must be 0 to 86400.",
                               static_cast<double>(s.keep_alive_ms) / 1000.0));
  if (s.description.size() > 1024) return invalid("description is longer than 1024 bytes.");
  if (s.handler.size() > 512) return invalid("handler is longer than 512 bytes.");
  for (const auto* text : {&s.runtime, &s.handler, &s.description})
    if (text->find('\0') != std::string::npos) return invalid("A setting holds a NUL byte.");
  MAYFLY_TRY(check_async(s.async));
  MAYFLY_TRY(check_layers(s));
  MAYFLY_TRY(check_image_settings(s));
  return check_env(s, defaults);
}

Status check_route_method(std::string_view method) {
  static const std::vector<std::string_view> kMethods = {"GET",    "POST", "PUT",     "PATCH",
                                                         "DELETE", "HEAD", "OPTIONS", "ANY"};
  if (std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end()) return ok();
  std::string upper(method);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return invalid(
      fmt::format("'{}' is no method of a route: GET, POST, PUT, PATCH, DELETE, HEAD, "
                  "OPTIONS or ANY.{}",
                  method.substr(0, 40), did_you_mean(upper, kMethods)));
}

Status check_route_path(std::string_view path) {
  const auto wrong = [&](std::string_view why) {
    return invalid(fmt::format("The route path '{}' {}.", path.substr(0, 200), why));
  };
  if (path.empty() || path[0] != '/') return wrong("must begin with /");
  if (path.size() > 512) return wrong("is longer than 512 bytes");
  std::set<std::string_view> names;
  for (std::size_t at = 1; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    at = slash + 1;
    if (segment.empty() && slash != path.size()) return wrong("has an empty segment");
    if (segment == "." || segment == "..") return wrong("has a segment . or ..");
    for (const char c : segment)
      if (static_cast<unsigned char>(c) < 0x20 || c == '?' || c == '#' || c == 0x7f)
        return wrong("holds a character that no path has");
    const bool braces = segment.find_first_of("{}") != std::string_view::npos;
    if (!braces) continue;
    if (segment.front() != '{' || segment.back() != '}' || segment.size() < 3)
      return wrong("has a parameter that is not a whole segment, as in /pets/{id}");
    std::string_view name = segment.substr(1, segment.size() - 2);
    if (name.back() == '+') {
      name.remove_suffix(1);
      if (slash != path.size()) return wrong("has a {name+} that is not at the end");
    }
    const bool good = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
    });
    if (!good) return wrong("has a parameter whose name is not letters, digits, _ - or .");
    if (!names.insert(name).second) return wrong("has the same parameter twice");
  }
  return ok();
}

std::string route_shape(std::string_view path) {
  std::string shape;
  for (std::size_t i = 0; i < path.size(); ++i) {
    shape += path[i];
    if (path[i] != '{') continue;
    const std::size_t end = std::min(path.find('}', i), path.size());
    if (end > i && path[end - 1] == '+') shape += '+';
    i = end - 1;
  }
  if (shape.size() > 1 && shape.back() == '/') shape.pop_back();
  return shape;
}

Status check_app(const App& app) {
  MAYFLY_TRY(check_name("application", app.name));
  std::set<std::pair<std::string, std::string>> seen;
  for (const auto& route : app.routes) {
    MAYFLY_TRY(check_route_method(route.method));
    MAYFLY_TRY(check_route_path(route.path));
    if (route.function.empty() == route.static_package.empty())
      return invalid("The route " + route.path +
                     " must lead to a function or to a static folder, and not to both.");
    if (!route.static_package.empty() && !is_sha256(route.static_package))
      return invalid("static_package of the route " + route.path + " is not a SHA-256 in hex.");
    if (!seen.emplace(route.method, route_shape(route.path)).second)
      return invalid("The route " + route.method + " " + route.path + " is there twice.");
  }
  MAYFLY_TRY(check_api(app));
  return check_cors(app.cors);
}

Status check_cors(const Cors& cors) {
  if (cors.allow_credentials && std::find(cors.allow_origins.begin(), cors.allow_origins.end(),
                                          "*") != cors.allow_origins.end())
    return invalid(
        "cors: browsers refuse credentials together with the origin *; name the "
        "origins.");
  for (const auto* list :
       {&cors.allow_origins, &cors.allow_methods, &cors.allow_headers, &cors.expose_headers})
    for (const auto& item : *list)
      for (const char c : item)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == ',')
          return invalid("cors: '" + item.substr(0, 100) +
                         "' holds a space, a comma or a control character.");
  return ok();
}

std::string nearest(std::string_view word, const std::vector<std::string_view>& known) {
  if (word.size() > 64) return "";
  std::string best;
  std::size_t best_distance = word.size() < 4 ? 2 : 3;  // as far and farther is no likeness
  for (const auto candidate : known) {
    const std::size_t d = distance(word, candidate);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  if (!best.empty() || word.size() < 3) return best;
  for (const auto candidate : known)  // "memory" for memory_mb
    if (candidate.rfind(word, 0) == 0 || (candidate.size() >= 3 && word.rfind(candidate, 0) == 0))
      return std::string(candidate);
  return "";
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string guess = nearest(word, known);
  return guess.empty() ? "" : " Did you mean '" + guess + "'?";
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f');
         });
}

}  // namespace mayfly::functions
