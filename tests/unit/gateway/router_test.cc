#include "gateway/router.h"

#include <gtest/gtest.h>

namespace mayfly::gateway {
namespace {

functions::Route routed(std::string method, std::string path, std::string function) {
  functions::Route r;
  r.method = std::move(method);
  r.path = std::move(path);
  r.function = std::move(function);
  return r;
}

Router make(std::vector<functions::Route> routes) {
  functions::App app;
  app.name = "app";
  app.routes = std::move(routes);
  return Router({app});
}

// "function name=value ..." , "405 METHODS" or "404".
std::string look_up(const Router& router, std::string_view method, std::string_view path) {
  const auto segments = split_path(path);
  if (!segments) return "400";
  const auto found = router.find(method, *segments);
  if (found.route == nullptr) {
    if (found.app == nullptr) return "404";
    std::string text = "405";
    for (const auto& name : found.allowed) text += " " + name;
    return text;
  }
  std::string text = found.route->function;
  for (const auto& [name, value] : found.parameters) text += " " + name + "=" + value;
  return text;
}

TEST(Router, PrefersLiteralThenParameterThenProxy) {
  const Router router = make({
      routed("GET", "/pets/{id}", "one"),
      routed("GET", "/pets/mine", "mine"),
      routed("GET", "/pets/{proxy+}", "deep"),
      routed("GET", "/{all+}", "all"),
      routed("GET", "/", "root"),
  });
  EXPECT_EQ(look_up(router, "GET", "/"), "root");
  EXPECT_EQ(look_up(router, "GET", "/pets/mine"), "mine");
  EXPECT_EQ(look_up(router, "GET", "/pets/7"), "one id=7");
  EXPECT_EQ(look_up(router, "GET", "/pets/7/toys"), "deep proxy=7/toys");
  EXPECT_EQ(look_up(router, "GET", "/pets/mine/toys/"), "deep proxy=mine/toys/");
  EXPECT_EQ(look_up(router, "GET", "/pets"), "all all=pets");
  EXPECT_EQ(look_up(router, "GET", "/x/y"), "all all=x/y");
}

TEST(Router, BacksUpWhenTheMoreSpecificPathLeadsNowhere) {
  const Router router = make({
      routed("GET", "/a/b/c", "abc"),
      routed("GET", "/a/{x}/d", "axd"),
      routed("GET", "/{y}/b/{z}", "ybz"),
      routed("POST", "/a/b/c", "post"),
      routed("PUT", "/a/{x}/c", "put"),
  });
  EXPECT_EQ(look_up(router, "GET", "/a/b/c"), "abc");
  EXPECT_EQ(look_up(router, "GET", "/a/b/d"), "axd x=b");
  EXPECT_EQ(look_up(router, "GET", "/a/b/e"), "ybz y=a z=e");
  EXPECT_EQ(look_up(router, "PUT", "/a/b/c"), "put x=b");
  EXPECT_EQ(look_up(router, "DELETE", "/a/b/c"), "405 GET HEAD POST PUT");
}

TEST(Router, ChoosesByMethod) {
  const Router router = make({
      routed("ANY", "/x", "any"),
      routed("POST", "/x", "post"),
      routed("GET", "/y", "get"),
      routed("HEAD", "/z", "head"),
      routed("GET", "/z", "get"),
  });
  EXPECT_EQ(look_up(router, "POST", "/x"), "post");
  EXPECT_EQ(look_up(router, "PROPFIND", "/x"), "any");
  EXPECT_EQ(look_up(router, "HEAD", "/y"), "get");
  EXPECT_EQ(look_up(router, "HEAD", "/z"), "head");
  EXPECT_EQ(look_up(router, "POST", "/y"), "405 GET HEAD");
  EXPECT_EQ(look_up(router, "GET", "/nowhere"), "404");
}

TEST(Router, DecodesSegmentsButKeepsThemApart) {
  const Router router = make({
      routed("GET", "/caf\xc3\xa9/{id}", "cafe"),
      routed("GET", "/files/{proxy+}", "files"),
  });
  EXPECT_EQ(look_up(router, "GET", "/caf%C3%A9/a%2Fb"), "cafe id=a/b");
  EXPECT_EQ(look_up(router, "GET", "/%66iles/a%20b/c"), "files proxy=a b/c");
  EXPECT_EQ(look_up(router, "GET", "/files"), "404");
  EXPECT_EQ(look_up(router, "GET", "/files/"), "404");
  EXPECT_EQ(look_up(router, "GET", "/files/%zz"), "400");
  EXPECT_EQ(look_up(router, "GET", "/files/%00"), "400");
}

TEST(Router, ToleratesATrailingSlashAndRefusesEmptyParameters) {
  const Router router = make({routed("GET", "/pets/{id}/toys", "toys")});
  EXPECT_EQ(look_up(router, "GET", "/pets/1/toys/"), "toys id=1");
  EXPECT_EQ(look_up(router, "GET", "/pets//toys"), "404");
}

TEST(Router, GivesStaticFoldersTheirPathAndAllBelow) {
  functions::Route site;
  site.method = "GET";
  site.path = "/site";
  site.static_dir = "/srv";
  functions::Route root = site;
  root.path = "/{proxy+}";
  functions::App app;
  app.name = "a";
  app.routes = {site, root, routed("GET", "/site/api", "api")};
  const Router router({app});
  EXPECT_EQ(look_up(router, "GET", "/site/api"), "api");
  const auto deep = router.find("GET", *split_path("/site/css/a.css"));
  ASSERT_NE(deep.route, nullptr);
  EXPECT_EQ(deep.route->path, "/site");
  EXPECT_EQ(deep.rest, (std::vector<std::string>{"css", "a.css"}));
  EXPECT_EQ(router.find("GET", *split_path("/site")).route->path, "/site");
  EXPECT_EQ(router.find("GET", *split_path("/")).route->path, "/{proxy+}");
  EXPECT_EQ(router.find("HEAD", *split_path("/x")).route->path, "/{proxy+}");
}

TEST(Router, TakesTheFirstAppByNameWhenTwoClaimAPath) {
  functions::App b, a;
  b.name = "b";
  b.routes = {routed("GET", "/x", "from-b"), routed("POST", "/x", "post-b")};
  a.name = "a";
  a.routes = {routed("GET", "/x", "from-a")};
  const Router router({b, a});
  EXPECT_EQ(look_up(router, "GET", "/x"), "from-a");
  EXPECT_EQ(look_up(router, "POST", "/x"), "post-b");
}

TEST(FunctionPath, IsSplit) {
  FunctionPath parts;
  ASSERT_TRUE(split_function_path("/function/hello", parts));
  EXPECT_EQ(parts.name, "hello");
  EXPECT_EQ(parts.base, "/function/hello");
  EXPECT_EQ(parts.rest, "/");
  ASSERT_TRUE(split_function_path("/function/hello:3/a%20b/", parts));
  EXPECT_EQ(parts.name, "hello:3");
  EXPECT_EQ(parts.base, "/function/hello:3");
  EXPECT_EQ(parts.rest, "/a%20b/");
  ASSERT_TRUE(split_function_path("/function/hello%3A3", parts));
  EXPECT_EQ(parts.name, "hello:3");
  for (const char* other : {"/", "/function", "/function/", "/functions/x", "/function//x", "/x"})
    EXPECT_FALSE(split_function_path(other, parts)) << other;
}

}  // namespace
}  // namespace mayfly::gateway
