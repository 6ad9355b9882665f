#include "engine/launch_spec.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mayfly::engine {
namespace {

struct LaunchSpecTest : ::testing::Test {
  std::string value_of(std::string_view name) {
    const auto spec = base_launch_spec(version, runtime, EngineSettings{}, "i-1", from_epoch_us(0));
    const std::string front = std::string(name) + "=";
    std::string found = "(none)";
    for (const auto& entry : spec.env)
      if (entry.starts_with(front)) {
        EXPECT_EQ(found, "(none)") << entry;
        found = entry.substr(front.size());
      }
    return found;
  }

  functions::Version version;
  functions::Runtime runtime;
};

TEST_F(LaunchSpecTest, ManagedRuntimesAreNamedAsOnLambda) {
  EXPECT_EQ(value_of("AWS_EXECUTION_ENV"), "(none)");
  runtime.language = "python";
  runtime.name = "python3.11";
  EXPECT_EQ(value_of("AWS_EXECUTION_ENV"), "AWS_Lambda_python3.11");
  runtime.language = "node";
  runtime.name = "nodejs20.18";
  EXPECT_EQ(value_of("AWS_EXECUTION_ENV"), "AWS_Lambda_nodejs20.x");
  runtime.language = "perl";
  runtime.name = "perl5.36";
  EXPECT_EQ(value_of("AWS_EXECUTION_ENV"), "(none)");
}

TEST_F(LaunchSpecTest, LayersAreAtOpt) {
  version.code_dir = "/host/code";
  const auto spec = base_launch_spec(version, runtime, EngineSettings{}, "i-1", from_epoch_us(0));
  EXPECT_EQ(spec.mounts.size(), 1u);
  EXPECT_EQ(value_of("LD_LIBRARY_PATH"), "(none)");
  version.layers_dir = "/host/layers";
  const auto layered =
      base_launch_spec(version, runtime, EngineSettings{}, "i-1", from_epoch_us(0));
  ASSERT_EQ(layered.mounts.size(), 2u);
  EXPECT_EQ(layered.mounts[1].host_path, "/host/layers");
  EXPECT_EQ(layered.mounts[1].sandbox_path, "/opt");
  EXPECT_FALSE(layered.mounts[1].writable);
  EXPECT_TRUE(value_of("LD_LIBRARY_PATH").ends_with(":/opt/lib"));
}

TEST_F(LaunchSpecTest, LinesInJsonBeginAtInfoUnlessTheFunctionSaysOtherwise) {
  EXPECT_EQ(value_of("AWS_LAMBDA_LOG_FORMAT"), "Text");
  EXPECT_EQ(value_of("AWS_LAMBDA_LOG_LEVEL"), "(none)");
  version.settings.logs = {"JSON", "WARN", ""};
  EXPECT_EQ(value_of("AWS_LAMBDA_LOG_FORMAT"), "JSON");
  EXPECT_EQ(value_of("AWS_LAMBDA_LOG_LEVEL"), "WARN");
  version.settings.logs = {};
  version.settings.env["AWS_LAMBDA_LOG_FORMAT"] = "JSON";
  EXPECT_EQ(value_of("AWS_LAMBDA_LOG_LEVEL"), "INFO");
  version.settings.env["AWS_LAMBDA_LOG_LEVEL"] = "DEBUG";
  EXPECT_EQ(value_of("AWS_LAMBDA_LOG_LEVEL"), "DEBUG");
}

TEST_F(LaunchSpecTest, TheFunctionCannotRenameItself) {
  version.function = "hello";
  version.settings.env["AWS_LAMBDA_FUNCTION_NAME"] = "other";
  version.settings.env["MINE"] = "1";
  EXPECT_EQ(value_of("AWS_LAMBDA_FUNCTION_NAME"), "hello");
  EXPECT_EQ(value_of("MINE"), "1");
  EXPECT_EQ(value_of("AWS_LAMBDA_FUNCTION_VERSION"), "$LATEST");
}

}  // namespace
}  // namespace mayfly::engine
