#include "dialects/scheduler/scheduler.h"

#include "dialects/service_bench.h"
#include "triggers/async_fixture.h"

namespace mayfly::dialects::scheduler {
namespace {

namespace json = boost::json;
using dialects::testing::size;
using dialects::testing::text;
using json::object;

class SchedulerTest : public triggers::testing::AsyncFixture {
 protected:
  SchedulerTest() { open_all(); }
  ~SchedulerTest() override {
    service.reset();
    schedules.reset();
  }

  void open_all() {
    schedules =
        std::make_unique<triggers::Schedules>(triggers::Schedules::Parts{world.loop,
                                                                         *world.engine,
                                                                         *memory,
                                                                         *world.committer,
                                                                         world.clock,
                                                                         *calls,
                                                                         {},
                                                                         "us-east-1",
                                                                         "000000000000",
                                                                         [] { return 0.0; }});
    EXPECT_FALSE(schedules->open().has_error());
    service = std::make_unique<Scheduler>(Scheduler::Parts{
        *schedules, *memory, *world.engine, world.clock, "us-east-1", "000000000000"});
    EXPECT_FALSE(service->open().has_error());
  }

  dialects::testing::ServiceBench bench() {
    return {[this]() -> aws::Service& { return *service; },
            [this](auto task) { return world.run(std::move(task)); }};
  }

  static object schedule(const std::string& name, const object& more = {}) {
    object out{{"Name", name},
               {"ScheduleExpression", "rate(5 minutes)"},
               {"FlexibleTimeWindow", {{"Mode", "OFF"}}},
               {"Target",
                {{"Arn", "arn:aws:sqs:us-east-1:000000000000:ticks"},
                 {"RoleArn", "arn:aws:iam::0:role/r"},
                 {"Input", "{}"}}}};
    for (const auto& [key, value] : more) out[key] = value;
    return out;
  }

