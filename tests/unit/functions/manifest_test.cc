#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/app.h"

namespace mayfly::functions {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string problem(const std::string& yaml) {
  const auto read = parse_manifest(yaml, "folder");
  EXPECT_TRUE(read.has_error()) << yaml;
  return read.has_error() ? read.error().message : "taken";
}

TEST(Manifest, ReadsEverything) {
  const auto read = parse_manifest(R"(# a shop
name: shop
functions:
  pets:
    path: ./pets
    runtime: python3.11
    handler: app.handler
    memory: 256
    timeout: 2.5
    concurrency: 4
    min: 1
    max: 10
    keep_alive: 0
    network: none
    snapshot: off
    services: off
    policy:
      - {Effect: Allow, Action: [sqs:SendMessage], Resource: "arn:aws:sqs:*:*:jobs"}
    description: "All pets"
    env: {TABLE: pets, LIMIT: 10, DEBUG: true, EMPTY: ""}
  hello:
    path: hello.js
routes:
  - {method: GET, path: "/pets/{id}", function: pets}
  - path: /
    function: hello:3
static:
  - path: /site/{proxy+}
    folder: public
    fallback: index.html
cors:
  origins: ["https://a.example", "https://b.example"]
  methods: [GET, POST]
  headers: [x-token]
  expose: x-count
  credentials: true
  max_age: 60
)",
                                   "folder");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const Manifest& m = *read;
  EXPECT_EQ(m.name, "shop");
  ASSERT_EQ(m.functions.size(), 2u);
  EXPECT_EQ(m.functions[0].name, "pets");
  EXPECT_EQ(m.functions[0].path, "./pets");
  const Settings& s = m.functions[0].settings;
  EXPECT_EQ(s.runtime, "python3.11");
  EXPECT_EQ(s.handler, "app.handler");
  EXPECT_EQ(s.memory_mb, 256u);
  EXPECT_EQ(s.timeout_ms, 2'500u);
  EXPECT_EQ(s.concurrency, 4u);
  EXPECT_EQ(s.instances_min, 1u);
  EXPECT_EQ(s.instances_max, 10u);
  EXPECT_EQ(s.keep_alive_ms, 0);
  EXPECT_EQ(s.network, NetworkMode::none);
  EXPECT_FALSE(s.snapshot);
  EXPECT_FALSE(s.services);
  EXPECT_EQ(
      s.policy,
      R"([{"Effect":"Allow","Action":["sqs:SendMessage"],"Resource":"arn:aws:sqs:*:*:jobs"}])");
  EXPECT_EQ(s.description, "All pets");
  EXPECT_EQ(s.env.at("TABLE"), "pets");
  EXPECT_EQ(s.env.at("LIMIT"), "10");
  EXPECT_EQ(s.env.at("DEBUG"), "true");
  EXPECT_EQ(s.env.at("EMPTY"), "");
  EXPECT_EQ(m.functions[1].settings, Settings());
  ASSERT_EQ(m.routes.size(), 2u);
  EXPECT_EQ(m.routes[0].method, "GET");
  EXPECT_EQ(m.routes[0].path, "/pets/{id}");
  EXPECT_EQ(m.routes[1].method, "ANY");
  EXPECT_EQ(m.routes[1].function, "hello:3");
  ASSERT_EQ(m.sites.size(), 1u);
  EXPECT_EQ(m.sites[0].folder, "public");
  EXPECT_EQ(m.sites[0].index, "index.html");
  EXPECT_EQ(m.sites[0].fallback, "index.html");
  EXPECT_THAT(m.cors.allow_origins, ElementsAre("https://a.example", "https://b.example"));
  EXPECT_THAT(m.cors.expose_headers, ElementsAre("x-count"));
  EXPECT_TRUE(m.cors.allow_credentials);
  EXPECT_EQ(m.cors.max_age_s, 60u);
}

TEST(Manifest, NameIsTheFoldersUnlessGiven) {
  EXPECT_EQ(parse_manifest("functions: {}", "my-app")->name, "my-app");
  const auto bad = parse_manifest("functions: {}", "my app");
  ASSERT_TRUE(bad.has_error());
  EXPECT_THAT(bad.error().message, HasSubstr("set 'name'"));
}

TEST(Manifest, ErrorsNameLineAndKey) {
  EXPECT_THAT(problem("functions:\n  a:\n    path: x\n    snapshot: never\n"),
              HasSubstr("snapshot must be on or off"));
  EXPECT_THAT(problem("functions:\n  a:\n    path: x\n    policy: {Effect: Allow, Action: x}\n"),
              HasSubstr("function 'a': policy: Statement.Action: 'x' must be SERVICE:ACTION"));
  EXPECT_THAT(problem("functions:\n  a:\n    path: x\n    memroy: 1\n"),
              AllOf(HasSubstr("line 4"), HasSubstr("'memroy'"), HasSubstr("'memory'")));
  EXPECT_THAT(problem("name: x\nfuncions: {}\n"),
              AllOf(HasSubstr("line 2"), HasSubstr("Did you mean 'functions'?")));
  EXPECT_THAT(problem("functions:\n  a:\n    path: x\n    memory: lots\n"),
              AllOf(HasSubstr("line 4"), HasSubstr("memory"), HasSubstr("'lots'")));
  EXPECT_THAT(problem("functions:\n  a: {path: x, timeout: -1}"), HasSubstr("timeout"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, timeout: nan}"), HasSubstr("timeout"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, timeout: 1e99}"), HasSubstr("timeout"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, min: 5, max: 2}"), HasSubstr("min"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, network: host}"), HasSubstr("'host'"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, env: {A: [1]}}"), HasSubstr("env.A"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, env: {A: }}"), HasSubstr("env.A"));
  EXPECT_THAT(problem("functions:\n  a: {path: x, env: {9A: x}}"), HasSubstr("9A"));
  EXPECT_THAT(problem("functions:\n  a: {}"), HasSubstr("has no 'path'"));
  EXPECT_THAT(problem("functions:\n  a: text"), HasSubstr("must be a mapping"));
  EXPECT_THAT(problem("functions:\n  'a b': {path: x}"), HasSubstr("'a b'"));
  EXPECT_THAT(problem("functions:\n  a: {path: x}\n  a: {path: y}"),
              AllOf(HasSubstr("line 3"), HasSubstr("twice")));
  EXPECT_THAT(problem("functions: [1]"), HasSubstr("functions must be a mapping"));
  EXPECT_THAT(problem("routes:\n  - {path: /a}"), HasSubstr("has no 'function'"));
  EXPECT_THAT(problem("routes:\n  - {path: a, function: f}"), HasSubstr("must begin with /"));
  EXPECT_THAT(problem("routes:\n  - {path: '/{a+}/b', function: f}"), HasSubstr("not at the end"));
  EXPECT_THAT(problem("routes:\n  - {path: '/{a}/{a}', function: f}"), HasSubstr("twice"));
  EXPECT_THAT(problem("routes:\n  - {path: '/x{a}', function: f}"), HasSubstr("whole segment"));
  EXPECT_THAT(problem("routes:\n  - {path: '/a/../b', function: f}"), HasSubstr(".."));
  EXPECT_THAT(problem("routes:\n  - {method: get, path: /, function: f}"), HasSubstr("'GET'"));
  EXPECT_THAT(problem("routes:\n  - {path: '/{a}', function: f}\n  - {path: '/{b}', function: g}"),
              AllOf(HasSubstr("line 3"), HasSubstr("twice")));
  EXPECT_THAT(problem("static:\n  - {path: /}"), HasSubstr("has no 'folder'"));
  EXPECT_THAT(problem("cors: {origins: '*', credentials: true}"), HasSubstr("credentials"));
  EXPECT_THAT(problem("cors: {credentials: maybe}"), HasSubstr("true or false"));
  EXPECT_THAT(problem(""), HasSubstr("empty"));
  EXPECT_THAT(problem("- a"), HasSubstr("must be a mapping"));
}

TEST(Manifest, BrokenYamlIsAnErrorWithItsLine) {
  EXPECT_THAT(problem("functions:\n  a: {path: x\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(problem("a: b: c: d\n"), HasSubstr("line 1"));
  EXPECT_THAT(problem("\tname: x"), HasSubstr("mayfly.yaml"));
  EXPECT_THAT(problem("a: *nobody"), HasSubstr("mayfly.yaml"));
  EXPECT_THAT(problem(std::string(100'000, '[')), HasSubstr("mayfly.yaml"));
  EXPECT_THAT(problem(std::string(2'000'000, 'a')), HasSubstr("bytes"));
}

TEST(Manifest, AliasesDoNotExplode) {
  std::string yaml = "functions: &a0 {f: {path: x}}\n";
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 8; ++j) bomb += before + ",";
    bomb += before + "]\n";
  }
  EXPECT_THAT(problem(bomb), HasSubstr("'a0'"));
  EXPECT_TRUE(parse_manifest(yaml, "x").has_value());
}

}  // namespace
}  // namespace mayfly::functions
