#pragma once
// Internal: what the catalogue holds in memory, shared by its files.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "functions/belongings.h"
#include "functions/catalogue.h"
#include "functions/detect.h"
#include "functions/json_forms.h"
#include "io/keyed_lock.h"

namespace mayfly::functions {

inline constexpr std::string_view kLatestPrefix = "f/l/";
inline constexpr std::string_view kVersionPrefix = "f/v/";
inline constexpr std::string_view kAppPrefix = "f/a/";

inline std::string latest_key(std::string_view function) {
  return std::string(kLatestPrefix) + std::string(function);
}
inline std::string counter_key(std::string_view function) {
  return "f/n/" + std::string(function);
}
inline std::string versions_prefix(std::string_view function) {
  return std::string(kVersionPrefix) + std::string(function) + '\0';
}
inline std::string version_key(std::string_view function, std::uint64_t number) {
  std::string key = versions_prefix(function);
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(number >> shift);
  return key;
}
// What belongs to a function; not below its name, which may begin another's.
inline std::string belongings_key(std::string_view function) {
  return "f/x/" + std::string(function);
}
inline std::string app_key(std::string_view app) {
  return std::string(kAppPrefix) + std::string(app);
}

inline Error unknown_function(std::string_view name) {
  return Error{Code::not_found, "There is no function '" + std::string(name.substr(0, 100)) + "'."};
}

struct Entry {
  VersionPtr latest;
  std::vector<VersionPtr> published;  // by number
  Belongings belongings;

  // A published version; null when there is none.
  VersionPtr version(std::uint64_t number) const {
    const auto found = std::lower_bound(
        published.begin(), published.end(), number,
        [](const VersionPtr& one, std::uint64_t wanted) { return one->number < wanted; });
    return found != published.end() && (*found)->number == number ? *found : nullptr;
  }
};

// 0 to below 1, at random.
double random_share();

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

struct Catalogue::State {
  explicit State(Parts p)
      : parts(std::move(p)), layers({parts.store, parts.pool}), images({parts.store, parts.pool}) {}

  Parts parts;
  std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> functions;
  // The last number given to a version, by function; also of functions that were removed: as on
  // AWS, one that is made anew goes on counting.
  std::unordered_map<std::string, std::uint64_t> last_numbers;
  std::map<std::string, App> apps;
  std::uint64_t generation = 1;
  std::function<void()> tell_change;  // may be null
  io::KeyedLock locks;
  Layers layers;
  Images images;

  void changed() {
    ++generation;
    if (tell_change) tell_change();
  }

  const Entry* entry(std::string_view function) const {
    const auto found = functions.find(function);
    return found == functions.end() ? nullptr : &found->second;
  }

  std::string code_dir(const std::string& package, const Settings& settings) const {
    if (!settings.image.uri.empty())
      return parts.images == nullptr ? std::string() : parts.images->tree(package);
    std::string built = parts.packages.built(package);
    return built.empty() ? parts.packages.tree(package) : built;
  }

  std::string layers_dir(const std::vector<std::string>& layers) const {
    return layers.empty() ? "" : parts.packages.tree(Packages::overlay_id(layers));
  }
  // Whether the package, or the tree of the image, is there. Blocks.
  bool has_code(const std::string& package, const Settings& settings) const {
    if (settings.image.uri.empty()) return parts.packages.contains(package);
    return parts.images != nullptr && parts.images->contains(package);
  }
  Result<Detection> detect_image(const Settings& settings, const std::string& package) const;
  // Merges them unless that is done, and holds them against the limit. Blocks.
  Status settle_layers(const Settings& settings, std::uint64_t code_bytes) const;

  void place_sites(App& app) const {
    for (auto& route : app.routes)
      if (!route.static_package.empty())
        route.static_dir = parts.packages.tree(route.static_package);
  }

  Status load_versions(std::string_view prefix);
  Status load_counters();
  Status load_apps();
  Status load_belongings();
  Status check_room(const std::string& function) const;
  Result<Detection> check_and_detect(const std::string& function, const Settings& settings,
                                     const std::string& package) const;
  Version make_version(const std::string& function, const Settings& asked,
                       const std::string& package, const Detection& detection) const;
  Status check_routes(const App& app) const;
  // The version that publishing makes of latest; none when the last one is the same already.
  std::optional<Version> snapshot(const Entry* present, const Version& latest) const;
  void show_published(VersionPtr version);
};

}  // namespace mayfly::functions
