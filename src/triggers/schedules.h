#pragma once
// Schedules: an expression (when.h) that leads to a target. What is due next is on the store, and a
// tick's message and the step to the next tick are one transaction: no tick is lost or doubled when
// the server ends at any moment. Names follow EventBridge Scheduler where they fit.
//
// Belongs to the engine's loop.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "triggers/async_calls.h"
#include "triggers/when.h"

namespace mayfly::triggers {

// What becomes of ticks that came while the server was down (those of the last minute always run).
enum class CatchUp : std::uint8_t { latest, all, none };
std::string_view catch_up_name(CatchUp catch_up);
std::optional<CatchUp> catch_up_from_name(std::string_view name);

struct Schedule {
  std::string group = "default";
  std::string name;        // [A-Za-z0-9._-]{1,64}, as the group
  std::string expression;  // when.h
  std::string zone = "UTC";
  std::string description;
  std::string target;  // targets.h
  std::string input;   // the payload; empty: an event that tells of the tick
  bool enabled = true;
  std::optional<WallTime> start, end;  // ticks from start to end, both included
  std::uint32_t window_s = 0;          // each tick is moved by a random part of this
  CatchUp catch_up = CatchUp::latest;
  std::optional<std::uint32_t> retries;  // none: those of the target
  std::optional<std::int64_t> max_age_s;
  std::string dead_letter;                   // target
  bool remove_when_over = false;             // ActionAfterCompletion DELETE
  std::map<std::string, std::string> other;  // of dialects, not looked into
  WallTime created, modified;
};

// A schedule, and where it is.
struct ScheduleInfo {
  Schedule schedule;
  std::optional<WallTime> next, last;  // ticks
  std::uint64_t ticks = 0;             // that went to the target
  std::uint64_t skipped = 0;           // by catch_up
};

struct ScheduleSettings {
  std::uint32_t schedules_max = 10'000;
  std::uint32_t catch_up_max = 1'000;  // ticks, with CatchUp::all: the newest
};

// JSON forms; from_json refuses what is not known, by its key.
std::string schedule_to_json(const Schedule& schedule);
Result<Schedule> schedule_from_json(std::string_view json);

class Schedules {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    queues::QueueEngine& queues;
    store::Store& store;
    store::Committer& committer;
    const Clock& clock;
    AsyncCalls& calls;
    ScheduleSettings settings;
    std::string region, account;
    std::function<double()> random;  // [0, 1); for windows
  };
  explicit Schedules(Parts parts);
  ~Schedules();

  Status open();  // reads the store; blocks
  void start();   // begins to watch the clock
  void stop();    // no tick after this

  // Durable when they resume. already_exists; invalid_argument names what is wrong.
  io::Task<Result<ScheduleInfo>> create(Schedule schedule);
  // In place of the one of this name; what is due next is found anew. not_found.
  io::Task<Result<ScheduleInfo>> update(Schedule schedule);
  io::Task<Status> remove(std::string group, std::string name);
  io::Task<Result<ScheduleInfo>> enable(std::string group, std::string name, bool enabled);
  // A tick now, beside all others.
  io::Task<Status> run_now(std::string group, std::string name);

  Result<ScheduleInfo> find(const std::string& group, const std::string& name) const;
  std::vector<ScheduleInfo> list() const;  // by group and name

  // Does what is due by the clock, and says when the next is; none: nothing is planned. The watcher
  // calls it; tests do with a virtual clock.
  io::Task<std::optional<WallTime>> run_due();

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// Which of the due ticks run. ticks: oldest first, all of them due. Pure.
struct TickPlan {
  std::vector<WallTime> run;
  std::uint64_t skipped = 0;
};
TickPlan plan_ticks(const std::vector<WallTime>& ticks, WallTime now, CatchUp catch_up,
                    std::size_t all_max);

}  // namespace mayfly::triggers
