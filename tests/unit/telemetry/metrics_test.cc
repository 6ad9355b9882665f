#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "telemetry/telemetry.h"

namespace mayfly::telemetry {
namespace {

using testing::HasSubstr;

TEST(Metrics, ExpositionHasWhatWasCounted) {
  auto metrics = make_metrics();
  auto& ok = metrics->counter("mayfly_invocations_total", "Invocations by outcome.",
                              {{"function", "hello"}, {"outcome", "ok"}});
  ok.add();
  ok.add(2);
  metrics
      ->counter("mayfly_invocations_total", "Invocations by outcome.",
                {{"function", "he\"llo\n"}, {"outcome", "crash"}})
      .add();
  auto& running = metrics->gauge("mayfly_instances", "Instances.", {});
  metrics->before_exposition([&] { running.set(5); });
  auto& seconds =
      metrics->histogram("mayfly_invocation_duration_seconds", "Duration.", {}, {0.001, 0.01});
  seconds.observe(0.005);
  const std::string text = metrics->exposition();
  EXPECT_THAT(text, HasSubstr("# TYPE mayfly_invocations_total counter"));
  EXPECT_THAT(text, HasSubstr("# HELP mayfly_invocations_total Invocations by outcome."));
  EXPECT_THAT(text, HasSubstr("mayfly_invocations_total{function=\"hello\",outcome=\"ok\"} 3"));
  EXPECT_THAT(text, HasSubstr("function=\"he\\\"llo\\n\",outcome=\"crash\"} 1"));
  EXPECT_THAT(text, HasSubstr("mayfly_instances 5"));
  EXPECT_THAT(text, HasSubstr("mayfly_invocation_duration_seconds_bucket{le=\"0.01\"} 1"));
  EXPECT_THAT(text, HasSubstr("mayfly_invocation_duration_seconds_count 1"));
}

TEST(Metrics, SameNameAndLabelsAreOneHandle) {
  auto metrics = make_metrics();
  auto& a = metrics->counter("mayfly_a_total", "A.", {{"x", "1"}});
  auto& b = metrics->counter("mayfly_a_total", "A.", {{"x", "1"}});
  auto& c = metrics->counter("mayfly_a_total", "A.", {{"x", "2"}});
  EXPECT_EQ(&a, &b);
  EXPECT_NE(&a, &c);
}

}  // namespace
}  // namespace mayfly::telemetry
