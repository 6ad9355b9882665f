#include "sandbox/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "os/ipc.h"
#include "sandbox/channel.h"

namespace mayfly::sandbox {

namespace asio = boost::asio;

namespace {

// Owns what a launch made, so that a launch that nobody waits for any more is killed.
struct Launching {
  explicit Launching(std::shared_ptr<Channel> c, std::shared_ptr<Record> r)
      : channel(std::move(c)), record(std::move(r)) {}
  ~Launching() {
    if (record) channel->signal(*record, wire::SpawnerSignalKind::kill);
  }
  Launching(const Launching&) = delete;

  std::shared_ptr<Channel> channel;
  std::shared_ptr<Record> record;
};

Task<Result<io::StreamSocket>> connect_inside(std::weak_ptr<Channel> weak_channel,
                                              std::shared_ptr<Record> record, std::uint16_t port) {
  auto channel = weak_channel.lock();
  if (!channel) co_return Error{Code::unavailable, "the server is stopping", "connect", 0};
  auto made = co_await channel->make_socket(record);
  if (made.has_error()) co_return std::move(made).error();
  io::StreamSocket socket(channel->executor());
  asio::ip::tcp::endpoint target(asio::ip::address_v4::loopback(), port);
  boost::system::error_code assigned;
  socket.assign(asio::generic::stream_protocol(AF_INET, IPPROTO_TCP), made.value().get(), assigned);
  if (assigned) co_return errno_error("adopt socket of the sandbox", assigned.value());
  (void)made.value().release();  // the asio socket owns it now
  int on = 1;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  asio::generic::stream_protocol::endpoint endpoint(target);
  auto token = asio::as_tuple(asio::use_awaitable);
  auto [error] = co_await socket.async_connect(endpoint, token);
  if (error) {
    co_return errno_error("connect to port " + std::to_string(port) + " in the sandbox",
                          error.value());
  }
  co_return std::move(socket);
}

// A named function object: gcc 12 mishandles captures of coroutine lambdas.
struct InsideConnector {
  std::weak_ptr<Channel> channel;
  std::shared_ptr<Record> record;
  std::uint16_t port;
  Task<Result<io::StreamSocket>> operator()() const {
    return connect_inside(channel, record, port);
  }
};

Task<Result<std::unique_ptr<Sandbox>>> clone_sandbox(std::shared_ptr<Channel> channel,
                                                     std::shared_ptr<Record> from, CloneSpec spec);

class SandboxImpl final : public Sandbox {
 public:
  SandboxImpl(std::shared_ptr<Channel> channel, std::shared_ptr<Record> record)
      : channel_(std::move(channel)), record_(std::move(record)) {
    listeners = std::move(record_->listeners);
    services = std::move(record_->services);
    from_zygote = record_->from_zygote;
    no_zygote = record_->no_zygote;
  }
  ~SandboxImpl() override { kill(); }

  const std::string& id() const override { return record_->id; }

  Usage usage() const override {
    if (record_->exited.is_set()) return record_->exit.usage;
    auto reading = os::read_usage(record_->usage_kind, record_->usage_fds);
    return {reading.cpu_us, reading.memory_peak_bytes, reading.oom_kills};
  }

  io::Connector connector(std::uint16_t port) override {
    return InsideConnector{channel_, record_, port};
  }

  void terminate() override { channel_->signal(*record_, wire::SpawnerSignalKind::terminate); }

  void kill() override {
    if (std::exchange(record_->kill_sent, true)) return;
    channel_->signal(*record_, wire::SpawnerSignalKind::kill);
  }

  Task<Result<std::unique_ptr<Sandbox>>> clone(CloneSpec spec) override {
    return clone_sandbox(channel_, record_, std::move(spec));
  }

  void keep_shells(unsigned count) override {
    if (record_->exited.is_set()) return;
    ignore(channel_->request(wire::SpawnerShells{record_->handle, count}),
           "without a spawner there is no sandbox either");
  }

  void set_cpu_share(std::uint32_t cpu_millis, bool at_once) override {
    if (record_->exited.is_set()) return;
    ignore(channel_->request(wire::SpawnerShare{record_->handle, cpu_millis, at_once}),
           "without a spawner there is no sandbox either");
  }

  Task<Exit> wait() override { return wait_exit(record_); }

 private:
  static Task<Exit> wait_exit(std::shared_ptr<Record> record) {
    bool ended = co_await record->exited.wait();
    if (!ended) {
      Exit exit;
      exit.reason = "still running: the wait was cancelled";
      co_return exit;
    }
    co_return record->exit;
  }

