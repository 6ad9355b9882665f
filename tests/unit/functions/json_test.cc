#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "functions/app.h"
#include "functions/helpers.h"
#include "functions/json_forms.h"

namespace mayfly::functions {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Settings full_settings() {
  Settings s;
  s.runtime = "python3.11";
  s.handler = "app.handler";
  s.description = "says \"hi\"\n";
  s.memory_mb = 256;
  s.timeout_ms = 1'500;
  s.concurrency = 4;
  s.instances_min = 1;
  s.instances_max = 9;
  s.keep_alive_ms = 0;
  s.network = NetworkMode::none;
  s.snapshot = false;
  s.env = {{"A", "1"}, {"B", ""}};
  return s;
}

std::string settings_problem(const std::string& json) {
  const auto read = settings_from_json(json);
  EXPECT_TRUE(read.has_error()) << json;
  if (read.has_value()) return "taken";
  EXPECT_EQ(read.error().code, Code::invalid_argument);
  return read.error().message;
}

TEST(SettingsJson, RoundTrips) {
  const auto back = settings_from_json(settings_to_json(full_settings()));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, full_settings());
  EXPECT_EQ(*settings_from_json("{}"), Settings());
  EXPECT_EQ(settings_from_json(R"({"memory_mb":128.0,"runtime":null})")->memory_mb, 128u);
}

