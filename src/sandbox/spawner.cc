#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "os/ipc.h"
#include "sandbox/client.h"
#include "sandbox/link.h"

namespace mayfly::sandbox {

namespace {

constexpr int kSpawnerFd = 3;
constexpr std::chrono::milliseconds kReadyLimit{30'000}, kEndLimit{15'000};

class SpawnActions {
 public:
  SpawnActions() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~SpawnActions() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnActions(const SpawnActions&) = delete;

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

class SpawnerImpl final : public Spawner {
 public:
  explicit SpawnerImpl(std::shared_ptr<SharedSpawner> shared) : shared_(std::move(shared)) {}
  ~SpawnerImpl() override {
    Link link;
    {
      std::lock_guard lock(shared_->mutex);
      shared_->stopping = true;
      link = std::move(shared_->link);
    }
    end_spawner(link, kEndLimit);
  }
  std::unique_ptr<Sandboxes> client(boost::asio::any_io_executor executor) override {
    return make_client(std::move(executor), shared_);
  }
  int pid() const override {
    std::lock_guard lock(shared_->mutex);
    return shared_->link.pid;
  }

 private:
  std::shared_ptr<SharedSpawner> shared_;
};

}  // namespace

Result<Link> start_spawner(const SpawnerOptions& options) {
  auto pair = os::make_socket_pair(SOCK_SEQPACKET);
  if (pair.has_error()) return std::move(pair).error();
  SpawnActions spawn;
  // Its stdout is nobody's; stderr stays, for what it has to say when it dies.
  ::posix_spawn_file_actions_addopen(&spawn.actions_, 0, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_addopen(&spawn.actions_, 1, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&spawn.actions_, pair.value().second.get(), kSpawnerFd);
  ::posix_spawn_file_actions_addclosefrom_np(&spawn.actions_, kSpawnerFd + 1);
  // A session of its own: Ctrl-C on the server's terminal must not reach it.
  ::posix_spawnattr_setflags(
      &spawn.attributes_,
      static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
  sigset_t all, none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&spawn.attributes_, &all);
  ::posix_spawnattr_setsigmask(&spawn.attributes_, &none);
  std::vector<std::string> words = {options.program, "--state-dir", options.state_dir};
  if (!options.network_nat) words.emplace_back("--no-nat");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* env[] = {path.data(), nullptr};
  Link link;
  int status = ::posix_spawn(&link.pid, options.program.c_str(), &spawn.actions_,
                             &spawn.attributes_, argv.data(), env);
  if (status != 0) return errno_error("start " + options.program, status);
  link.pidfd = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, link.pid, 0)));
  link.socket = std::move(pair.value().first);
  return link;
}

Result<Abilities> read_ready(std::string_view bytes) {
  if (bytes.empty()) {
    return Error{Code::unavailable, "mayfly-spawner ended before it was ready; see its lines above",
                 "start spawner", 0};
  }
  auto message = wire::decode_spawner_message(bytes);
  if (message.has_error()) return std::move(message).error();
  if (auto* failed = std::get_if<wire::SpawnerFailed>(&message.value())) {
    return Error{static_cast<Code>(failed->code), failed->text, failed->step, failed->sys_errno};
  }
  auto* ready = std::get_if<wire::SpawnerReady>(&message.value());
  if (ready == nullptr) {
    return Error{Code::internal, "mayfly-spawner did not say ready first", "start spawner", 0};
  }
  return Abilities{ready->namespaces, ready->cgroup, ready->network_nat, ready->missing};
}

Result<Abilities> await_ready(const Link& link, std::chrono::milliseconds limit) {
  pollfd poll{link.socket.get(), POLLIN, 0};
  int count;
  do {
    count = ::poll(&poll, 1, static_cast<int>(limit.count()));
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    return Error{Code::deadline_exceeded, "mayfly-spawner was not ready in time", "start spawner",
                 0};
  }
  auto received = os::receive_message(link.socket.get(), wire::kSpawnerMessageMax);
  if (received.has_error()) return std::move(received).error();
  return read_ready(received.value().bytes);
}

void end_spawner(Link& link, std::chrono::milliseconds limit) {
  if (link.pid <= 0) return;
  ::shutdown(link.socket.get(), SHUT_RDWR);
  link.socket.reset();
  pollfd poll{link.pidfd.get(), POLLIN, 0};
  int count;
  do {
    count = ::poll(&poll, 1, static_cast<int>(limit.count()));
  } while (count < 0 && errno == EINTR);
  if (count <= 0) ::kill(link.pid, SIGKILL);
  while (::waitpid(link.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  link.pid = 0;
}

Result<std::unique_ptr<Spawner>> Spawner::start(SpawnerOptions options) {
  auto link = start_spawner(options);
  if (link.has_error()) return std::move(link).error();
  auto ready = await_ready(link.value(), kReadyLimit);
  if (ready.has_error()) {
    end_spawner(link.value(), std::chrono::milliseconds(0));
    return std::move(ready).error();
  }
  auto shared = std::make_shared<SharedSpawner>();
  shared->options = std::move(options);
  shared->abilities = std::move(ready).value();
  shared->link = std::move(link).value();
  return std::unique_ptr<Spawner>(std::make_unique<SpawnerImpl>(std::move(shared)));
}

}  // namespace mayfly::sandbox