  std::unique_ptr<triggers::Schedules> schedules;
  std::unique_ptr<Scheduler> service;
};

TEST_F(SchedulerTest, ASchedulesLife) {
  auto scheduler = bench();
  const object made = scheduler.ok(
      "CreateSchedule",
      schedule("s", {{"Description", "often"}, {"ScheduleExpressionTimezone", "Europe/Berlin"}}));
  EXPECT_EQ(text(made, "ScheduleArn"),
            "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s");
  EXPECT_EQ(scheduler.fault("CreateSchedule", schedule("s")), "409 ConflictException");
  object got = scheduler.ok("GetSchedule", {{"Name", "s"}});
  EXPECT_EQ(text(got, "Description"), "often");
  EXPECT_EQ(text(got, "State"), "ENABLED");
  EXPECT_EQ(text(got, "ScheduleExpressionTimezone"), "Europe/Berlin");
  EXPECT_EQ(got.at("Target").at("RoleArn"), "arn:aws:iam::0:role/r")
      << "comes back as it was given";
  scheduler.ok("UpdateSchedule",
               schedule("s", {{"State", "DISABLED"},
                              {"FlexibleTimeWindow",
                               {{"Mode", "FLEXIBLE"}, {"MaximumWindowInMinutes", 15}}}}));
  got = scheduler.ok("GetSchedule", {{"Name", "s"}});
  EXPECT_EQ(text(got, "State"), "DISABLED");
  EXPECT_EQ(got.at("FlexibleTimeWindow").at("MaximumWindowInMinutes").to_number<int>(), 15);
  EXPECT_FALSE(got.contains("Description")) << "an update replaces everything";
  scheduler.ok("DeleteSchedule", {{"Name", "s"}});
  EXPECT_EQ(scheduler.fault("GetSchedule", {{"Name", "s"}}), "404 ResourceNotFoundException");
  EXPECT_EQ(scheduler.fault("DeleteSchedule", {{"Name", "s"}}), "404 ResourceNotFoundException");
  EXPECT_EQ(scheduler.fault("UpdateSchedule", schedule("s")), "404 ResourceNotFoundException");
}

TEST_F(SchedulerTest, WhatIsNoSchedule) {
  auto scheduler = bench();
  const auto create = [&](const object& more) {
    return scheduler.fault("CreateSchedule", schedule("s", more));
  };
  EXPECT_EQ(create({{"ScheduleExpression", "sometimes"}}), "400 ValidationException");
  EXPECT_EQ(create({{"ScheduleExpressionTimezone", "Mars/Olympus"}}), "400 ValidationException");
  EXPECT_EQ(create({{"State", "ON"}}), "400 ValidationException");
  EXPECT_EQ(create({{"ActionAfterCompletion", "REPEAT"}}), "400 ValidationException");
  EXPECT_EQ(create({{"FlexibleTimeWindow", object()}}), "400 ValidationException");
  EXPECT_EQ(create({{"FlexibleTimeWindow", {{"Mode", "FLEXIBLE"}}}}), "400 ValidationException");
  EXPECT_EQ(create({{"Target", {{"Arn", "arn:aws:s3:::bucket"}}}}), "400 ValidationException");
  EXPECT_EQ(create({{"Target",
                     {{"Arn", "arn:aws:sqs:us-east-1:000000000000:q"},
                      {"RetryPolicy", {{"MaximumRetryAttempts", 186}}}}}}),
            "400 ValidationException");
  EXPECT_EQ(create({{"GroupName", "none"}}), "404 ResourceNotFoundException");
  EXPECT_EQ(size(scheduler.ok("ListSchedules"), "Schedules"), 0u);
}

TEST_F(SchedulerTest, ListsAreFilteredAndPaged) {
  auto scheduler = bench();
  scheduler.ok("CreateScheduleGroup", {{"Name", "g"}});
  for (const char* name : {"a1", "a2", "b1"}) scheduler.ok("CreateSchedule", schedule(name));
  scheduler.ok("CreateSchedule", schedule("a3", {{"GroupName", "g"}, {"State", "DISABLED"}}));
  const auto count = [&](const object& input) {
    return size(scheduler.ok("ListSchedules", input), "Schedules");
  };
  EXPECT_EQ(count({}), 4u);
  EXPECT_EQ(count({{"NamePrefix", "a"}}), 3u);
  EXPECT_EQ(count({{"GroupName", "g"}}), 1u);
  EXPECT_EQ(count({{"State", "DISABLED"}}), 1u);
  const object page = scheduler.ok("ListSchedules", {{"MaxResults", 3}});
  EXPECT_EQ(size(page, "Schedules"), 3u);
  EXPECT_EQ(count({{"MaxResults", 3}, {"NextToken", page.at("NextToken")}}), 1u);
  EXPECT_EQ(scheduler.fault("ListSchedules", {{"MaxResults", 0}}), "400 ValidationException");
  EXPECT_EQ(scheduler.fault("ListSchedules", {{"GroupName", "none"}}),
            "404 ResourceNotFoundException");
}

TEST_F(SchedulerTest, GroupsSurviveARestartAndTakeTheirSchedulesAlong) {
  auto scheduler = bench();
  const std::string arn =
      text(scheduler.ok("CreateScheduleGroup",
                        {{"Name", "g"}, {"Tags", {{{"Key", "team"}, {"Value", "a"}}}}}),
           "ScheduleGroupArn");
  EXPECT_EQ(arn, "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g");
  EXPECT_EQ(scheduler.fault("CreateScheduleGroup", {{"Name", "g"}}), "409 ConflictException");
  EXPECT_EQ(scheduler.fault("CreateScheduleGroup", {{"Name", "a b"}}), "400 ValidationException");
  scheduler.ok("CreateSchedule", schedule("s", {{"GroupName", "g"}}));

  service.reset();
  schedules.reset();
  restart();
  open_all();
  auto again = bench();
  EXPECT_EQ(text(again.ok("GetScheduleGroup", {{"Name", "g"}}), "State"), "ACTIVE");
  EXPECT_EQ(size(again.ok("ListTagsForResource", {{"ResourceArn", arn}}), "Tags"), 1u);
  EXPECT_EQ(size(again.ok("ListScheduleGroups"), "ScheduleGroups"), 2u);
  EXPECT_EQ(text(again.ok("GetSchedule", {{"Name", "s"}, {"GroupName", "g"}}), "GroupName"), "g");
  again.ok("DeleteScheduleGroup", {{"Name", "g"}});
  EXPECT_EQ(again.fault("GetSchedule", {{"Name", "s"}, {"GroupName", "g"}}),
            "404 ResourceNotFoundException");
  EXPECT_EQ(again.fault("DeleteScheduleGroup", {{"Name", "g"}}), "404 ResourceNotFoundException");
  EXPECT_EQ(again.fault("DeleteScheduleGroup", {{"Name", "default"}}), "400 ValidationException");
}

}  // namespace
}  // namespace mayfly::dialects::scheduler
