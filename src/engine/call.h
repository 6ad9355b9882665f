#pragma once
// One invocation from its arrival to its record. Private to the engine; on one loop only.

#include <memory>
#include <string>

#include "engine/core.h"

namespace mayfly::engine {

class Instance;

// How a call ended, for its record.
struct CallEnd {
  telemetry::Outcome outcome = telemetry::Outcome::ok;
  telemetry::Party party = telemetry::Party::none;
  telemetry::Phase phase = telemetry::Phase::none;
  std::string error;
};
CallEnd end_of(const Failure& failure);

class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<Core> core, std::shared_ptr<Pool> pool, const Invocation& invocation);
  ~Call();

  // The instance has a slot for it: the wait is over. Splits the wait into queue, start and init;
  // cold: it waited while the instance started.
  void assign(std::shared_ptr<Instance> instance, bool cold);
  // Forgets the instance without a record: nothing of the call reached it.
  void unassign();

  // What became of the slot in the instance when the call is over.
  enum class Slot { free, aborted };
  // Ends the record and gives the slot back. Once; later calls do nothing. The record is written
  // when nobody holds a receipt.
  void finish(CallEnd end, Slot slot);
  bool finished() const { return finished_; }

  // From its receipt.
  void hold_record() { receipt_out_ = true; }
  void reject(CallEnd end);
  void answered(int http_status);
  void release_record();

  std::shared_ptr<Failure> timeout_failure() const;
  void add_log(std::string_view line);
  // The last 4 KB of what it has logged, when its caller wants that.
  std::string log_tail() const;
  std::uint64_t run_us_so_far() const;

  const std::shared_ptr<Core> core;
  const std::shared_ptr<Pool> pool;
  std::shared_ptr<Instance> instance;
  telemetry::Record record;
  SteadyTime arrived, assigned;
  WallTime deadline;
  bool timed_out = false;
  CallEnd ended;  // once finished; without the text, which is in the record
  bool want_tail = false;
  bool background = false;         // as of its invocation
  std::shared_ptr<void> admitted;  // its share of a limit of the function; gone when it is over

 private:
  static void on_deadline(void* self);
  void set_end(CallEnd end);
  void write();

  TimerQueue::Entry timer_;
  bool finished_ = false;
  std::string tail_;
  bool rejected_ = false;
  bool receipt_out_ = false;
};

}  // namespace mayfly::engine
