#pragma once
// The conversation with the spawner on one loop: requests out, replies matched to who waits, the
// spawner's death noticed and mended. Inside the sandbox room only; belongs to one loop.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "os/cgroup.h"
#include "os/fd.h"
#include "os/ipc.h"
#include "sandbox/link.h"

namespace mayfly::sandbox {

// Lets coroutines of one loop wait until something has happened. Any number may wait.
class Event {
 public:
  explicit Event(boost::asio::any_io_executor executor)
      : timer_(std::move(executor), boost::asio::steady_timer::time_point::max()) {}
  void set() {
    set_ = true;
    timer_.cancel();
  }
  bool is_set() const { return set_; }
  // False: the waiting coroutine was cancelled.
  Task<bool> wait();

 private:
  bool set_ = false;
  boost::asio::steady_timer timer_;
};

// What the client knows of one sandbox; shared by the Sandbox, its connectors and the channel.
struct Record {
  explicit Record(boost::asio::any_io_executor executor) : launched(executor), exited(executor) {}

  std::uint64_t handle = 0;
  std::string id;
  std::uint64_t memory_bytes = 0;
  bool memory_limited = false;  // by a cgroup

  Event launched;  // started or failed
  std::optional<Error> failure;
  os::UsageKind usage_kind = os::UsageKind::process;
  std::vector<os::Fd> usage_fds;
  std::vector<os::Fd> listeners;
  os::Fd services;
  bool from_zygote = false;
  std::string no_zygote;

  Event exited;
  Exit exit;
  bool kill_sent = false;
  std::deque<os::Fd> spare_sockets;
};

struct SocketsWait {
  explicit SocketsWait(boost::asio::any_io_executor executor) : done(executor) {}
  Event done;
  std::optional<Error> failure;
  std::vector<os::Fd> sockets;
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(boost::asio::any_io_executor executor, std::shared_ptr<SharedSpawner> shared);

  void open();
  void close();  // nothing is called or resumed for the caller's sake afterwards

  const boost::asio::any_io_executor& executor() const { return executor_; }
  const SharedSpawner& shared() const { return *shared_; }
  std::size_t running() const { return records_.size(); }

  std::shared_ptr<Record> add_record(std::string id, const Limits& limits);
  // Waits for a spawner that is being restarted; unavailable when there is none.
  Task<Result<void>> wait_connected();
  Status request(const wire::SpawnerMessage& message, std::vector<os::Fd> fds = {});
  void signal(Record& record, wire::SpawnerSignalKind kind);
  Task<Result<os::Fd>> make_socket(std::shared_ptr<Record> record);
  void forget(std::uint64_t handle) { records_.erase(handle); }

 private:
  struct Outgoing {
    std::string bytes;
    std::vector<os::Fd> fds;
  };

  void attach();
  void arm_read();
  void on_readable();
  void arm_write();
  void flush();
  void dispatch(os::Received received);
  void on_launched(const wire::SpawnerLaunched& message, std::vector<os::Fd> fds);
  void on_failed(const wire::SpawnerFailed& message);
  void on_exited(const wire::SpawnerExited& message);
  void on_death();
  void restart();
  void finish(Record& record);
  Error gone() const;

  boost::asio::any_io_executor executor_;
  std::shared_ptr<SharedSpawner> shared_;
  std::optional<boost::asio::posix::stream_descriptor> socket_;
  boost::asio::steady_timer retry_;
  std::shared_ptr<Event> connected_;  // of the spawner that is being restarted
  bool ready_ = false;
  bool closed_ = false;
  bool writing_ = false;
  std::uint64_t generation_ = 0;  // of the socket; callbacks of an older one do nothing
  int restart_ms_ = 0;
  std::uint64_t next_ = 1;
  std::deque<Outgoing> outgoing_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Record>> records_;
  std::unordered_map<std::uint64_t, std::shared_ptr<SocketsWait>> waits_;
};

}  // namespace mayfly::sandbox