TEST(SettingsJson, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(settings_problem(R"({"memory":1})"),
              AllOf(HasSubstr("'memory'"), HasSubstr("Did you mean")));
  EXPECT_THAT(settings_problem(R"({"timout_ms":1})"), HasSubstr("'timeout_ms'"));
  EXPECT_THAT(settings_problem(R"({"memory_mb":"128"})"),
              AllOf(HasSubstr("memory_mb"), HasSubstr("not a text")));
  EXPECT_THAT(settings_problem(R"({"memory_mb":1.5})"), HasSubstr("whole number"));
  EXPECT_THAT(settings_problem(R"({"memory_mb":-1})"), HasSubstr("memory_mb is -1"));
  EXPECT_THAT(settings_problem(R"({"memory_mb":4294967296})"), HasSubstr("memory_mb"));
  EXPECT_THAT(settings_problem(R"({"timeout_ms":1e300})"), HasSubstr("timeout_ms"));
  EXPECT_THAT(settings_problem(R"({"env":{"A":1}})"), HasSubstr("env.A"));
  EXPECT_THAT(settings_problem(R"({"env":[]})"), HasSubstr("env must be an object"));
  EXPECT_THAT(settings_problem(R"({"network":"host"})"), HasSubstr("network"));
  EXPECT_THAT(settings_problem(R"({"snapshot":"off"})"), HasSubstr("snapshot must be true or"));
  EXPECT_THAT(settings_problem("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(settings_problem(""), HasSubstr("malformed"));
  EXPECT_THAT(settings_problem(R"({"runtime":"x"} x)"), HasSubstr("malformed at byte"));
  EXPECT_THAT(settings_problem(std::string(100'000, '[')), HasSubstr("malformed"));
}

TEST(AppJson, RoundTripsAndRefuses) {
  App app;
  app.name = "shop";
  app.routes = {{"GET", "/pets/{id}", "pets:3"},
                {"ANY", "/site/{proxy+}", "", std::string(64, 'a'), "", "start.html", "404.html"}};
  app.cors = {{"*"}, {"GET"}, {"x-a"}, {"x-b"}, false, 10};
  const auto back = app_from_json(app_to_json(app));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, app);
  EXPECT_EQ(
      app_from_json(R"({"name":"a","routes":[{"path":"/","function":"f"}]})")->routes[0].method,
      "ANY");
  const auto wrong = app_from_json(R"({"name":"a","routes":[{"path":"/","functon":"f"}]})");
  ASSERT_TRUE(wrong.has_error());
  EXPECT_THAT(wrong.error().message, AllOf(HasSubstr("routes[0]"), HasSubstr("'function'")));
  EXPECT_TRUE(app_from_json(R"({"routes":[1]})").has_error());
  EXPECT_TRUE(app_from_json(R"({"cors":{"allow_origins":[1]}})").has_error());
  EXPECT_TRUE(app_from_json(R"({"routes":[{"static_dir":"/etc"}]})").has_error());
}

TEST(VersionJson, StoredFormKeepsAllAndThePublicOneNoHostPath) {
  Version v;
  v.function = "hello";
  v.number = 3;
  v.revision = "abcd";
  v.package = std::string(64, 'b');
  v.code_dir = "/secret/place";
  v.code_bytes = 12;
  v.settings = full_settings();
  v.entry = "main.py";
  v.digest = "d1";
  v.model = Model::http;
  v.concurrency = 64;
  v.created_us = 1'795'262'400'000'000;
  v.notes = {"one", "two"};
  const std::string stored = encode_version(v);
  EXPECT_EQ(stored[0], '\x01');
  const auto back = decode_version(stored);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->function, "hello");
  EXPECT_EQ(back->number, 3u);
  EXPECT_EQ(back->revision, "abcd");
  EXPECT_EQ(back->package, v.package);
  EXPECT_EQ(back->code_bytes, 12u);
  EXPECT_EQ(back->settings, v.settings);
  EXPECT_EQ(back->entry, "main.py");
  EXPECT_EQ(back->digest, "d1");
  EXPECT_EQ(back->model, Model::http);
  EXPECT_EQ(back->concurrency, 64u);
  EXPECT_EQ(back->created_us, v.created_us);
  EXPECT_EQ(back->notes, v.notes);
  EXPECT_EQ(back->code_dir, "");
  EXPECT_TRUE(decode_version("\x02{}").has_error());
  EXPECT_TRUE(decode_version("").has_error());
  EXPECT_TRUE(decode_version("\x01{\"function\":1}").has_error());
  const std::string shown = version_to_json(v);
  EXPECT_THAT(shown, HasSubstr(R"("model":"http")"));
  EXPECT_THAT(shown, HasSubstr(R"("version":"3")"));
  EXPECT_EQ(shown.find("secret"), std::string::npos);
}

// y_ must parse, n_ must not. Our entry points want an object, so each vector is put into one.
TEST(JsonVectors, AreTakenAndRefusedAsTheyMust) {
  const auto vectors = std::filesystem::path(MAYFLY_SOURCE_DIR) / "../shared/vectors/json";
  if (!std::filesystem::exists(vectors))
    GTEST_SKIP() << "the JSON vectors are not beside the repository (../shared/vectors/json)";
  int good = 0, bad = 0;
  for (const auto& entry : std::filesystem::directory_iterator(vectors)) {
    const std::string name = entry.path().filename().string();
    const std::string text = test::read_file(entry.path());
    const auto parsed = parse_object(text, "a vector");
    if (name.rfind("n_", 0) == 0) {
      EXPECT_TRUE(parsed.has_error()) << name;
      ++bad;
    } else if (name.rfind("y_", 0) == 0) {
      const auto wrapped = parse_object("{\"v\":" + text + "}", "a vector");
      EXPECT_TRUE(wrapped.has_value()) << name;
      ++good;
    }
    // Whatever it is, the entry points answer and do not throw.
    ignore(settings_from_json(text), "any answer is right");
    ignore(app_from_json(text), "any answer is right");
  }
  EXPECT_GT(good, 90);
  EXPECT_GT(bad, 180);
}

TEST(LogSettings, TheVariableCountsAsTheRuntimesReadIt) {
  Settings s;
  EXPECT_FALSE(logs_json(s));
  s.logs.format = "JSON";
  EXPECT_TRUE(logs_json(s));
  for (const auto& [text, json] : {std::pair("json", true), std::pair("Json", true),
                                   std::pair("Text", false), std::pair("", false)}) {
    s.env["AWS_LAMBDA_LOG_FORMAT"] = text;
    EXPECT_EQ(logs_json(s), json) << text;
  }
}

}  // namespace
}  // namespace mayfly::functions
