#pragma once
// The spawner's loop: requests from the engine, reports from inits, deaths, and in idle moments
// namespaces and cgroups made ahead of need. One thread, blocking calls only to the kernel.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "base/result.h"
#include "os/fd.h"
#include "spawner/launch.h"
#include "spawner/state_dir.h"
#include "spawner/watched.h"
#include "spawner/zygote.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

class Server {
 public:
  // engine: the SEQPACKET socket.
  Server(StateDir state, Host host, os::Fd engine);

  // Until the engine closes its end. Then kills all, waits for them and leaves nothing behind.
  void run();

  // Prepares the first sandbox, and so finds out whether this machine lets it. After an error it
  // has ended.
  Status try_out();
  // What run() does at its end, when it is not to begin.
  void end();

 private:
  void on_engine();
  void on_launch(wire::SpawnerLaunch request, std::vector<os::Fd> fds);
  void on_signal(const wire::SpawnerSignal& request);
  void on_sockets(const wire::SpawnerSockets& request);
  void on_clone(wire::SpawnerClone request, std::vector<os::Fd> fds);
  void on_shells(const wire::SpawnerShells& request);
  void on_share(const wire::SpawnerShare& request);
  void on_control(Instance& instance);
  void on_prepared(Instance& instance, std::vector<os::Fd> fds);
  void on_orders(Instance& parent);
  void on_death(Instance& instance);
  void on_slirp_death();

  // Templates and their shells: server_clones.cc.
  Instance* parent_of(const Instance& shell);
  Instance* template_of(std::uint64_t handle);
  void make_room(const Instance& parent);
  Status add_shell(Instance& parent);
  void serve_waiting(Instance& parent);
  bool fill_shells();
  void end_template(Instance& parent);
  void on_program_end(Instance& parent);
  void fail_waiting(Instance& parent, const Error& error);
  void fail_clone(Instance& shell, Error error);
  void kill_shell(Instance& shell);
  bool tell_reaper(Instance& shell);
  void forget_shell(const Instance& shell);
  bool has_clones(const Instance& parent) const;
  void check_deadlines();
  void reap_strays();
  void check_deadline(Instance& instance, std::int64_t now);
  void check_preparing(Instance& instance, std::int64_t now);

  // Zygotes: server_zygotes.cc.
  Zygote* find_zygote(const std::string& key);
  os::Fd ask_zygote(const wire::SpawnerZygote& spec, Instance& instance, std::string& why);
  void want_zygote(const wire::SpawnerZygote& spec, const std::string& key);
  bool fill_zygotes();
  Status add_zygote(const wire::SpawnerZygote& spec, const std::string& key);
  void on_zygote(Zygote& zygote, Watched what);
  void on_zygote_death(Zygote& zygote);
  void note_zygote_failure(const std::string& key, const std::string& why);
  void release_zygote(Zygote& zygote);
  void end_zygote(Zygote& zygote, const std::string& why);
  void end_oldest_zygote();
  void fill_overdue_zygotes();
  void on_entry(const Instance& instance);
  void on_entry_failed(const Instance& instance);
  void time_zygotes();
  void check_zygotes();

  Result<Instance*> add_instance(bool nat);
  Result<Instance*> adopt(std::unique_ptr<Instance> instance);
  Result<Instance*> take_ready(bool nat);
  Result<uid_t> take_user();
  void release(Instance& instance);
  void drop_ready(std::uint64_t number);
  void report_started(Instance& instance);
  void report_end(Instance& instance, const os::UsageReading& usage);
  void send_failure(std::uint64_t handle, std::uint64_t request, const Error& error);
  void send(const wire::SpawnerMessage& message, const std::vector<int>& fds = {});
  Status watch(int fd, std::uint64_t tag);
  void forget(const Instance& instance);
  void wait_for_events(int timeout_ms);
  int idle_after() const;
  bool fill_pool();
  bool clone_under_way() const;
  void put_off_refill();
  void idle();
  void sweep_cgroups();

  StateDir state_;
  Host host_;
  os::Fd engine_, epoll_;
  bool stopping_ = false;
  bool refill_wanted_ = true, shells_owed_ = false;
  std::int64_t refill_at_ms_ = 0;  // of the pool, after a failure; 0: at once
  int refill_pause_ms_ = 0;
  std::uint64_t next_number_ = 16;  // lower tags are the spawner's own descriptors
  std::uint64_t next_group_ = 1;
  uid_t next_user_ = 0;
  std::set<uid_t> users_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Instance>> instances_;
  std::unordered_map<std::uint64_t, std::uint64_t> numbers_;  // by handle
  std::unordered_map<std::uint64_t, std::unique_ptr<Zygote>> zygotes_;
  std::map<std::string, wire::SpawnerZygote> wanted_zygotes_;  // by key; made in idle moments
  std::int64_t zygotes_wanted_ms_ = 0;                         // the oldest of them
  struct Pause {
    std::int64_t until_ms = 0, length_ms = 0;
    std::string why;
  };
  std::map<std::string, Pause> zygote_pauses_;  // by key, after failures
  os::Fd zygote_timer_;                         // ticks while there are any
  std::deque<std::uint64_t> ready_;             // numbers of those not assigned yet, oldest first
  bool preparing_ = false;  // one at a time: they hold the kernel's cgroup lock for long
  std::deque<os::Cgroup> ended_groups_;
  std::map<std::uint64_t, std::int64_t>
      under_way_;                  // clones ordered and not inside yet: since when
  std::set<std::uint64_t> timed_;  // numbers of instances that check_deadlines looks at
  std::int64_t checked_ms_ = 0;
  std::int64_t strays_until_ms_ = 0;  // children that nobody knows of may turn up till then
};

}  // namespace mayfly::spawner
