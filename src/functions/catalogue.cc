// Rows in the store, all under "f/"; every value begins with a version byte:
//   f/l/FUNCTION             $LATEST
//   f/n/FUNCTION             the last number given to a version; stays when the function goes
//   f/v/FUNCTION\0<number>   a published version, big-endian number
//   f/x/FUNCTION             what belongs to it: aliases, tags (belongings.h)
//   f/a/APPLICATION          an application
//   f/y/LAYER\0<number>      a version of a layer (layers.h)
//   f/yn/LAYER               the last number given to a version of it
//   f/i/NAME:TAG             an image (images.h)

#include "functions/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ids.h"
#include "base/log.h"
#include "functions/catalogue_state.h"
#include "functions/checks.h"
#include "functions/commit.h"
#include "functions/install.h"
#include "functions/tree.h"

namespace mayfly::functions {
Status Catalogue::State::load_versions(std::string_view prefix) {
  Status problem;
  std::unordered_map<std::string, std::string> places;  // one look at the disk for each package
  MAYFLY_TRY(parts.store.scan(
      {std::string(prefix), store::prefix_end(prefix)},
      [&](std::string_view key, std::string_view value) {
        auto read = decode_version(value);
        if (read.has_error()) {
          problem = Error{
              Code::corrupt,
              fmt::format("The function stored as '{}' is damaged: {}", key, read.error().message),
              "load functions"};
          return false;
        }
        auto version = std::make_shared<Version>(std::move(*read));
        auto& place = places[version->package];
        if (place.empty()) place = code_dir(version->package, version->settings);
        version->code_dir = place;
        if (!version->settings.layers.empty()) {
          const auto merged = parts.packages.overlay(version->settings.layers);
          if (merged.has_error())
            log::error("the layers of function {} cannot be laid out: {}",
                       version->qualified_name(), merged.error().describe());
          version->layers_dir = layers_dir(version->settings.layers);
        }
        auto& into = functions[version->function];
        if (version->number == 0)
          into.latest = std::move(version);
        else
          into.published.push_back(std::move(version));  // keys are in the order of numbers
        return true;
      }));
  return problem;
}

Status Catalogue::State::load_counters() {
  return parts.store.scan({"f/n/", store::prefix_end("f/n/")},
                          [&](std::string_view key, std::string_view value) {
                            auto& last = last_numbers[std::string(key.substr(4))];
                            value.remove_prefix(std::min<std::size_t>(1, value.size()));
                            std::from_chars(value.data(), value.data() + value.size(), last);
                            return true;
                          });
}

Status Catalogue::State::load_apps() {
  Status problem;
  MAYFLY_TRY(parts.store.scan(
      {std::string(kAppPrefix), store::prefix_end(kAppPrefix)},
      [&](std::string_view key, std::string_view value) {
        auto app = value.substr(0, 1) == kStoredVersion
                       ? app_from_json(value.substr(1))
                       : Result<App>(Error{Code::corrupt, "Its format is not known."});
        if (app.has_error()) {
          problem = Error{Code::corrupt,
                          fmt::format("The application stored as '{}' is damaged: "
                                      "{}",
                                      key, app.error().message),
                          "load applications"};
          return false;
        }
        place_sites(*app);
        apps[app->name] = std::move(*app);
        return true;
      }));
  return problem;
}

Status Catalogue::State::check_room(const std::string& function) const {
  if (entry(function) != nullptr || functions.size() < parts.defaults.functions_max) return ok();
  return Error{Code::resource_exhausted,
               fmt::format("There are {} functions, as many as the setting functions.functions_max "
                           "allows. Remove some with mayfly rm.",
                           functions.size())};
}

Result<Detection> Catalogue::State::check_and_detect(const std::string& function,
                                                     const Settings& settings,
                                                     const std::string& package) const {
  (void)function;
  if (!is_sha256(package))
    return Error{Code::invalid_argument, "The package must be named by its SHA-256 in hex."};
  if (!settings.image.uri.empty()) return detect_image(settings, package);
  if (!parts.packages.contains(package))
    return Error{Code::not_found,
                 "There is no package " + package + ": upload it first (PUT /v1/packages)."};
  MAYFLY_TRY(settle_layers(settings, 0));
  auto detected =
      detect(parts.packages.tree(package), settings, parts.runtimes, layers_dir(settings.layers));
  if (detected.has_value()) MAYFLY_TRY(settle_layers(settings, detected->code_bytes));
  return detected;
}

Result<Detection> Catalogue::State::detect_image(const Settings& settings,
                                                 const std::string& package) const {
  if (!has_code(package, settings))
    return Error{Code::not_found, "The image " + settings.image.uri +
                                      " is gone: import it again (mayfly image import)."};
  const std::string tree = parts.images->tree(package);
  auto runtime = parts.runtimes.find(settings.runtime.empty() ? "native" : settings.runtime);
  if (runtime.has_error()) return runtime.error();
  if (runtime->language != "native")
    return invalid(
        "The runtime of a function that is an image is its own: leave the runtime out, or "
        "say native, provided, http or exec.");
  auto program = find_image_program(tree, settings);
  if (program.has_error()) return program.error();
  Detection d;
  d.model = model_of_program(*runtime);
  d.runtime = std::move(*runtime);
  d.handler = settings.handler;
  d.entry = std::move(*program);
  d.code_bytes = measure_tree(tree).bytes;
  d.notes.push_back(fmt::format("image {}: {}", settings.image.uri,
                                fmt::join(image_command(settings.image), " ")));
  return d;
}

Status Catalogue::State::settle_layers(const Settings& settings, std::uint64_t code_bytes) const {
  if (settings.layers.empty()) return ok();
  const auto merged = parts.packages.overlay(settings.layers);
  if (merged.has_error()) return merged.error();
  const std::uint64_t bytes = measure_tree(parts.packages.tree(*merged)).bytes + code_bytes;
  if (bytes <= parts.defaults.layers_bytes_max) return ok();
  return Error{Code::too_large,
               fmt::format("Package and layers have {} bytes unpacked; the setting "
                           "functions.layers_bytes_max allows {}.",
                           bytes, parts.defaults.layers_bytes_max)};
}

Version Catalogue::State::make_version(const std::string& function, const Settings& asked,
                                       const std::string& package,
                                       const Detection& detection) const {
  const auto& defaults = parts.defaults;
  Version version;
  version.function = function;
  version.package = package;
  version.code_bytes = detection.code_bytes;
  version.settings = asked;
  version.settings.runtime = detection.runtime.name;
  version.settings.handler = detection.handler;
  if (asked.memory_mb == 0) version.settings.memory_mb = defaults.memory_mb;
  if (asked.timeout_ms == 0) version.settings.timeout_ms = defaults.timeout_ms;
  if (asked.keep_alive_ms < 0) version.settings.keep_alive_ms = defaults.keep_alive_ms;
  version.entry = detection.entry;
  version.model = detection.model;
  version.concurrency =
      asked.concurrency != 0 ? asked.concurrency : default_concurrency(detection.model);
  version.digest = sha256_hex(package + settings_to_json(asked)).substr(0, 32);
  version.revision = random_hex(8);
  version.created_us = to_epoch_us(parts.clock.wall_now());
  version.notes = detection.notes;
  return version;
}

Status Catalogue::State::check_routes(const App& app) const {
  MAYFLY_TRY(check_app(app));
  for (const auto& route : app.routes) {
    if (!route.function.empty()) {
      const auto colon = route.function.find(':');
      const auto* found = entry(std::string_view(route.function).substr(0, colon));
      if (found == nullptr)
        return Error{Code::not_found, "The route " + route.method + " " + route.path +
                                          " leads to the function '" + route.function +
                                          "', which does not exist."};
    } else if (!parts.packages.contains(route.static_package)) {
      return Error{Code::not_found, "The route " + route.path + " leads to the package " +
                                        route.static_package + ", which was not uploaded."};
    }
  }
  for (const auto& function : api_functions(app.api))
    if (entry(std::string_view(function).substr(0, function.find(':'))) == nullptr)
      return Error{Code::not_found, "The api of the application names the function '" + function +
                                        "', which does not exist."};
  for (const auto& [name, other] : apps) {
    if (name == app.name) continue;
    for (const auto& theirs : other.routes)
      for (const auto& ours : app.routes)
        if (ours.method == theirs.method && route_shape(ours.path) == route_shape(theirs.path))
          return Error{Code::already_exists,
                       fmt::format("The route {} {} belongs to the application '{}' already.",
                                   ours.method, ours.path, name)};
  }
  return ok();
}

Catalogue::Catalogue(Parts parts) : state_(std::make_unique<State>(std::move(parts))) {}
Catalogue::~Catalogue() = default;

Status Catalogue::load() {
  auto& s = *state_;
  s.functions.clear();
  s.last_numbers.clear();
  s.apps.clear();
  MAYFLY_TRY(s.load_versions(kLatestPrefix));
  MAYFLY_TRY(s.load_versions(kVersionPrefix));
  MAYFLY_TRY(s.load_counters());
  MAYFLY_TRY(s.load_belongings());
  MAYFLY_TRY(s.load_apps());
  MAYFLY_TRY(s.layers.load());
  MAYFLY_TRY(s.images.load());
  std::erase_if(s.functions, [](const auto& item) { return item.second.latest == nullptr; });
  s.changed();
  return ok();
}

VersionPtr Catalogue::find(std::string_view function, std::string_view qualifier) const {
  const auto* entry = state_->entry(function);
  if (entry == nullptr) return nullptr;
  if (qualifier.empty() || qualifier == "$LATEST") return entry->latest;
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(qualifier.data(), qualifier.data() + qualifier.size(), number);
  if (error != std::errc() || end != qualifier.data() + qualifier.size()) {
    const auto alias = entry->belongings.aliases.find(std::string(qualifier));
    if (alias == entry->belongings.aliases.end()) return nullptr;
    number = alias->second.weights.empty() ? alias->second.version
                                           : choose_version(alias->second, random_share());
    if (number == 0) return entry->latest;
  }
  return entry->version(number);
}

VersionPtr Catalogue::find_qualified(std::string_view name) const {
  const auto colon = name.find(':');
  if (colon == std::string_view::npos) return find(name, "");
  return find(name.substr(0, colon), name.substr(colon + 1));
}

std::vector<VersionPtr> Catalogue::list() const {
  std::vector<VersionPtr> all;
  all.reserve(state_->functions.size());
  for (const auto& [name, entry] : state_->functions) all.push_back(entry.latest);
  std::sort(all.begin(), all.end(),
            [](const VersionPtr& a, const VersionPtr& b) { return a->function < b->function; });
  return all;
}

std::vector<VersionPtr> Catalogue::versions(std::string_view function) const {
  const auto* entry = state_->entry(function);
  if (entry == nullptr) return {};
  std::vector<VersionPtr> all = {entry->latest};
  all.insert(all.end(), entry->published.begin(), entry->published.end());
  return all;
}

const RuntimeTable& Catalogue::runtimes() const {
  return state_->parts.runtimes;
}
const Defaults& Catalogue::defaults() const {
  return state_->parts.defaults;
}
Layers& Catalogue::layers() {
  return state_->layers;
}
Images& Catalogue::images() {
  return state_->images;
}
ImageTrees* Catalogue::image_trees() {
  return state_->parts.images;
}
void Catalogue::on_change(std::function<void()> tell) {
  state_->tell_change = std::move(tell);
}

std::uint64_t Catalogue::generation() const {
  return state_->generation;
}

io::Task<Result<Catalogue::Candidate>> Catalogue::prepare(std::string function, Settings settings,
                                                          std::string package) {
  auto& s = *state_;
  MAYFLY_CO_TRY(check_name("function", function));
  MAYFLY_CO_TRY(check_settings(settings, s.parts.defaults));
  MAYFLY_CO_TRY(s.check_room(function));
  auto look = [state = &s, function, settings, package] {
    return state->check_and_detect(function, settings, package);
  };
  auto looking = s.parts.pool.run(std::move(look));
  auto detection = co_await std::move(looking);
  if (detection.has_error()) co_return std::move(detection).error();
  Version version = s.make_version(function, settings, package, *detection);

  Candidate candidate;
  const auto* present = s.entry(function);
  if (present != nullptr && present->latest->digest == version.digest &&
      present->latest->settings.runtime == version.settings.runtime) {
    candidate.version = present->latest;
    candidate.unchanged = true;
    co_return candidate;
  }
  if (detection->needs == Needs::compiler ||
      (detection->needs != Needs::nothing && settings.install)) {
    // The same package deployed twice at once is installed once.
    auto locking = s.locks.lock("install " + package);
    auto guard = co_await std::move(locking);
    if (guard.has_error()) co_return std::move(guard).error();
    InstallParts parts{s.parts.packages, s.parts.pool, s.parts.defaults, s.parts.sandboxes,
                       s.parts.runtimes_dir};
    auto installing = install(parts, package, *detection);
    auto installed = co_await std::move(installing);
    if (installed.has_error()) co_return std::move(installed).error();
    version.notes.insert(version.notes.end(), installed->notes.begin(), installed->notes.end());
  }
  version.code_dir = s.code_dir(package, settings);
  version.layers_dir = s.layers_dir(settings.layers);
  candidate.version = std::make_shared<const Version>(std::move(version));
  co_return candidate;
}

std::optional<Version> Catalogue::State::snapshot(const Entry* present,
                                                  const Version& latest) const {
  if (present != nullptr && !present->published.empty()) {
    const VersionPtr& last = present->published.back();
    Settings settings = last->settings;  // but for what the version itself is described as
    settings.description = latest.settings.description;
    if (last->digest == latest.digest && settings == latest.settings && last->model == latest.model)
      return std::nullopt;
  }
  Version version = latest;
  const auto last = last_numbers.find(latest.function);
  version.number = (last != last_numbers.end() ? last->second : 0) + 1;
  version.revision = random_hex(8);
  version.created_us = to_epoch_us(parts.clock.wall_now());
  return version;
}

void Catalogue::State::show_published(VersionPtr version) {
  last_numbers[version->function] = version->number;
  functions[version->function].published.push_back(std::move(version));
}

namespace {

void put_published(store::Transaction& transaction, const Version& version) {
  const std::string key = version_key(version.function, version.number);
  transaction.require(key, std::nullopt).put(key, encode_version(version));
  transaction.put(counter_key(version.function), kStoredVersion + std::to_string(version.number));
}

}  // namespace

io::Task<Result<VersionPtr>> Catalogue::commit(Version version, Along along) {
  auto& s = *state_;
  MAYFLY_CO_TRY(check_name("function", version.function));
  auto locking = s.locks.lock("function " + version.function);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  MAYFLY_CO_TRY(s.check_room(version.function));
  version.number = 0;
  if (version.revision.empty()) version.revision = random_hex(8);
  if (version.created_us == 0) version.created_us = to_epoch_us(s.parts.clock.wall_now());
  if (version.concurrency == 0)
    version.concurrency = version.settings.concurrency != 0 ? version.settings.concurrency
                                                            : default_concurrency(version.model);
  version.code_dir = s.code_dir(version.package, version.settings);
  version.layers_dir = s.layers_dir(version.settings.layers);
  const auto* present = s.entry(version.function);
  Belongings belongings = present != nullptr ? present->belongings : Belongings();
  const bool tagged = !along.tags.empty() && belongings.tags != along.tags;
  if (tagged) belongings.tags = std::move(along.tags);
  std::optional<Version> published;
  if (along.publish) published = s.snapshot(present, version);
  auto write = [state = &s, &parts = s.parts, version, published,
                kept = tagged ? belongings_to_json(belongings) : "",
                before = present != nullptr ? present->latest->revision : ""]() -> Status {
    if (!state->has_code(version.package, version.settings))
      return Error{Code::not_found,
                   "The package " + version.package + " is gone: upload it again and deploy anew."};
    const auto merged = parts.packages.overlay(version.settings.layers);
    if (merged.has_error()) return merged.error();
    const std::string key = latest_key(version.function);
    auto stored = parts.store.get(key);
    if (stored.has_error() && stored.error().code != Code::not_found) return stored.error();
    std::optional<std::string> expected;
    std::string revision;
    if (stored.has_value()) {
      const auto decoded = decode_version(*stored);
      if (decoded.has_value()) revision = decoded->revision;
      expected = std::move(*stored);
    }
    if (revision != before)
      return Error{Code::conflict, "The function '" + version.function +
                                       "' was changed by another server meanwhile."};
    store::Transaction transaction;
    transaction.require(key, std::move(expected)).put(key, encode_version(version));
    if (!kept.empty()) transaction.put(belongings_key(version.function), kStoredVersion + kept);
    if (published) put_published(transaction, *published);
    return parts.store.commit(transaction, store::Durability::synced);
  };
  auto writing = s.parts.pool.run(std::move(write));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  VersionPtr visible = std::make_shared<const Version>(std::move(version));
  s.functions[visible->function].latest = visible;
  if (tagged) s.functions[visible->function].belongings = std::move(belongings);
  if (published) s.show_published(std::make_shared<const Version>(std::move(*published)));
  s.changed();
  co_return visible;
}

io::Task<Result<VersionPtr>> Catalogue::publish(std::string function,
                                                std::optional<std::string> description) {
  auto& s = *state_;
  auto locking = s.locks.lock("function " + function);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  const auto* entry = s.entry(function);
  if (entry == nullptr) co_return unknown_function(function);
  // Publishing twice without a change in between gives the same version.
  std::optional<Version> version = s.snapshot(entry, *entry->latest);
  if (!version) co_return entry->published.back();
  if (description) version->settings.description = std::move(*description);
  auto write = [&parts = s.parts, version]() -> Status {
    store::Transaction transaction;
    put_published(transaction, *version);
    return parts.store.commit(transaction, store::Durability::synced);
  };
  auto writing = s.parts.pool.run(std::move(write));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  VersionPtr visible = std::make_shared<const Version>(std::move(*version));
  s.show_published(visible);
  s.changed();
  co_return visible;
}

io::Task<Status> Catalogue::remove(std::string function) {
  auto& s = *state_;
  auto locking = s.locks.lock("function " + function);
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  if (s.entry(function) == nullptr) co_return unknown_function(function);
  store::Transaction transaction;
  transaction.remove(latest_key(function)).remove(belongings_key(function));  // the count stays
  const std::string prefix = versions_prefix(function);
  transaction.delete_ranges.emplace_back(prefix, store::prefix_end(prefix));
  auto writing = functions::commit(s.parts.store, s.parts.pool, std::move(transaction));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  s.functions.erase(function);
  s.changed();
  co_return ok();
}

std::vector<App> Catalogue::apps() const {
  std::vector<App> all;
  for (const auto& [name, app] : state_->apps) all.push_back(app);
  return all;
}

io::Task<Status> Catalogue::put_app(App app) {
  auto& s = *state_;
  auto locking = s.locks.lock("applications");  // one lock: routes of all of them are compared
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  MAYFLY_CO_TRY(s.check_routes(app));
  auto write = [&parts = s.parts, app]() -> Status {
    store::Transaction transaction;
    transaction.put(app_key(app.name), kStoredVersion + app_to_json(app));
    return parts.store.commit(transaction, store::Durability::synced);
  };
  auto writing = s.parts.pool.run(std::move(write));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  s.place_sites(app);
  s.apps[app.name] = std::move(app);
  s.changed();
  co_return ok();
}

io::Task<Status> Catalogue::remove_app(std::string name) {
  auto& s = *state_;
  auto locking = s.locks.lock("applications");
  auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return std::move(guard).error();
  if (!s.apps.contains(name))
    co_return Error{Code::not_found, "There is no application '" + name.substr(0, 100) + "'."};
  store::Transaction transaction;
  transaction.remove(app_key(name));
  auto writing = functions::commit(s.parts.store, s.parts.pool, std::move(transaction));
  Status written = co_await std::move(writing);
  if (written.has_error()) co_return std::move(written).error();
  s.apps.erase(name);
  s.changed();
  co_return ok();
}

std::set<std::string> Catalogue::packages_in_use() const {
  std::set<std::string> used = state_->layers.packages_in_use();
  used.merge(state_->images.trees_in_use());
  const auto add = [&used](const Version& version) {
    used.insert(version.package);
    const auto& layers = version.settings.layers;
    used.insert(layers.begin(), layers.end());
    if (layers.size() > 1) used.insert(Packages::overlay_id(layers));
  };
  for (const auto& [name, entry] : state_->functions) {
    add(*entry.latest);
    for (const auto& version : entry.published) add(*version);
  }
  for (const auto& [name, app] : state_->apps)
    for (const auto& route : app.routes)
      if (!route.static_package.empty()) used.insert(route.static_package);
  return used;
}

}  // namespace mayfly::functions
