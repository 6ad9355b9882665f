#include "triggers/schedules.h"

#include <boost/json/parse.hpp>

#include "triggers/async_fixture.h"

namespace mayfly::triggers {
namespace {

class SchedulesTest : public testing::AsyncFixture {
 protected:
  SchedulesTest() { open_schedules(); }
  ~SchedulesTest() override { schedules.reset(); }

  void open_schedules() {
    schedules = std::make_unique<Schedules>(
        Schedules::Parts{world.loop, *world.engine, *memory, *world.committer, world.clock, *calls,
                         limits, "us-east-1", "000000000000", [this] { return random; }});
    const Status opened = schedules->open();
    EXPECT_FALSE(opened.has_error());
  }
  void restart_all() {
    schedules.reset();
    restart();
    open_schedules();
  }
  // 2027-01-15T08:00:00Z is where the virtual clock stands.
  static Schedule every(const std::string& expression, const std::string& target = "queue:ticks") {
    Schedule schedule;
    schedule.name = "s";
    schedule.expression = expression;
    schedule.target = target;
    schedule.input = R"({"at":"<aws.scheduler.scheduled-time>"})";
    return schedule;
  }
  ScheduleInfo create(Schedule schedule) {
    auto made = world.run(schedules->create(std::move(schedule)));
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? *made : ScheduleInfo();
  }
  std::optional<WallTime> run_due() { return world.run(schedules->run_due()); }
  // Second by second, as the watcher does.
  void live(seconds time) {
    for (auto i = seconds(0); i < time; i += seconds(1)) {
      world.clock.pass(seconds(1));
      run_due();
    }
  }
  // The times in the messages of the queue, HH:MM:SS.
  std::string ticked() {
    std::string out;
    for (const auto& message : messages("ticks"))
      out += std::string(boost::json::parse(message.body).at("at").as_string()).substr(11, 8) + " ";
    return out;
  }

