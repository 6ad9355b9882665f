#include "gateway/router.h"

#include <algorithm>

#include "wire/http_message.h"

namespace mayfly::gateway {
namespace {

constexpr std::string_view kProxySuffix = "+}";

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool is_proxy(std::string_view segment) {
  return is_parameter(segment) && segment.ends_with(kProxySuffix);
}

std::vector<std::string_view> cut(std::string_view path, bool& trailing_slash) {
  std::vector<std::string_view> pieces;
  trailing_slash = false;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (!path.empty()) {
    const auto slash = path.find('/');
    pieces.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return pieces;
    path.remove_prefix(slash + 1);
  }
  trailing_slash = true;  // nothing, or a slash, is at the end; true for "/" itself
  return pieces;
}

}  // namespace

Result<PathSegments> split_path(std::string_view path) {
  PathSegments parts;
  const auto raw = cut(path, parts.trailing_slash);
  parts.segments.reserve(raw.size());
  for (const auto piece : raw) {
    auto decoded = wire::percent_decode(piece);
    if (!decoded)
      return Error{Code::invalid_argument,
                   "The path of the request has a malformed percent-encoding.", "route"};
    parts.segments.push_back(std::move(*decoded));
  }
  return parts;
}

Router::Router(std::vector<functions::App> apps) : apps_(std::move(apps)) {
  // The order of apps decides when two have the same method and path.
  std::sort(apps_.begin(), apps_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& app : apps_) {
    if (const auto& path = app.api.websocket.path; !path.empty()) sockets_.emplace(path, &app);
    for (const auto& route : app.routes) {
      if (app.api.stages.empty()) add(app, route, nullptr);
      for (const auto& stage : app.api.stages) add(app, route, &stage);
    }
  }
}

void Router::add(const functions::App& app, const functions::Route& route,
                 const functions::Stage* stage) {
  bool ignored = false;
  Node* node = &root_;
  Entry entry{&app, &route, {}, stage};
  if (stage != nullptr && stage->name != "$default") {
    auto& next = node->literals[stage->name];
    if (!next) next = std::make_unique<Node>();
    node = next.get();
  }
  for (const auto piece : cut(route.path, ignored)) {
    if (is_proxy(piece)) {
      entry.names.emplace_back(piece.substr(1, piece.size() - 1 - kProxySuffix.size()));
      node->proxy.push_back(std::move(entry));
      return;
    }
    std::unique_ptr<Node>* next = &node->parameter;
    if (is_parameter(piece)) {
      entry.names.emplace_back(piece.substr(1, piece.size() - 2));
    } else {
      next = &node->literals[std::string(piece)];
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  // A static folder has everything below its path, and the path itself.
  if (!route.static_dir.empty() || !route.static_package.empty()) {
    Entry below = entry;
    below.names.emplace_back();
    node->proxy.push_back(std::move(below));
  }
  node->here.push_back(std::move(entry));
}

struct Router::Walk {
  std::string_view method;
  const PathSegments& path;
  Found found;
  std::vector<std::size_t> taken;  // segments that parameters took
};

// Picks among the routes of one path: the method itself, then GET for HEAD, then ANY.
bool Router::choose(const std::vector<Entry>& entries, std::size_t depth, bool proxy, Walk& walk) {
  const Entry* best = nullptr;
  int best_rank = 3;
  for (const auto& entry : entries) {
    const auto& method = entry.route->method;
    const bool is_static = !entry.route->static_dir.empty() || !entry.route->static_package.empty();
    if (proxy && !is_static && depth == walk.path.segments.size()) continue;  // needs a segment
    const int rank = method == walk.method                              ? 0
                     : walk.method == "HEAD" && method == "GET"         ? 1
                     : method == "ANY" || (method.empty() && is_static) ? 2
                                                                        : 3;
    if (rank < best_rank) {
      best = &entry;
      best_rank = rank;
    }
    if (walk.found.app == nullptr) walk.found.app = entry.app;
    walk.found.allowed.push_back(method);
  }
  if (best == nullptr) return false;
  walk.found.app = best->app;
  walk.found.route = best->route;
  walk.found.stage = best->stage;
  for (std::size_t i = 0; i < walk.taken.size(); ++i)
    walk.found.parameters.emplace_back(best->names[i], walk.path.segments[walk.taken[i]]);
  if (!proxy) return true;
  std::string value;
  for (std::size_t i = depth; i < walk.path.segments.size(); ++i) {
    if (i > depth) value += '/';
    value += walk.path.segments[i];
    walk.found.rest.push_back(walk.path.segments[i]);
  }
  if (walk.path.trailing_slash && !value.empty()) value += '/';
  if (!best->names.back().empty()) walk.found.parameters.emplace_back(best->names.back(), value);
  return true;
}

bool Router::descend(const Node& node, std::size_t depth, Walk& walk) {
  if (depth == walk.path.segments.size()) {
    if (choose(node.here, depth, false, walk)) return true;
  } else {
    const std::string& segment = walk.path.segments[depth];
    const auto literal = node.literals.find(segment);
    if (literal != node.literals.end() && descend(*literal->second, depth + 1, walk)) return true;
    if (node.parameter && !segment.empty()) {
      walk.taken.push_back(depth);
      if (descend(*node.parameter, depth + 1, walk)) return true;
      walk.taken.pop_back();
    }
  }
  return choose(node.proxy, depth, true, walk);
}

const functions::App* Router::socket_app(std::string_view path) const {
  if (sockets_.empty()) return nullptr;
  const auto found = sockets_.find(path);
  return found == sockets_.end() ? nullptr : found->second;
}

Router::Found Router::find(std::string_view method, const PathSegments& path) const {
  Walk walk{method, path, {}, {}};
  if (descend(root_, 0, walk)) {
    walk.found.allowed.clear();
    return std::move(walk.found);
  }
  auto& allowed = walk.found.allowed;
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  if (std::binary_search(allowed.begin(), allowed.end(), "GET") &&
      !std::binary_search(allowed.begin(), allowed.end(), "HEAD"))
    allowed.insert(std::upper_bound(allowed.begin(), allowed.end(), "HEAD"), "HEAD");
  return std::move(walk.found);
}

bool split_function_path(std::string_view path, FunctionPath& parts) {
  constexpr std::string_view kAsyncPrefix = "/async-function/";
  constexpr std::string_view kPlainPrefix = "/function/";
  parts.async = path.starts_with(kAsyncPrefix);
  const std::string_view prefix = parts.async ? kAsyncPrefix : kPlainPrefix;
  if (!path.starts_with(prefix)) return false;
  const auto end = path.find('/', prefix.size());
  const auto raw = path.substr(prefix.size(), end - prefix.size());
  auto name = wire::percent_decode(raw);
  if (!name || name->empty()) return false;
  parts.name = std::move(*name);
  parts.base = path.substr(0, end);
  parts.rest = end == std::string_view::npos ? std::string_view("/") : path.substr(end);
  return true;
}

}  // namespace mayfly::gateway
