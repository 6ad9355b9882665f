#pragma once
// Finds the route of a request among those of all apps. Immutable once built; the gateway builds a
// new one when the catalogue changes. A look-up walks the path once: at each segment a literal
// beats a {parameter}, which beats a trailing {proxy+}; it backs up when the more specific one
// leads nowhere.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "functions/app.h"

namespace mayfly::gateway {

using PathParameters = std::vector<std::pair<std::string, std::string>>;

// A path cut at its slashes, each segment percent-decoded: an encoded slash stays in its segment.
struct PathSegments {
  std::vector<std::string> segments;
  bool trailing_slash = false;  // "/a/" has the segments {"a"}; so has "/a"
};

// Error: malformed percent-encoding, or an encoded NUL.
Result<PathSegments> split_path(std::string_view path);

class Router {
 public:
  explicit Router(std::vector<functions::App> apps);

  struct Found {
    const functions::App* app = nullptr;      // null: no route has this path
    const functions::Route* route = nullptr;  // null: none of them has this method
    const functions::Stage* stage = nullptr;  // null: the application has none of its own
    PathParameters parameters;                // decoded
    std::vector<std::string> rest;            // segments that {proxy+} took, decoded
    std::vector<std::string> allowed;         // methods of the path, when route is null
  };
  // HEAD finds the routes of GET too. The pointers live as long as the router.
  Found find(std::string_view method, const PathSegments& path) const;

  // The application whose WebSocket connections begin at this path; null when there is none.
  const functions::App* socket_app(std::string_view path) const;

  bool empty() const { return apps_.empty(); }

 private:
  struct Entry {
    const functions::App* app;
    const functions::Route* route;
    std::vector<std::string> names;  // of the parameters, in order
    const functions::Stage* stage;   // null: the one at the root
  };
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    std::vector<Entry> here;   // routes that end at this segment
    std::vector<Entry> proxy;  // routes that go on with {proxy+}
  };
  struct Walk;

  void add(const functions::App& app, const functions::Route& route, const functions::Stage* stage);
  static bool descend(const Node& node, std::size_t depth, Walk& walk);
  static bool choose(const std::vector<Entry>& entries, std::size_t depth, bool proxy, Walk& walk);

  std::vector<functions::App> apps_;
  std::map<std::string, const functions::App*, std::less<>> sockets_;  // by path
  Node root_;
};

// "/function/NAME[:QUALIFIER][/any/path]", apart. False when path is none of these.
struct FunctionPath {
  std::string name;       // with the qualifier, decoded
  std::string_view base;  // "/function/NAME", as received
  std::string_view rest;  // "/any/path", as received; "/" when there is none
  bool async = false;     // "/async-function/NAME...": nobody waits for the answer
};
bool split_function_path(std::string_view path, FunctionPath& parts);

}  // namespace mayfly::gateway