  ScheduleSettings limits;
  double random = 0;
  std::unique_ptr<Schedules> schedules;
};

TEST_F(SchedulesTest, ATickForEveryMinute) {
  make_queue("ticks");
  const auto info = create(every("* * * * *"));
  EXPECT_EQ(to_rfc3339(*info.next), "2027-01-15T08:01:00.000Z");
  EXPECT_EQ(run_due(), info.next);
  EXPECT_EQ(ticked(), "");
  live(seconds(150));
  EXPECT_EQ(ticked(), "08:01:00 08:02:00 ");
  const auto now = schedules->find("default", "s");
  EXPECT_EQ(now->ticks, 2u);
  EXPECT_EQ(to_rfc3339(*now->last), "2027-01-15T08:02:00.000Z");
}

TEST_F(SchedulesTest, NoTickIsLostOrDoubledOverARestart) {
  make_queue("ticks");
  create(every("*/10 * * * * *"));
  std::string wanted;
  for (int i = 0; i < 12; ++i) {
    live(seconds(5));
    restart_all();  // without a word
    run_due();
    run_due();
  }
  EXPECT_EQ(ticked(), "08:00:10 08:00:20 08:00:30 08:00:40 08:00:50 08:01:00 ");
}

TEST_F(SchedulesTest, CatchesUpAsItWasAsked) {
  make_queue("ticks");
  const std::pair<CatchUp, std::string> cases[] = {{CatchUp::latest, "08:30:00 "},
                                                   {CatchUp::all, "08:10:00 08:20:00 08:30:00 "},
                                                   {CatchUp::none, ""}};
  for (const auto& [policy, wanted] : cases) {
    auto schedule = every("*/10 * * * *");
    schedule.catch_up = policy;
    const WallTime began = world.clock.wall;
    create(schedule);
    restart_all();
    world.clock.pass(std::chrono::minutes(35));  // down
    run_due();
    EXPECT_EQ(ticked(), wanted);
    world.clock.wall = began;
    ASSERT_FALSE(world.run(schedules->remove("default", "s")).has_error());
    ASSERT_FALSE(world.run(world.engine->purge("ticks")).has_error());
  }
}

TEST(PlanTicks, KeepsWhatIsRecentAndBoundsTheRest) {
  const WallTime now = from_epoch_us(1'800'000'000'000'000);
  std::vector<WallTime> ticks;
  for (int i = 300; i >= 0; i -= 20) ticks.push_back(now - seconds(i));
  const auto plan = [&](CatchUp policy, std::size_t most) {
    const auto made = plan_ticks(ticks, now, policy, most);
    EXPECT_EQ(made.run.size() + made.skipped, ticks.size());
    return made.run.size();
  };
  EXPECT_EQ(plan(CatchUp::none, 100), 4u);  // of the last minute
  EXPECT_EQ(plan(CatchUp::latest, 100), 4u);
  EXPECT_EQ(plan(CatchUp::all, 100), ticks.size());
  EXPECT_EQ(plan(CatchUp::all, 5), 9u);
  EXPECT_EQ(plan_ticks({now - seconds(500), now - seconds(400)}, now, CatchUp::latest, 9).run,
            std::vector<WallTime>{now - seconds(400)});
}

TEST_F(SchedulesTest, AClockThatIsSetBackALittleDoublesNothing) {
  make_queue("ticks");
  create(every("*/30 * * * * *"));
  live(seconds(65));
  world.clock.wall -= seconds(50);
  live(seconds(60));
  EXPECT_EQ(ticked(), "08:00:30 08:01:00 ");
  live(seconds(20));
  EXPECT_EQ(ticked(), "08:00:30 08:01:00 08:01:30 ");
}

TEST_F(SchedulesTest, AClockThatWasWrongByADayDoesNotSilenceIt) {
  make_queue("ticks");
  create(every("*/30 * * * *"));
  world.clock.wall += std::chrono::hours(24);
  run_due();  // the latest of the missed ones
  EXPECT_EQ(messages("ticks").size(), 1u);
  world.clock.wall -= std::chrono::hours(24);
  run_due();
  live(std::chrono::minutes(31));
  EXPECT_EQ(messages("ticks").size(), 2u);
}

TEST_F(SchedulesTest, WhatWasMadeWhileTheClockWasWrongRunsWhenItIsPutRight) {
  make_queue("ticks");
  for (const char* expression : {"*/10 * * * * *", "rate(10 seconds)", "at(2027-01-15T11:30:00)"}) {
    const WallTime right = world.clock.wall;
    world.clock.wall += std::chrono::hours(3);
    create(every(expression));
    run_due();
    world.clock.wall = right;
    run_due();
    live(seconds(25));
    const bool once = expression[0] == 'a';  // and its time has not come
    EXPECT_EQ(messages("ticks").size(), once ? 0u : 2u) << expression;
    restart_all();
    live(seconds(20));
    EXPECT_EQ(messages("ticks").size(), once ? 0u : 4u) << expression;
    ASSERT_FALSE(world.run(schedules->remove("default", "s")).has_error());
    ASSERT_FALSE(world.run(world.engine->purge("ticks")).has_error());
  }
}

TEST_F(SchedulesTest, WhatRanWhileTheClockWasWrongIsNotRunAgain) {
  make_queue("ticks");
  create(every("at(2027-01-15T09:00:00)"));
  world.clock.wall += std::chrono::hours(3);
  run_due();
  EXPECT_EQ(ticked(), "09:00:00 ");
  world.clock.wall -= std::chrono::hours(3);
  run_due();
  restart_all();
  world.clock.wall += std::chrono::hours(3);
  run_due();
  EXPECT_EQ(ticked(), "09:00:00 ");
}

TEST_F(SchedulesTest, OnceIsOnce) {
  make_queue("ticks");
  auto schedule = every("at(2027-01-15T09:00:30)");
  schedule.zone = "Europe/Berlin";
  schedule.remove_when_over = true;
  create(schedule);
  live(seconds(40));
  EXPECT_EQ(ticked(), "08:00:30 ");
  EXPECT_TRUE(schedules->find("default", "s").has_error());
  restart_all();
  EXPECT_TRUE(schedules->list().empty());
}

TEST_F(SchedulesTest, StartAndEndBoundIt) {
  make_queue("ticks");
  auto schedule = every("rate(1 minute)");
  schedule.start = world.clock.wall + seconds(90);
  schedule.end = world.clock.wall + seconds(90 + 120);
  create(schedule);
  live(seconds(600));
  EXPECT_EQ(ticked(), "08:01:30 08:02:30 08:03:30 ");
  EXPECT_FALSE(schedules->find("default", "s")->next.has_value());
}

TEST_F(SchedulesTest, AWindowMovesTheTickAndNotItsTime) {
  make_queue("ticks");
  random = 0.5;
  auto schedule = every("* * * * *");
  schedule.window_s = 60;
  create(schedule);
  live(seconds(85));
  EXPECT_EQ(ticked(), "");
  live(seconds(6));
  EXPECT_EQ(ticked(), "08:01:00 ");
}

TEST_F(SchedulesTest, DisabledIsStillUntilItIsEnabled) {
  make_queue("ticks");
  create(every("* * * * *"));
  ASSERT_TRUE(world.run(schedules->enable("default", "s", false)).has_value());
  live(seconds(300));
  EXPECT_EQ(ticked(), "");
  restart_all();
  ASSERT_TRUE(world.run(schedules->enable("default", "s", true)).has_value());
  live(seconds(60));
  EXPECT_EQ(ticked(), "08:06:00 ");  // nothing of before
}

TEST_F(SchedulesTest, AChangeWaitsForTheTickThatIsBeingWritten) {
  make_queue("ticks");
  create(every("* * * * *"));
  world.clock.pass(seconds(60));
  auto ticking = world.start(schedules->run_due());
  auto disabling = world.start(schedules->enable("default", "s", false));
  auto removing = world.start(schedules->remove("default", "s"));
  world.wait(std::move(ticking));
  const auto disabled = world.wait(std::move(disabling));
  ASSERT_TRUE(disabled.has_value()) << disabled.error().message;
  EXPECT_EQ(disabled->ticks, 1u);
  EXPECT_FALSE(world.wait(std::move(removing)).has_error());
  EXPECT_TRUE(schedules->list().empty());
  EXPECT_EQ(ticked(), "08:01:00 ");
}

TEST_F(SchedulesTest, WhatIsChangedWhileAnotherTicksRunsAsItIsThen) {
  make_queue("ticks");
  for (const char* name : {"a", "b", "c"}) {
    auto schedule = every("* * * * *");
    schedule.name = name;
    create(schedule);
  }
  world.clock.pass(seconds(60));
  auto ticking = world.start(schedules->run_due());
  auto disabling = world.start(schedules->enable("default", "b", false));
  auto removing = world.start(schedules->remove("default", "c"));
  EXPECT_TRUE(world.wait(std::move(disabling)).has_value());
  EXPECT_FALSE(world.wait(std::move(removing)).has_error());
  EXPECT_TRUE(world.wait(std::move(ticking)).has_value());
  EXPECT_EQ(ticked(), "08:01:00 ");  // that of a
}

TEST_F(SchedulesTest, FunctionsAreCalledWithTheRetriesOfTheSchedule) {
  auto& f = function("f");
  f.answer = [](const engine::Invocation&) {
    return testing::failure(telemetry::Outcome::function_error, "no");
  };
  auto schedule = every("* * * * *", "function:f");
  schedule.input.clear();
  schedule.retries = 0;
  create(schedule);
  calls->start();
  live(seconds(60));
  ASSERT_TRUE(world.run_until([&] { return f.seen.size() == 1; }));
  EXPECT_EQ(f.seen[0].source, "schedule");
  const auto event = boost::json::parse(f.seen[0].body);
  EXPECT_EQ(event.at("detail-type").as_string(), "Scheduled Event");
  EXPECT_EQ(event.at("time").as_string(), "2027-01-15T08:01:00Z");
  ASSERT_TRUE(until_state(f.seen[0].request_id, CallState::failed));
}

TEST_F(SchedulesTest, RunNowLeavesThePlanAlone) {
  make_queue("ticks");
  const auto info = create(every("0 12 * * *"));
  ASSERT_FALSE(world.run(schedules->run_now("default", "s")).has_error());
  EXPECT_EQ(ticked(), "08:00:00 ");
  EXPECT_EQ(schedules->find("default", "s")->next, info.next);
}

TEST_F(SchedulesTest, RefusesWhatItCannotRun) {
  const auto code = [this](Schedule schedule) {
    return world.run(schedules->create(std::move(schedule))).error().code;
  };
  auto wrong = every("often");
  EXPECT_EQ(code(wrong), Code::invalid_argument);
  wrong = every("* * * * *");
  wrong.zone = "Mars/Olympus";
  EXPECT_EQ(code(wrong), Code::invalid_argument);
  wrong = every("* * * * *", "nowhere");
  EXPECT_EQ(code(wrong), Code::invalid_argument);
  wrong = every("* * * * *");
  wrong.name = "a/b";
  EXPECT_EQ(code(wrong), Code::invalid_argument);
  create(every("* * * * *"));
  EXPECT_EQ(code(every("* * * * *")), Code::already_exists);
}

TEST(ScheduleJson, ComesBackAsItWas) {
  Schedule schedule;
  schedule.name = "n";
  schedule.group = "g";
  schedule.expression = "rate(1 minute)";
  schedule.target = "queue:q";
  schedule.input = "{\"a\":1}";
  schedule.start = from_epoch_us(1'800'000'000'000'000);
  schedule.retries = 0;
  schedule.max_age_s = 60;
  schedule.catch_up = CatchUp::all;
  schedule.other["ActionAfterCompletion"] = "NONE";
  schedule.created = schedule.modified = from_epoch_us(1'700'000'000'000'000);
  const auto back = schedule_from_json(schedule_to_json(schedule));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(schedule_to_json(*back), schedule_to_json(schedule));
  EXPECT_EQ(back->start, schedule.start);
  EXPECT_TRUE(schedule_from_json("{\"when\":1}").has_error());
  EXPECT_TRUE(schedule_from_json("[]").has_error());
  EXPECT_TRUE(schedule_from_json("{\"window_s\":-1}").has_error());
}

}  // namespace
}  // namespace mayfly::triggers
