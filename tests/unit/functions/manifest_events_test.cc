#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/app.h"

namespace mayfly::functions {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string problem_of(const std::string& yaml) {
  const auto read = parse_manifest(yaml, "folder");
  EXPECT_TRUE(read.has_error()) << yaml;
  return read.has_error() ? read.error().message : "taken";
}

TEST(ManifestEvents, ReadsQueues) {
  const auto read = parse_manifest(R"(name: shop
queues:
  clicks:
    dead_letter: clicks-dead
    max_receives: 4
    visibility_timeout: 2m
    delay: 5
    retention: 4d
    wait: 20
    message_bytes_max: 2048
    tags: {team: ads, tier: 1}
  clicks-dead:
  orders.fifo: {content_deduplication: true, deduplicate_by_group: true}
  plain: {dead_letter: "queue:clicks-dead"}
)",
                                   "folder");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->queues.size(), 4u);
  const auto& q = read->queues[0];
  EXPECT_EQ(q.name, "clicks");
  EXPECT_FALSE(q.fifo);
  EXPECT_EQ(q.dead_letter, "clicks-dead");
  EXPECT_EQ(q.max_receives, 4u);
  EXPECT_EQ(q.visibility_timeout_s, 120u);
  EXPECT_EQ(q.delay_s, 5u);
  EXPECT_EQ(q.retention_s, 4u * 86'400);
  EXPECT_EQ(q.receive_wait_s, 20u);
  EXPECT_EQ(q.message_bytes_max, 2048u);
  EXPECT_EQ(q.tags.at("tier"), "1");
  EXPECT_FALSE(read->queues[1].visibility_timeout_s.has_value());
  EXPECT_TRUE(read->queues[2].fifo);
  EXPECT_TRUE(read->queues[2].content_deduplication);
  EXPECT_TRUE(read->queues[2].deduplicate_by_group);
  EXPECT_EQ(read->queues[3].dead_letter, "clicks-dead");
  EXPECT_EQ(read->queues[3].max_receives, 5u);
}

TEST(ManifestEvents, ReadsTriggersOfFunctions) {
  const auto read = parse_manifest(R"(name: shop
topics: [news, orders.fifo]
functions:
  charge:
    path: a.py
    triggers:
      - queue: clicks
        batch: 1000
        window: 5
        concurrency: 2
        attempts: 7
        on_failure: "topic:news"
        partial: false
        enabled: false
        filter: {body: {kind: [click], price: [{numeric: [">", 0]}], text: ["5"]}}
      - {queue: other, minimum_pollers: 2, maximum_pollers: 300, filter: ['{"body":{"a":[1]}}', {body: {b: [null, true]}}]}
      - {schedule: rate(1 minute), input: {"n": 5, "s": "5", "l": [1.5, x]}, timezone: Europe/Berlin}
      - {schedule: 'cron(0 8 * * ? *)', name: morning, catch_up: all, enabled: false}
      - {topic: news, filter: {kind: [a]}, filter_scope: attributes, dead_letter: dead}
    async: {retries: 4, max_age: 6h, on_success: "queue:done", on_failure: "topic:news", dead_letter: "queue:dead"}
schedules:
  report: {schedule: at(2026-11-21T10:00:00), target: "queue:other", flexible_window: 15m, retries: 3, max_age: 60}
)",
                                   "folder");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const auto& f = read->functions.at(0);
  ASSERT_EQ(f.queues.size(), 2u);
  const auto& t = f.queues[0];
  EXPECT_EQ(t.queue, "clicks");
  EXPECT_EQ(t.batch, 1000u);
  EXPECT_EQ(t.window_s, 5u);
  EXPECT_EQ(t.concurrency, 2u);
  EXPECT_EQ(t.attempts, 7u);
  EXPECT_EQ(t.on_failure, "topic:news");
  EXPECT_FALSE(t.partial);
  EXPECT_FALSE(t.enabled);
  EXPECT_THAT(
      t.filters,
      ElementsAre(R"({"body":{"kind":["click"],"price":[{"numeric":[">",0]}],"text":["5"]}})"));
  EXPECT_THAT(f.queues[1].filters,
              ElementsAre(R"({"body":{"a":[1]}})", R"({"body":{"b":[null,true]}})"));
  EXPECT_EQ(f.queues[1].batch, 10u);
  EXPECT_EQ(f.queues[1].minimum_pollers, 2u);
  EXPECT_EQ(f.queues[1].maximum_pollers, 300u);
  EXPECT_TRUE(f.queues[1].partial && f.queues[1].enabled);
  ASSERT_EQ(f.topics.size(), 1u);
  EXPECT_EQ(f.topics[0].filter, R"({"kind":["a"]})");
  EXPECT_EQ(f.topics[0].filter_scope, "attributes");
  EXPECT_EQ(f.topics[0].dead_letter, "dead");
  EXPECT_EQ(f.settings.async.retries, 4);
  EXPECT_EQ(f.settings.async.max_age_s, 6 * 3600);
  EXPECT_EQ(f.settings.async.on_success, "queue:done");
  EXPECT_EQ(f.settings.async.dead_letter, "queue:dead");

  ASSERT_EQ(read->topics.size(), 2u);
  EXPECT_TRUE(read->topics[1].fifo);
  ASSERT_EQ(read->schedules.size(), 3u);
  EXPECT_EQ(read->schedules[0].name, "shop-charge");
  EXPECT_EQ(read->schedules[0].target, "function:charge");
  EXPECT_EQ(read->schedules[0].input, R"({"n":5,"s":"5","l":[1.5E0,"x"]})");
  EXPECT_EQ(read->schedules[1].name, "morning");
  EXPECT_EQ(read->schedules[1].catch_up, "all");
  EXPECT_FALSE(read->schedules[1].enabled);
  EXPECT_EQ(read->schedules[2].target, "queue:other");
  EXPECT_EQ(read->schedules[2].flexible_s, 900u);
  EXPECT_EQ(read->schedules[2].max_age_s, 60u);
}