  std::shared_ptr<Channel> channel_;
  std::shared_ptr<Record> record_;
};

constexpr const char* kTemplateVariable = "MAYFLY_TEMPLATE_FD=4";

struct Ends {
  os::Fd channel, stdin_fd, stdout_fd, stderr_fd;  // ours
  std::vector<os::Fd> theirs;                      // in the order of wire::SpawnerLaunch
};

Result<Ends> make_ends(bool channel, bool stdin_pipe) {
  Ends ends;
  for (auto* ours : {&ends.stdout_fd, &ends.stderr_fd}) {
    auto pipe = os::make_pipe();
    if (pipe.has_error()) return std::move(pipe).error();
    MAYFLY_TRY(os::set_nonblocking(pipe.value().read_end.get()));
    *ours = std::move(pipe.value().read_end);
    ends.theirs.push_back(std::move(pipe.value().write_end));
  }
  if (channel) {
    auto pair = os::make_socket_pair(SOCK_STREAM);
    if (pair.has_error()) return std::move(pair).error();
    MAYFLY_TRY(os::set_nonblocking(pair.value().first.get()));
    ends.channel = std::move(pair.value().first);
    ends.theirs.push_back(std::move(pair.value().second));
  }
  if (stdin_pipe) {
    auto pipe = os::make_pipe();
    if (pipe.has_error()) return std::move(pipe).error();
    MAYFLY_TRY(os::set_nonblocking(pipe.value().write_end.get()));
    ends.stdin_fd = std::move(pipe.value().write_end);
    ends.theirs.push_back(std::move(pipe.value().read_end));
  }
  return ends;
}

wire::SpawnerMount to_message(const Mount& mount) {
  return {mount.host_path, mount.sandbox_path, mount.writable};
}

wire::SpawnerLaunch to_message(const LaunchSpec& spec, std::uint64_t handle) {
  wire::SpawnerLaunch message;
  message.handle = handle;
  message.id = spec.id;
  message.argv = spec.argv;
  message.env = spec.env;
  message.cwd = spec.cwd;
  message.rootfs = spec.rootfs;
  for (const auto& mount : spec.mounts) message.mounts.push_back(to_message(mount));
  message.memory_bytes = spec.limits.memory_bytes;
  message.cpu_millis = spec.limits.cpu_millis;
  message.pids_max = spec.limits.pids_max;
  message.tmp_bytes = spec.limits.tmp_bytes;
  message.files_max = spec.limits.files_max;
  message.nat = spec.network == Network::nat;
  message.listen_ports = spec.listen_ports;
  message.services = spec.services;
  message.channel = spec.channel;
  message.stdin_pipe = spec.stdin_pipe;
  message.cloneable = spec.cloneable;
  if (spec.cloneable) message.env.push_back(kTemplateVariable);
  // Who starts something else in front of the runtime has not thought of the zygote.
  if (spec.zygote && spec.zygote->argv == spec.argv) {
    auto& zygote = message.zygote.emplace_back();
    zygote.argv = spec.zygote->argv;
    zygote.env = spec.zygote->env;
    for (const auto& mount : spec.zygote->mounts) zygote.mounts.push_back(to_message(mount));
  }
  return message;
}

// Sends the request of a record and waits for its sandbox.
Task<Result<std::unique_ptr<Sandbox>>> await_sandbox(std::shared_ptr<Channel> channel,
                                                     std::shared_ptr<Record> record,
                                                     wire::SpawnerMessage message, Ends ends) {
  Launching launching(channel, record);
  auto sent = channel->request(message, std::move(ends.theirs));
  if (sent.has_error()) {
    channel->forget(record->handle);
    launching.record.reset();
    co_return std::move(sent).error();
  }
  bool answered = co_await record->launched.wait();
  if (!answered) co_return Error{Code::cancelled, "the launch was cancelled", "launch sandbox", 0};
  launching.record.reset();
  if (record->failure) co_return *record->failure;
  std::unique_ptr<Sandbox> sandbox = std::make_unique<SandboxImpl>(channel, record);
  sandbox->channel = std::move(ends.channel);
  sandbox->stdin_fd = std::move(ends.stdin_fd);
  sandbox->stdout_fd = std::move(ends.stdout_fd);
  sandbox->stderr_fd = std::move(ends.stderr_fd);
  co_return std::move(sandbox);
}

Task<Result<std::unique_ptr<Sandbox>>> launch_sandbox(std::shared_ptr<Channel> channel,
                                                      LaunchSpec spec) {
  auto connected = co_await channel->wait_connected();
  if (connected.has_error()) co_return std::move(connected).error();
  auto ends = make_ends(spec.channel, spec.stdin_pipe);
  if (ends.has_error()) co_return std::move(ends).error();
  auto record = channel->add_record(spec.id, spec.limits);
  wire::SpawnerMessage message = to_message(spec, record->handle);
  co_return co_await await_sandbox(channel, record, std::move(message), std::move(ends).value());
}

Task<Result<std::unique_ptr<Sandbox>>> clone_sandbox(std::shared_ptr<Channel> channel,
                                                     std::shared_ptr<Record> from, CloneSpec spec) {
  if (from->exited.is_set()) {
    co_return Error{Code::unavailable, "the template has ended: " + from->exit.reason,
                    "clone sandbox", 0};
  }
  auto ends = make_ends(true, false);
  if (ends.has_error()) co_return std::move(ends).error();
  auto record = channel->add_record(spec.id, spec.limits);
  wire::SpawnerClone clone;
  clone.handle = record->handle;
  clone.from = from->handle;
  clone.id = std::move(spec.id);
  clone.env = std::move(spec.env);
  clone.memory_bytes = spec.limits.memory_bytes;
  clone.cpu_millis = spec.limits.cpu_millis;
  clone.pids_max = spec.limits.pids_max;
  clone.channel = true;
  wire::SpawnerMessage message = std::move(clone);
  co_return co_await await_sandbox(channel, record, std::move(message), std::move(ends).value());
}

class SandboxesImpl final : public Sandboxes {
 public:
  explicit SandboxesImpl(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}
  ~SandboxesImpl() override { channel_->close(); }

  Task<Result<std::unique_ptr<Sandbox>>> launch(LaunchSpec spec) override {
    return launch_sandbox(channel_, std::move(spec));
  }
  const Abilities& abilities() const override { return channel_->shared().abilities; }
  std::size_t running() const override { return channel_->running(); }

 private:
  std::shared_ptr<Channel> channel_;
};

}  // namespace

std::unique_ptr<Sandboxes> make_client(asio::any_io_executor executor,
                                       std::shared_ptr<SharedSpawner> shared) {
  auto channel = std::make_shared<Channel>(std::move(executor), std::move(shared));
  channel->open();
  return std::make_unique<SandboxesImpl>(std::move(channel));
}

}  // namespace mayfly::sandbox
