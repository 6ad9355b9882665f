#pragma once
// One running copy of a version: sandbox, protocol, pipes, calls. Its life: launch, start (the
// user's initialisation), serve, end; a clone has its start behind it. A template ends its start by
// standing there to be cloned. Private to the engine; on one loop only.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/call.h"
#include "engine/core.h"
#include "engine/log_pump.h"
#include "engine/pool.h"

namespace mayfly::engine {

class Instance : public std::enable_shared_from_this<Instance> {
 public:
  enum class State { launching, initialising, ready, standing, ending, gone };
  enum class Kind {
    boot,    // starts the program
    clone,   // of a template; becomes a boot when that fails
    source,  // is to be the template; becomes a boot when it cannot be cloned
  };

  // the_template: of a clone. Room for boots and clones has been booked.
  Instance(std::shared_ptr<Core> core, std::shared_ptr<Pool> pool, std::uint64_t memory_bytes,
           Kind kind, std::shared_ptr<Instance> the_template = nullptr);
  ~Instance();

  // Runs its whole life; waiter: the one call it is started for (per_call models).
  void begin(Pool::Waiter* waiter);

  const std::string& id() const { return id_; }
  State state() const { return state_; }
  bool cloned() const { return kind_ == Kind::clone; }
  std::uint32_t clone_of() const { return clone_of_; }  // which template of the version
  InstanceProtocol& protocol() { return *protocol_; }

  // Slots.
  bool usable() const { return state_ == State::ready && !suspect_ && !draining_; }
  bool has_slot() const;
  bool idle() const { return usable() && slots_used_ == 0; }
  std::uint32_t slots_used() const { return slots_used_; }
  void take_slot();
  // Nothing runs in it from now on.
  void begin_idle();
  // A call that found it idle has its slot.
  void on_reused(SteadyTime now);
  // Idle; its room is wanted.
  void make_way();
  // Gives a slot back and offers it to the line.
  void free_slot();

  void add_call(Call& call);
  void remove_call(Call& call);
  std::size_t calls() const { return calls_.size(); }
  // Charges CPU and peak memory to a call that ends now.
  void charge(Call& call, SteadyTime now);
  bool charged() const { return usage_read_ != SteadyTime{}; }  // its start is paid for
  // It is ready and no call waited for that: what it has used so far is charged to none.
  void write_off_start(SteadyTime now);
  // Output of the pipes up to now belongs to the call that ends.
  void drain_logs();

  // Ends the call's work in the program as far as the protocol can.
  InstanceProtocol::Abort abort(const std::string& request_id);
  // A call is overdue: it is aborted, and an instance that does not let go of it is ended.
  void overdue(const std::string& request_id);
  // An aborted call still holds its slot: until the program lets go, at most for so long.
  void linger(milliseconds at_most);

  // No new calls; ended when the last call is over.
  void drain();
  // Asks the program to end, then kills it.
  void end_politely();
  void kill(std::string why);
  // The same for a program that may have something to do before it ends; the engine waits no more.
  void dismiss(std::string why, InstanceProtocol::Ending ending);

  // Of a template.
  void keep_shells(unsigned count);
  std::uint64_t memory_used() const;

  bool exited() const { return exit_.has_value(); }
  bool asked_to_end() const { return asked_to_end_; }  // by the engine
  // Resumes when the sandbox is gone, or after at_most.
  io::Task<void> wait_exit(milliseconds at_most);
  // Why a call that was running has no answer; resumes when the reason is known.
  io::Task<std::shared_ptr<Failure>> explain_crash(std::shared_ptr<Failure> failure);

  // The times of its start, for the phases of the calls that waited for it.
  SteadyTime launch_began, launched, initialised;
  SteadyTime idle_since;
  milliseconds keep_for() const { return keep_for_; }
  Pool::Waiter* bound = nullptr;  // per_call: the call that it is started for
  bool served = false;            // has answered a call
  bool awaited = false;           // a call that is not in line waited for its start; it comes next
  bool ahead = false;             // is started for calls that are expected
  bool listed = false;            // stands in the pool's list of free instances
  std::uint64_t memory_bytes() const { return memory_bytes_; }
  // The end of what it wrote to stderr (while it started; always with one process for each call).
  const std::string& last_error_lines() const { return last_error_lines_; }
  Call* oldest_call() const { return calls_.empty() ? nullptr : calls_.front(); }
  Call* only_call() const { return calls_.size() == 1 ? calls_.front() : nullptr; }

 private:
  using Made = Result<std::unique_ptr<sandbox::Sandbox>>;
  static io::Task<void> live(std::shared_ptr<Instance> self);
  static io::Task<Made> make_sandbox(std::shared_ptr<Instance> self);
  static io::Task<Made> make_clone(std::shared_ptr<Instance> self);
  void count_start(const sandbox::Sandbox& sandbox);
  void not_made(const Error& error);
  void initialised_well(InstanceProtocol::Started started, bool ran_through);
  static io::Task<void> watch(std::shared_ptr<Instance> self);
  Result<sandbox::LaunchSpec> make_spec();
  void attach();
  void open_pipes();
  void log(const std::string& request_id, telemetry::LogLine::Stream stream, std::string_view line);
  void pipe_line(telemetry::LogLine::Stream stream, std::string_view line);
  void start_failed(std::shared_ptr<Failure> failure);
  void on_exit(sandbox::Exit exit);
  void on_closed(const std::string& why);
  void on_released();
  void give_room_back();
  void share_cpu(const Call& call);
  // No new calls from now on; the pool no longer counts on it.
  void start_draining();
  void leave_service();
  static void on_keep_alive(void* self);
  static void on_init_timeout(void* self);
  static void on_grace(void* self);
  static void on_linger(void* self);
  static void on_kill(void* self);

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Pool> pool_;
  const std::string id_;
  const std::uint64_t memory_bytes_;
  State state_ = State::launching;
  Kind kind_;
  std::shared_ptr<Instance> template_;  // until it has been cloned
  Ready template_ready_;
  std::uint32_t clone_of_ = 0;
  bool room_booked_;
  functions::VersionPtr version_;
  const ProtocolFactory* factory_ = nullptr;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::unique_ptr<InstanceProtocol> protocol_;
  std::shared_ptr<void> door_;  // to the platform's services, open
  std::shared_ptr<LogPump> out_, err_;

  std::uint32_t slots_used_ = 0;
  std::uint32_t lingering_ = 0;  // slots of aborted calls that the program has not let go of
  std::vector<Call*> calls_;
  bool yields_ = false;  // the CPU to others
  SteadyTime awaited_until_;
  bool suspect_ = false;  // a cancelled call is still within its grace
  bool draining_ = false;
  bool in_service_ = false;  // the pool counts it as ready
  bool was_ready_ = false;
  bool used_ = false;
  bool idle_ = false;   // since idle_since
  bool stood_ = false;  // the pool has it as its template
  bool asked_to_end_ = false;
  bool init_timed_out_ = false;
  std::string kill_reason_;
  std::string
      last_error_lines_;  // the end of stderr, for an initialisation that fails without word

  std::optional<sandbox::Exit> exit_;
  std::vector<Park*> exit_waiters_;

  milliseconds keep_for_{0};
  SteadyTime usage_read_;
  std::uint64_t cpu_charged_ = 0;
  double cpu_rate_ = 0;  // CPU for each microsecond of run time, in the last window
  sandbox::Usage usage_;

  TimerQueue::Entry keep_alive_, init_limit_, grace_, linger_, kill_timer_;
};

}  // namespace mayfly::engine
