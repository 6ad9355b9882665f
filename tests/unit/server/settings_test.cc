#include "server/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace mayfly::server {
namespace {

using ::testing::HasSubstr;

// One more, or one less than the most.
std::string another_number(const SettingSpec& spec, const std::string& number) {
  Settings tried;
  const std::string more = std::to_string(std::stoll(number) + 1);
  return spec.set(tried, more).has_value() ? more : std::to_string(std::stoll(number) - 1);
}

TEST(Settings, EmptyFileGivesDefaults) {
  const auto settings = parse_settings("", "f.yaml");
  ASSERT_TRUE(settings.has_value());
  EXPECT_EQ(settings->gateway_address, "127.0.0.1:8080");
  EXPECT_EQ(print_settings(*settings), print_settings(Settings{}));
}

TEST(Settings, EveryKeyIsReadBackAsPrinted) {
  // Each key gets a value that is allowed and not its default, so that a key wired to the wrong
  // field is seen.
  Settings changed;
  std::set<std::string> differing;
  for (const auto& spec : setting_table()) {
    const std::string before = spec.get(changed);
    std::string value;
    if (spec.limits == "true, false")
      value = before == "true" ? "false" : "true";
    else if (spec.key == "server.log_level")
      value = "warn";
    else if (spec.unit == "ADDR:PORT")
      value = "[::1]:" + std::to_string(1000 + differing.size());
    else if (spec.limits.empty())
      value = "a \"b\" " + spec.key;
    else if (spec.limits == "a number, at least 0")
      value = "0.5";
    else
      value = another_number(spec, before);
    // 80 % of the machine and two for each core are written 0 and have no wrong sign
    ASSERT_TRUE(spec.set(changed, value).has_value()) << spec.key << " = " << value;
    EXPECT_EQ(spec.get(changed), value);
    differing.insert(spec.key);
  }
  changed.runtimes = {{"python3.11", "/opt/py/bin/python3.11"}};
  const std::string printed = print_settings(changed);
  const auto read = parse_settings(printed, "f.yaml");
  ASSERT_TRUE(read.has_value()) << read.error().message << "\n" << printed;
  for (const auto& spec : setting_table())
    EXPECT_EQ(spec.get(*read), spec.get(changed)) << spec.key;
  ASSERT_EQ(read->runtimes.size(), 1u);
  EXPECT_EQ(read->runtimes[0].program, "/opt/py/bin/python3.11");
}

TEST(Settings, EveryKeyHasItsOwnField) {
  for (const auto& spec : setting_table()) {
    Settings changed;
    const std::string before = spec.get(changed);
    std::string value = before == "true" ? "false" : before == "false" ? "true" : "x";
    if (spec.set(changed, value).has_error()) {
      value = spec.unit == "ADDR:PORT" ? "[::1]:1" : spec.key == "server.log_level" ? "warn" : "";
      if (value.empty())
        value =
            spec.get(changed) == "64"
                ? "65"
                : another_number(spec, std::to_string(static_cast<long long>(std::stod(before))));
      ASSERT_TRUE(spec.set(changed, value).has_value()) << spec.key;
    }
    const Settings defaults;
    for (const auto& other : setting_table()) {
      if (other.key != spec.key) {
        EXPECT_EQ(other.get(changed), other.get(defaults)) << spec.key;
      }
    }
  }
}

TEST(Settings, UnknownKeyNamesLineAndNearest) {
  const auto settings = parse_settings("gateway:\n  adress: 1.2.3.4:80\n", "my.yaml");
  ASSERT_TRUE(settings.has_error());
  EXPECT_THAT(settings.error().message, HasSubstr("my.yaml:2:"));
  EXPECT_THAT(settings.error().message, HasSubstr("gateway.address"));
}

TEST(Settings, UnknownSectionIsRefused) {
  const auto settings = parse_settings("\nhtpp:\n  fields_max: 9\n", "f");
  ASSERT_TRUE(settings.has_error());
  EXPECT_THAT(settings.error().message, HasSubstr("f:3:"));
  EXPECT_THAT(settings.error().message, HasSubstr("http.fields_max"));
}

TEST(Settings, ValueOutsideItsLimitsNamesThem) {
  for (const char* yaml : {"server:\n  blocking_threads: 0", "server:\n  blocking_threads: 257",
                           "server:\n  blocking_threads: 4x",
                           "server:\n  blocking_threads: ", "server:\n  blocking_threads: [4]",
                           "server:\n  blocking_threads: 99999999999999999999"}) {
    const auto settings = parse_settings(yaml, "f");
    ASSERT_TRUE(settings.has_error()) << yaml;
    EXPECT_THAT(settings.error().message, HasSubstr("f:2:")) << yaml;
    EXPECT_THAT(settings.error().message, HasSubstr("server.blocking_threads")) << yaml;
  }
}

TEST(Settings, AddressNeedsAPort) {
  for (const char* bad : {"127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:65536", "h:8x"})
    EXPECT_TRUE(parse_settings(std::string("api:\n  address: \"") + bad + "\"", "f").has_error())
        << bad;
  EXPECT_TRUE(parse_settings("api:\n  address: \"[::1]:0\"", "f").has_value());
}

TEST(Settings, BrokenYamlNamesTheLine) {
  const auto settings = parse_settings("gateway:\n  address: [\n", "f");
  ASSERT_TRUE(settings.has_error());
  EXPECT_THAT(settings.error().message, HasSubstr("f:"));
  EXPECT_THAT(settings.error().message, HasSubstr("YAML"));
}

TEST(Settings, DefaultOverMaximumIsRefused) {
  EXPECT_TRUE(
      parse_settings("functions:\n  memory_mb: 512\n  memory_mb_max: 256", "f").has_error());
  EXPECT_TRUE(parse_settings("functions:\n  timeout_ms: 5\n  timeout_ms_max: 4", "f").has_error());
}

TEST(Settings, ReferencePageHoldsTheTable) {
  std::ifstream in(std::string(MAYFLY_SOURCE_DIR) + "/docs/reference/settings.md");
  std::ostringstream page;
  page << in.rdbuf();
  EXPECT_NE(page.str().find(settings_markdown()), std::string::npos)
      << "docs/reference/settings.md must hold:\n"
      << settings_markdown();
}

}  // namespace
}  // namespace mayfly::server
