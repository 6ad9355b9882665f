// link: mayfly_gateway
// Request paths against a table of routes: parameters are decoded pieces of the path, and what
// proxies took has the number of segments that were left.
#include <cstdlib>
#include <string_view>

#include "gateway/router.h"

namespace {

mayfly::gateway::Router make_router() {
  mayfly::functions::App app;
  app.name = "a";
  for (const char* path :
       {"/", "/a", "/a/{x}", "/a/{x}/b", "/{y}/b/{z}", "/a/b/{rest+}", "/{all+}"}) {
    mayfly::functions::Route route;
    route.method = "GET";
    route.path = path;
    route.function = path;
    app.routes.push_back(route);
  }
  return mayfly::gateway::Router({app});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const mayfly::gateway::Router router = make_router();
  const std::string path = "/" + std::string(reinterpret_cast<const char*>(data), size);
  mayfly::gateway::FunctionPath parts;
  if (mayfly::gateway::split_function_path(path, parts) &&
      (parts.name.empty() || parts.base.size() > path.size() || parts.rest[0] != '/'))
    std::abort();
  const auto segments = mayfly::gateway::split_path(path);
  if (!segments) return 0;
  const auto found = router.find("GET", *segments);
  if (found.route == nullptr && !segments->segments.empty()) std::abort();  // {all+} takes any
  if (found.rest.size() > segments->segments.size()) std::abort();
  for (const auto& [name, value] : found.parameters)
    if (name.empty() || value.find('\0') != std::string::npos) std::abort();
  if (router.find("POST", *segments).route != nullptr) std::abort();
  return 0;
}
