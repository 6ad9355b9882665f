#include "spawner/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <variant>

#include "os/files.h"
#include "os/ipc.h"
#include "os/time_slice.h"
#include "spawner/init_process.h"
#include "spawner/watched.h"

namespace mayfly::spawner {

namespace {

constexpr std::uint64_t kEngineTag = 1, kAddressesTag = 2, kSlirpTag = 3, kTimerTag = 4;
constexpr int kCheckMs = 50;  // how often time limits are looked at while there are any
constexpr std::size_t kNatReady = 4, kPlainReady = 2;
constexpr int kTryOutMs = 10'000;
constexpr int kFillAfterMs = 2;  // of quiet: a launch under way comes first
constexpr int kUnderWayMs = 20;  // refills wait so long for a clone; one that takes longer is stuck
constexpr int kPrepareMs = 10'000;  // an init that has not prepared its sandbox by then is stuck
constexpr int kRefillPauseMs = 100, kRefillPauseMaxMs = 10'000;  // after a failure, doubling
constexpr int kSweepMs = 10, kEndTries = 1000;
constexpr int kEventsMax = 32;

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

Server::Server(StateDir state, Host host, os::Fd engine)
    : state_(std::move(state)),
      host_(std::move(host)),
      engine_(std::move(engine)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      zygote_timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {}

Status Server::watch(int fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return errno_error("watch descriptor", errno);
  }
  return ok();
}

// Closing alone would not do: a child that was forked meanwhile has a copy until it closes its own,
// and as long the end of a process would wake every wait.
void Server::forget(const Instance& instance) {
  for (int fd : {instance.pidfd.get(), instance.control.get(),
                 instance.family ? instance.family->orders.get() : -1}) {
    if (fd >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

Status Server::try_out() {
  auto added = add_instance(host_.networks->nat_available());
  if (added.has_error()) return std::move(added).error();
  Instance& instance = *added.value();
  pollfd poll{instance.control.get(), POLLIN, 0};
  ::poll(&poll, 1, kTryOutMs);
  on_control(instance);
  if (instance.prepared) return ok();
  Error error = instance.failed
                    ? instance.failure
                    : Error{Code::unsupported, "the first one died at once", "prepare sandbox", 0};
  error.message += "; this machine or its container does not allow what a sandbox needs";
  send_signal(instance, SIGKILL);
  ::waitpid(instance.pid, nullptr, 0);
  release(instance);
  instances_.clear();
  ready_.clear();
  end();
  return error;
}

void Server::run() {
  if (watch(engine_.get(), kEngineTag).has_error()) return end();
  ignore(watch(zygote_timer_.get(), kTimerTag), "zygotes stay longer");
  if (host_.networks->nat_available()) {
    ignore(watch(host_.networks->watch_fd(), kAddressesTag), "the filter stays as it is");
    ignore(watch(host_.networks->slirp_pidfd(), kSlirpTag), "no restart of slirp4netns");
  }
  while (!stopping_) {
    bool timed = !timed_.empty() || strays_until_ms_ != 0;
    int timeout = idle_after();
    if (timeout < 0 && timed) timeout = kCheckMs;
    wait_for_events(timeout);
    fill_overdue_zygotes();
    if (timed && monotonic_ms() - checked_ms_ >= kCheckMs) check_deadlines();
  }
  end();
}

// Milliseconds of quiet after which idle() has something to do; -1: it has nothing.
int Server::idle_after() const {
  if (preparing_) return -1;
  int after = ended_groups_.empty() ? -1 : kSweepMs;
  if (!refill_wanted_) return after;
  if (shells_owed_ || refill_at_ms_ == 0) return kFillAfterMs;
  auto pause = static_cast<int>(std::max<std::int64_t>(refill_at_ms_ - monotonic_ms(), 0));
  return after < 0 ? pause + 1 : std::min(after, pause + 1);
}

void Server::wait_for_events(int timeout_ms) {
  std::array<epoll_event, kEventsMax> events;
  int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, timeout_ms);
  for (int i = 0; i < count; ++i) {
    std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
    if (tag == kEngineTag) {
      if (!stopping_) on_engine();
    } else if (tag == kAddressesTag) {
      host_.networks->host_addresses_changed();
    } else if (tag == kSlirpTag) {
      on_slirp_death();
    } else if (tag == kTimerTag) {
      check_zygotes();
    } else if (auto found = instances_.find(tag >> kTagBits); found != instances_.end()) {
      Instance& instance = *found->second;
      switch (watched_of(tag)) {
        case Watched::control:
          on_control(instance);
          break;
        case Watched::death:
          on_death(instance);
          break;
        case Watched::orders:
          on_orders(instance);
          break;
      }
    } else if (auto zygote = zygotes_.find(tag >> kTagBits); zygote != zygotes_.end()) {
      on_zygote(*zygote->second, watched_of(tag));
    }
  }
  if (count <= 0) idle();
}

// In idle moments, and never both at once: whoever joins a cgroup holds, for as long as a grace
// period of RCU takes, the lock that making and removing one needs.
void Server::idle() {
  if (preparing_ || stopping_ || clone_under_way()) return;
  sweep_cgroups();
  if (!refill_wanted_ || fill_zygotes()) return;
  if (monotonic_ms() >= refill_at_ms_ && fill_pool()) return;
  shells_owed_ = fill_shells();
  refill_wanted_ = shells_owed_ || refill_at_ms_ != 0;
}

// Somebody waits for it, and for this process to pass on that it is inside: a refill would take
// milliseconds of both, and hold the locks of cgroups and networks meanwhile.
bool Server::clone_under_way() const {
  const auto since = monotonic_ms() - kUnderWayMs;
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [since](const auto& entry) { return entry.second > since; });
}

// True when one is on its way.
bool Server::fill_pool() {
  std::size_t nat = 0, plain = 0;
  for (auto number : ready_) (instances_.at(number)->network.nat ? nat : plain) += 1;
  bool nat_short = host_.networks->nat_available() && nat < kNatReady;
  refill_at_ms_ = 0;
  if (!nat_short && plain >= kPlainReady) return false;
  if (add_instance(nat_short).has_value()) return true;
  put_off_refill();
  return false;
}

// What stopped one may stop the next, or may have passed: tried again, ever more seldom.
void Server::put_off_refill() {
  refill_pause_ms_ = std::clamp(refill_pause_ms_ * 2, kRefillPauseMs, kRefillPauseMaxMs);
  refill_at_ms_ = monotonic_ms() + refill_pause_ms_;
  refill_wanted_ = true;
}

Result<Instance*> Server::add_instance(bool nat) {
  auto user = take_user();
  if (user.has_error()) return std::move(user).error();
  auto instance = std::make_unique<Instance>();
  instance->number = next_number_++;
  instance->user = user.value();
  auto group = host_.cgroups.create("s" + std::to_string(next_group_++));
  Status prepared = ok();
  if (group.has_error()) {
    prepared = std::move(group).error();
  } else {
    instance->cgroup = std::move(group).value();
    prepared = prepare(host_, nat, *instance);
  }
  if (prepared.has_error()) {
    release(*instance);
    return std::move(prepared).error();
  }
  auto adopted = adopt(std::move(instance));
  if (adopted.has_error()) return adopted;
  preparing_ = true;
  adopted.value()->deadline_ms = monotonic_ms() + kPrepareMs;
  timed_.insert(adopted.value()->number);
  ready_.push_back(adopted.value()->number);
  return adopted;
}

// Takes an instance whose init runs among those that are watched.
Result<Instance*> Server::adopt(std::unique_ptr<Instance> instance) {
  auto number = instance->number;
  auto watched = watch(instance->pidfd.get(), tag_of(number, Watched::death));
  if (watched.has_error()) {  // nobody would see it die
    send_signal(*instance, SIGKILL);
    while (::waitpid(instance->pid, nullptr, __WALL) < 0 && errno == EINTR) {
    }
    release(*instance);
    return std::move(watched).error();
  }
  Instance& kept = *(instances_[number] = std::move(instance));
  if (watch(kept.control.get(), tag_of(number, Watched::control)).has_error()) {
    send_signal(kept, SIGKILL);
  }
  return &kept;
}

// One that is prepared, else one that is about to be, else a new one: the launch waits in its
// socket.
Result<Instance*> Server::take_ready(bool nat) {
  nat = nat && host_.networks->nat_available();
  refill_wanted_ = true;
  Instance* found = nullptr;
  for (auto number : ready_) {
    Instance& instance = *instances_.at(number);
    if (instance.network.nat != nat || instance.failed) continue;
    if (found == nullptr || (instance.prepared && !found->prepared)) found = &instance;
  }
  if (found != nullptr) return found;
  return add_instance(nat);
}

void Server::drop_ready(std::uint64_t number) {
  auto at = std::find(ready_.begin(), ready_.end(), number);
  if (at == ready_.end()) return;
  ready_.erase(at);
  refill_wanted_ = true;
}

void Server::sweep_cgroups() {
  for (std::size_t i = ended_groups_.size(); i > 0; --i) {
    os::Cgroup group = std::move(ended_groups_.front());
    ended_groups_.pop_front();
    if (!host_.cgroups.remove(group)) ended_groups_.push_back(std::move(group));
  }
}

void Server::on_engine() {
  auto received = os::receive_message(engine_.get(), wire::kSpawnerMessageMax);
  if (received.has_error() && received.error().code == Code::corrupt) {
    return send_failure(0, 0, received.error());
  }
  if (received.has_error() || received.value().bytes.empty()) {
    stopping_ = true;  // the engine is gone
    return;
  }
  auto message = wire::decode_spawner_message(received.value().bytes);
  if (message.has_error()) return send_failure(0, 0, message.error());
  if (auto* request = std::get_if<wire::SpawnerLaunch>(&message.value())) {
    on_launch(std::move(*request), std::move(received.value().fds));
  } else if (auto* signal = std::get_if<wire::SpawnerSignal>(&message.value())) {
    on_signal(*signal);
  } else if (auto* sockets = std::get_if<wire::SpawnerSockets>(&message.value())) {
    on_sockets(*sockets);
  } else if (auto* clone = std::get_if<wire::SpawnerClone>(&message.value())) {
    on_clone(std::move(*clone), std::move(received.value().fds));
  } else if (auto* shells = std::get_if<wire::SpawnerShells>(&message.value())) {
    on_shells(*shells);
  } else if (auto* share = std::get_if<wire::SpawnerShare>(&message.value())) {
    on_share(*share);
  }
}

Result<uid_t> Server::take_user() {
  if (!host_.privileged) return ::getuid();
  for (uid_t tries = 0; tries < kUsersMax; ++tries) {
    uid_t user = host_.first_user + next_user_++ % kUsersMax;
    if (users_.insert(user).second) return user;
  }
  return Error{Code::resource_exhausted, "all users for sandboxes are taken", "choose user", 0};
}

void Server::on_launch(wire::SpawnerLaunch request, std::vector<os::Fd> fds) {
  auto checked = check_launch(request, fds.size());
  if (checked.has_error()) return send_failure(request.handle, 0, checked.error());
  auto taken = take_ready(request.nat);
  if (taken.has_error()) return send_failure(request.handle, 0, taken.error());
  Instance& instance = *taken.value();
  os::Fd door;
  instance.no_zygote.clear();
  if (!request.zygote.empty()) door = ask_zygote(request.zygote[0], instance, instance.no_zygote);
  if (!door) request.zygote.clear();
  auto started = start(host_, request, fds, door, instance);
  // Still as good as new for the next one.
  if (started.has_error()) return send_failure(request.handle, 0, started.error());
  drop_ready(instance.number);
  instance.assigned = true;
  instance.handle = request.handle;
  numbers_[instance.handle] = instance.number;
  if (instance.family) {
    int orders = instance.family->orders.get();
    ignore(watch(orders, tag_of(instance.number, Watched::orders)), "only refusals come by it");
  }
}

void Server::on_control(Instance& instance) {
  InitReport report;
  auto received = os::receive_message(instance.control.get(), sizeof report, false);
  if (received.has_error()) return;
  if (received.value().bytes.size() != sizeof report) {
    // End of file: init is dying, which its pidfd tells.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, instance.control.get(), nullptr);
    return;
  }
  std::memcpy(&report, received.value().bytes.data(), sizeof report);
  switch (report.kind) {
    case InitReport::prepared:
      on_prepared(instance, std::move(received.value().fds));
      break;
    case InitReport::started:
      instance.process_usage = std::move(received.value().fds);
      instance.from_zygote = report.from_zygote != 0;
      if (instance.from_zygote) on_entry(instance);
      report.step[sizeof report.step - 1] = '\0';
      if (report.step[0] != '\0') {
        instance.no_zygote = report.step;
        on_entry_failed(instance);
      }
      report_started(instance);
      break;
    case InitReport::failed:
      report.step[sizeof report.step - 1] = '\0';
      instance.failed = true;
      instance.failure = errno_error(report.step, report.sys_errno);
      // The program or its folder is not there: the function's fault, not this machine's.
      if (instance.assigned && (std::string_view(report.step).starts_with("exec ") ||
                                std::string_view(report.step).starts_with("enter "))) {
        instance.failure.code = Code::function_error;
      }
      if (instance.parent != 0) {
        instance.failure.code = Code::unavailable;
        kill_shell(instance);
      }
      break;
    case InitReport::ended:
      instance.ended = true;
      instance.wait_status = report.wait_status;
      if (instance.parent != 0) kill_shell(instance);
      if (instance.family) on_program_end(instance);
      break;
  }
}

void Server::report_started(Instance& instance) {
  instance.started = true;
  under_way_.erase(instance.number);
  wire::SpawnerLaunched launched;
  launched.handle = instance.handle;
  launched.pid = instance.pid;
  launched.usage_kind = static_cast<std::uint8_t>(host_.cgroups.kind());
  const auto* usage = &instance.cgroup.usage_fds;
  std::vector<os::Fd> process_usage;
  if (!instance.process_usage.empty()) {
    usage = &instance.process_usage;
  } else if (host_.cgroups.kind() == os::UsageKind::process) {
    std::string init = std::to_string(instance.pid);
    auto children = os::read_file("/proc/" + init + "/task/" + init + "/children");
    auto main = children.has_value() ? os::parse_number(children.value()) : std::nullopt;
    process_usage = os::open_process_usage(main ? static_cast<int>(*main) : instance.pid);
    usage = &process_usage;
  }
  std::vector<int> fds;
  for (const auto& fd : *usage) fds.push_back(fd.get());
  for (const auto& fd : instance.listeners) fds.push_back(fd.get());
  if (instance.services) fds.push_back(instance.services.get());
  launched.usage_fds = static_cast<std::uint8_t>(usage->size());
  launched.listeners = static_cast<std::uint8_t>(instance.listeners.size());
  launched.services = instance.services.valid();
  launched.from_zygote = instance.from_zygote;
  launched.no_zygote = instance.no_zygote;
  send(launched, fds);
  instance.listeners.clear();
  instance.services.reset();
  instance.process_usage.clear();
  instance.deadline_ms = 0;
}

void Server::on_death(Instance& instance) {
  // First what init said before it died: the status of the program is in there.
  for (int i = 0; i < 3; ++i) on_control(instance);
  int status = 0;
  rusage resources{};
  pid_t reaped;
  do {
    reaped = ::wait4(instance.pid, &status, WNOHANG, &resources);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == 0) return;
  timed_.erase(instance.number);
  under_way_.erase(instance.number);
  if (!instance.ended) instance.wait_status = status;
  auto usage = os::read_usage(host_.cgroups.kind(), instance.cgroup.usage_fds);
  if (host_.cgroups.kind() == os::UsageKind::process) {
    usage.cpu_us = microseconds(resources.ru_utime) + microseconds(resources.ru_stime);
    usage.memory_peak_bytes = static_cast<std::uint64_t>(resources.ru_maxrss) * 1024;
  }
  // Before the report: who is told of the end finds its folder its own again.
  take_back(instance);
  if (!instance.prepared && instance.parent == 0) {
    preparing_ = false;
    put_off_refill();
  }
  if (instance.family) {
    fail_waiting(instance, Error{Code::unavailable, "the template has ended", "clone sandbox", 0});
  }
  if (instance.assigned) report_end(instance, usage);
  drop_ready(instance.number);
  forget(instance);
  release(instance);
  auto dead = std::move(instances_.at(instance.number));
  instances_.erase(dead->number);
  if (dead->parent != 0) forget_shell(*dead);
}

void Server::report_end(Instance& instance, const os::UsageReading& usage) {
  if (std::exchange(instance.told, true)) return;
  numbers_.erase(instance.handle);
  if (!instance.started) {
    Error error = instance.failed
                      ? instance.failure
                      : Error{Code::io_error,
                              usage.oom_kills > 0 ? "out of memory before the program started; its "
                                                    "memory limit is too small"
                                                  : "killed before the program started",
                              "start sandbox", 0};
    if (instance.parent != 0) error.code = Code::unavailable;  // for the engine: take another way
    return send_failure(instance.handle, 0, error);
  }
  wire::SpawnerExited exited;
  exited.handle = instance.handle;
  exited.signalled = WIFSIGNALED(instance.wait_status);
  exited.status =
      exited.signalled ? WTERMSIG(instance.wait_status) : WEXITSTATUS(instance.wait_status);
  exited.cpu_us = usage.cpu_us;
  exited.memory_peak_bytes = usage.memory_peak_bytes;
  exited.oom_kills = usage.oom_kills;
  send(exited);
}

void Server::release(Instance& instance) {
  take_back(instance);
  if (instance.parent == 0) users_.erase(instance.user);  // a shell's is its template's
  instance.network = NetworkSpace();
  instance.listeners.clear();
  if (instance.cgroup.name.empty()) return;
  instance.cgroup.usage_fds.clear();
  instance.cgroup.dirs.clear();
  instance.cgroup.procs.clear();
  ended_groups_.push_back(std::move(instance.cgroup));
}

void Server::on_signal(const wire::SpawnerSignal& request) {
  auto number = numbers_.find(request.handle);
  if (number == numbers_.end()) return;
  Instance& instance = *instances_.at(number->second);
  if (request.kind == wire::SpawnerSignalKind::terminate) return send_signal(instance, SIGTERM);
  if (instance.parent != 0) return kill_shell(instance);
  if (instance.family) return end_template(instance);
  send_signal(instance, SIGKILL);
}

void Server::on_share(const wire::SpawnerShare& request) {
  auto number = numbers_.find(request.handle);
  if (number == numbers_.end() || request.cpu_millis == 0) return;
  const os::Cgroup& group = instances_.at(number->second)->cgroup;
  ignore(host_.cgroups.set_cpu_share(group, request.cpu_millis),
         "it runs on with the share that it has");
  const auto slice = request.at_once ? os::kAwaitedSlice : std::chrono::microseconds(0);
  for (const int thread : host_.cgroups.threads_of(group))
    ignore(os::set_time_slice(thread, slice), "it has just ended");
}

void Server::on_sockets(const wire::SpawnerSockets& request) {
  auto number = numbers_.find(request.handle);
  if (number == numbers_.end()) {
    return send_failure(request.handle, request.request,
                        Error{Code::unavailable, "the sandbox has ended", "make socket", ESRCH});
  }
  int count = std::min<int>(std::max<int>(request.count, 1), 16);
  auto sockets = host_.networks->make_sockets(instances_.at(number->second)->network, count);
  if (sockets.has_error()) return send_failure(request.handle, request.request, sockets.error());
  std::vector<int> fds;
  for (const auto& socket : sockets.value()) fds.push_back(socket.get());
  send(wire::SpawnerSocketsReady{request.request}, fds);
}

void Server::on_slirp_death() {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, host_.networks->slirp_pidfd(), nullptr);
  if (host_.networks->restart_slirp()) {
    ignore(watch(host_.networks->slirp_pidfd(), kSlirpTag), "no further restart");
  }
}

void Server::send_failure(std::uint64_t handle, std::uint64_t request, const Error& error) {
  wire::SpawnerFailed failed;
  failed.handle = handle;
  failed.request = request;
  failed.step = error.step;
  failed.sys_errno = error.sys_errno;
  failed.text = error.message;
  failed.code = static_cast<std::uint16_t>(error.code);
  send(failed);
}

void Server::send(const wire::SpawnerMessage& message, const std::vector<int>& fds) {
  auto sent = os::send_message(engine_.get(), wire::encode_spawner_message(message), fds);
  if (sent.has_error() && sent.error().sys_errno == EPIPE) stopping_ = true;
}

void Server::end() {
  // Its end-of-file would wake every wait below at once.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, engine_.get(), nullptr);
  for (auto& [number, instance] : instances_) send_signal(*instance, SIGKILL);
  for (auto& [number, zygote] : zygotes_) ::kill(zygote->pid, SIGKILL);
  // By the clock: events may come one after the other while those that are killed wait for a core.
  auto until = monotonic_ms() + kSweepMs * kEndTries;
  while ((!instances_.empty() || !zygotes_.empty()) && monotonic_ms() < until) {
    wait_for_events(kSweepMs);
    reap_strays();
  }
  for (int i = 0; !ended_groups_.empty() && i < kEndTries; ++i) {
    sweep_cgroups();
    if (!ended_groups_.empty()) ::usleep(kSweepMs * 1000);
  }
  host_.networks.reset();
  host_.cgroups.close();
  host_.skeleton.close();
  state_.clear_record();
}

}  // namespace mayfly::spawner
