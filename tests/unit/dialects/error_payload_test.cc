#include "dialects/lambda/runtime_api_syntax.h"

#include <gtest/gtest.h>

namespace mayfly::dialects::lambda {
namespace {

using telemetry::Outcome;
using telemetry::Phase;

engine::Failure failure_of(Outcome outcome, std::string message = "it failed") {
  engine::Failure failure;
  failure.outcome = outcome;
  failure.phase = Phase::run;
  failure.message = std::move(message);
  return failure;
}

TEST(ErrorPayload, IsTheFunctionsOwnWhenItHasOne) {
  auto failure = failure_of(Outcome::function_error);
  failure.error_json = R"({"errorType":"ValueError","errorMessage":"no"})";
  EXPECT_TRUE(is_function_error(failure));
  EXPECT_EQ(error_payload(failure, "id"), failure.error_json);
}

TEST(ErrorPayload, SaysHowTheProgramExited) {
  auto failure = failure_of(Outcome::crash);
  failure.exit = "exit status 3";
  EXPECT_EQ(error_payload(failure, "id"),
            R"({"errorType":"Runtime.ExitError",)"
            R"("errorMessage":"RequestId: id Error: Runtime exited with error: exit status 3"})");
  failure.exit = "exit status 0";
  EXPECT_EQ(error_payload(failure, "id"),
            R"({"errorType":"Runtime.ExitError",)"
            R"("errorMessage":"RequestId: id Error: Runtime exited without providing a reason"})");
}

TEST(ErrorPayload, SaysThatItWasLate) {
  const auto failure = failure_of(Outcome::timeout, "Task timed out after 3.00 seconds");
  EXPECT_TRUE(is_function_error(failure));
  EXPECT_EQ(error_payload(failure, "id"),
            R"({"errorType":"Sandbox.Timedout",)"
            R"("errorMessage":"RequestId: id Error: Task timed out after 3.00 seconds"})");
}

TEST(ErrorPayload, NamesABrokenAnswerAndThePlatform) {
  auto failure = failure_of(Outcome::crash);
  failure.phase = Phase::reply;
  EXPECT_NE(error_payload(failure, "id").find("Runtime.TruncatedResponse"), std::string::npos);
  failure = failure_of(Outcome::platform_error);
  EXPECT_FALSE(is_function_error(failure));
  EXPECT_NE(error_payload(failure, "id").find("Sandbox.Failure"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::dialects::lambda