TEST(ManifestEvents, ErrorsNameLineAndKey) {
  const std::string f = "functions:\n  a:\n    path: x\n    triggers:\n      - ";
  EXPECT_THAT(problem_of(f + "{queue: q, bach: 5}"),
              AllOf(HasSubstr("line 5"), HasSubstr("'bach'"), HasSubstr("'batch'")));
  EXPECT_THAT(problem_of(f + "{queue: q, batch: 0}"), HasSubstr("batch must be from 1 to 10000"));
  EXPECT_THAT(problem_of(f + "{queue: q.fifo, batch: 11}"), HasSubstr("0 to 10"));
  EXPECT_THAT(problem_of(f + "{queue: q, window: 301}"), HasSubstr("up to 300"));
  EXPECT_THAT(problem_of(f + "{queue: q, window: soon}"), HasSubstr("'soon'"));
  EXPECT_THAT(problem_of(f + "{queue: q, maximum_pollers: 10}"), HasSubstr("or neither"));
  EXPECT_THAT(problem_of(f + "{queue: q, minimum_pollers: 1, maximum_pollers: 10}"),
              HasSubstr("minimum_pollers"));
  EXPECT_THAT(problem_of(f + "{queue: q, minimum_pollers: 9, maximum_pollers: 8}"),
              HasSubstr("must not be more"));
  EXPECT_THAT(problem_of(f + "{queue: q, minimum_pollers: 2, maximum_pollers: 8, concurrency: 2}"),
              HasSubstr("leave one of them out"));
  EXPECT_THAT(problem_of(f + "{queue: 'a b'}"), HasSubstr("no name of a queue"));
  EXPECT_THAT(problem_of(f + "{queue: q, topic: t}"),
              HasSubstr("one of queue, schedule and topic"));
  EXPECT_THAT(problem_of(f + "{}"), HasSubstr("one of queue, schedule and topic"));
  EXPECT_THAT(problem_of(f + "{queue: q, filter: [5]}"), HasSubstr("filter must be a mapping"));
  EXPECT_THAT(problem_of(f + "{queue: q}\n      - {queue: q}"),
              AllOf(HasSubstr("line 6"), HasSubstr("twice")));
  EXPECT_THAT(problem_of(f + "{schedule: rate(1 minute), catch_up: some}"),
              HasSubstr("latest, all or none"));
  EXPECT_THAT(problem_of("functions:\n  a: {path: x, async: {retrys: 1}}"),
              AllOf(HasSubstr("'retrys'"), HasSubstr("'retries'")));
  EXPECT_THAT(problem_of("queues:\n  a: {max_receives: 3}"), HasSubstr("wants a dead_letter"));
  EXPECT_THAT(problem_of("queues:\n  a: {fifo: true}"), HasSubstr("ends with .fifo"));
  EXPECT_THAT(problem_of("queues:\n  a: {content_deduplication: true}"), HasSubstr("fifo queues"));
  EXPECT_THAT(problem_of("queues:\n  a: {retention: 15d}"), HasSubstr("retention"));
  EXPECT_THAT(problem_of("queues:\n  a.fifo: {dead_letter: b}"), HasSubstr("a fifo queue too"));
  EXPECT_THAT(problem_of("queues: [a]"), HasSubstr("queues must be a mapping"));
  EXPECT_THAT(problem_of("topics: [a, a]"), HasSubstr("twice"));
  EXPECT_THAT(problem_of("schedules:\n  a: {schedule: rate(1 minute)}"), HasSubstr("no 'target'"));
}

TEST(ManifestEvents, ValuesThatRepeatThemselvesAreBounded) {
  std::string yaml =
      "functions:\n  f:\n    path: x\n    triggers:\n      - schedule: rate(1 hour)\n";
  yaml += "        input:\n          a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 8; ++i) {
    yaml += "          a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) yaml += (j ? ",*a" : "*a") + std::to_string(i - 1);
    yaml += "]\n";
  }
  EXPECT_THAT(problem_of(yaml), HasSubstr("too many values"));
}

TEST(AppResources, SurviveTheirJson) {
  App app;
  app.name = "shop";
  app.resources = {"queue:clicks", "trigger:clicks>charge"};
  const auto back = app_from_json(app_to_json(app));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, app);
  app.resources.clear();
  EXPECT_THAT(app_from_json(app_to_json(app))->resources, IsEmpty());
}

}  // namespace
}  // namespace mayfly::functions
