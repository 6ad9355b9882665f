// The server's part for templates: shells made ahead of need, orders sent, and every way in which a
// family can end. Nothing here waits for a template: its socket does not block, and whatever it
// owes has a time limit, after which its program, and then its whole family, is killed.

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "spawner/init_process.h"
#include "spawner/server.h"
#include "spawner/shell.h"
#include "spawner/watched.h"
#include "wire/clone_order.h"

namespace mayfly::spawner {

namespace {

constexpr int kEnterMs = 2000;   // from the order to the report that the clone is inside
constexpr int kWaitMs = 10'000;  // for a shell
constexpr int kStraysMs = 5000;
// Before the template's program is killed, so that its init reaps; and before the whole family is.
// Long enough for a machine with ten times the work that it can do: clones that only wait for a
// core are innocent, and so are their siblings.
constexpr int kDyingMs = 6000, kDyingFamilyMs = 12'000;
constexpr unsigned kShellsMax = 64, kAtOnce = 4, kFailuresMax = 3;
// What the kernel keeps for one clone: page tables, stacks, mappings. A Python hello has 150 KB.
constexpr std::uint64_t kKeptForClone = 1 << 20;
constexpr std::size_t kRoomStep = 32;

Error gone() {
  return Error{Code::unavailable, "the template has ended", "clone sandbox", 0};
}

}  // namespace

Instance* Server::parent_of(const Instance& shell) {
  auto found = instances_.find(shell.parent);
  return found == instances_.end() ? nullptr : found->second.get();
}

Instance* Server::template_of(std::uint64_t handle) {
  auto number = numbers_.find(handle);
  if (number == numbers_.end()) return nullptr;
  Instance& instance = *instances_.at(number->second);
  return instance.family && instance.started && !instance.family->ended ? &instance : nullptr;
}

void Server::on_shells(const wire::SpawnerShells& request) {
  auto number = numbers_.find(request.handle);
  if (number == numbers_.end()) return;
  Instance& parent = *instances_.at(number->second);
  if (!parent.family) return;
  Family& family = *parent.family;
  family.wanted = std::min<unsigned>(request.count, kShellsMax);
  family.failures = 0;
  while (family.ready.size() > family.wanted) {
    kill_shell(*instances_.at(family.ready.back()));
    family.ready.pop_back();
  }
  refill_wanted_ = true;
}

void Server::on_clone(wire::SpawnerClone message, std::vector<os::Fd> fds) {
  CloneRequest request{std::move(message), std::move(fds), monotonic_ms() + kWaitMs};
  auto checked = check_clone(request);
  if (checked.has_error()) return send_failure(request.message.handle, 0, checked.error());
  Instance* parent = template_of(request.message.from);
  if (parent == nullptr) return send_failure(request.message.handle, 0, gone());
  parent->family->waiting.push_back(std::move(request));
  timed_.insert(parent->number);
  serve_waiting(*parent);
}

// Gives shells to those who wait, and has more made when there are not enough.
void Server::serve_waiting(Instance& parent) {
  Family& family = *parent.family;
  while (!family.waiting.empty() && !family.ready.empty() && !family.ended) {
    Instance& shell = *instances_.at(family.ready.front());
    CloneRequest request = std::move(family.waiting.front());
    family.waiting.pop_front();
    auto sent = send_clone_order(host_, parent, shell, request);
    if (sent.has_error()) {
      send_failure(request.message.handle, 0, sent.error());
      continue;
    }
    family.ready.pop_front();
    ++family.sent;
    shell.assigned = true;
    shell.handle = request.message.handle;
    const auto now = monotonic_ms();
    shell.deadline_ms = now + kEnterMs;
    under_way_[shell.number] = now;
    numbers_[shell.handle] = shell.number;
    timed_.insert(shell.number);
    refill_wanted_ = true;
  }
  while (family.preparing < std::min<std::size_t>(family.waiting.size(), kAtOnce)) {
    auto added = add_shell(parent);
    if (added.has_error()) return fail_waiting(parent, added.error());
  }
}

// The kernel charges what it keeps for a clone to who has forked it, as long as the clone lives:
// many of them must not fill the template's cgroup.
void Server::make_room(const Instance& parent) {
  Family& family = *parent.family;
  if (family.members.size() < family.room || family.launch.memory_bytes == 0) return;
  family.room = std::max(kRoomStep, family.members.size() * 2);
  os::CgroupLimits limits;
  limits.memory_bytes = family.launch.memory_bytes + family.room * kKeptForClone;
  ignore(host_.cgroups.set_limits(parent.cgroup, limits), "clones may fail, and say so");
}

Status Server::add_shell(Instance& parent) {
  make_room(parent);
  auto shell = std::make_unique<Instance>();
  shell->number = next_number_++;
  shell->user = parent.user;
  shell->parent = parent.number;
  auto group = host_.cgroups.create("s" + std::to_string(next_group_++));
  if (group.has_error()) return std::move(group).error();
  shell->cgroup = std::move(group).value();
  auto prepared = prepare_shell(host_, parent, *shell);
  if (prepared.has_error()) {
    strays_until_ms_ = monotonic_ms() + kStraysMs;
    timed_.insert(parent.number);
    release(*shell);
    return prepared;
  }
  auto adopted = adopt(std::move(shell));
  if (adopted.has_error()) return std::move(adopted).error();
  parent.family->members.insert(adopted.value()->number);
  ++parent.family->preparing;
  return ok();
}

void Server::on_prepared(Instance& instance, std::vector<os::Fd> fds) {
  if (instance.parent == 0) {
    instance.prepared = true;
    instance.deadline_ms = 0;
    timed_.erase(instance.number);
    preparing_ = false;
    refill_pause_ms_ = 0;
    return;
  }
  Instance* parent = parent_of(instance);
  if (instance.prepared || parent == nullptr) return;
  Family& family = *parent->family;
  instance.prepared = true;
  --family.preparing;
  if (family.ended) return kill_shell(instance);
  auto finished = finish_shell(host_, *parent, instance, std::move(fds));
  if (finished.has_error()) {
    instance.failure = finished.error();
    ++family.failures;
    kill_shell(instance);
    return fail_waiting(*parent, instance.failure);
  }
  family.failures = 0;
  family.ready.push_back(instance.number);
  serve_waiting(*parent);
}

// In idle moments. False when there is nothing to do, or one is on its way already, whose report
// leads here again.
bool Server::fill_shells() {
  for (auto& [number, instance] : instances_) {
    if (!instance->family || !instance->started || instance->family->ended) continue;
    Family& family = *instance->family;
    if (family.ready.size() + family.preparing >= family.wanted) continue;
    if (family.failures >= kFailuresMax) continue;
    if (family.preparing > 0) return true;
    if (add_shell(*instance).has_value()) return true;
    ++family.failures;
  }
  return false;
}

// Only refusals come here, at most one for each order. More is a lie, and lies would keep this
// process busy.
void Server::on_orders(Instance& parent) {
  Family& family = *parent.family;
  mayfly_clone_reply reply{};
  ssize_t size = ::recv(family.orders.get(), &reply, sizeof reply, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  bool true_reply = size == sizeof reply && reply.version == MAYFLY_CLONE_VERSION &&
                    ++family.refused <= family.sent;
  if (!true_reply) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, family.orders.get(), nullptr);
    if (size > 0) end_template(parent);
    return;
  }
  auto found = instances_.find(reply.order);
  if (found == instances_.end()) return;  // killed before the template came to it
  Instance& shell = *found->second;
  if (shell.parent != parent.number || !shell.assigned || shell.started || shell.failed) return;
  reply.step[sizeof reply.step - 1] = '\0';
  Error error = errno_error(std::string("clone: ") + reply.step, reply.error);
  error.code = Code::unavailable;
  fail_clone(shell, std::move(error));
}

// Its own death tells the engine.
void Server::fail_clone(Instance& shell, Error error) {
  shell.failed = true;
  shell.failure = std::move(error);
  under_way_.erase(shell.number);
  kill_shell(shell);
}

void Server::kill_shell(Instance& shell) {
  send_signal(shell, SIGKILL);
  shell.deadline_ms = 0;
  if (shell.dying_since_ms != 0) return;
  shell.dying_since_ms = monotonic_ms();
  timed_.insert(shell.number);
  shell.reap_sent = tell_reaper(shell);
}

// Whoever is the parent of the clone's process must reap it before its pid namespace can go.
bool Server::tell_reaper(Instance& shell) {
  Instance* parent = parent_of(shell);
  if (!shell.assigned || parent == nullptr) return true;
  ssize_t sent;
  if (parent->family->ended) {
    char word = static_cast<char>(TemplateWord::reap);
    sent = ::send(parent->control.get(), &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    return false;  // the zombie may come to init only later
  }
  mayfly_clone_message message{};
  message.version = MAYFLY_CLONE_VERSION;
  message.kind = MAYFLY_CLONE_REAP;
  message.order = shell.number;
  sent =
      ::send(parent->family->orders.get(), &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == sizeof message;
}

bool Server::has_clones(const Instance& parent) const {
  const auto& members = parent.family->members;
  return std::any_of(members.begin(), members.end(),
                     [this](auto number) { return instances_.at(number)->assigned; });
}

// Ends the program. Its clones live on, below its init.
void Server::end_template(Instance& parent) {
  if (!parent.started || parent.family->ended || !has_clones(parent)) {
    return send_signal(parent, SIGKILL);
  }
  if (parent.dying_since_ms != 0) return;  // asked already
  parent.dying_since_ms = monotonic_ms();
  timed_.insert(parent.number);
  char word = static_cast<char>(TemplateWord::end);
  if (::send(parent.control.get(), &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
    send_signal(parent, SIGKILL);
  }
}

void Server::on_program_end(Instance& parent) {
  Family& family = *parent.family;
  family.ended = true;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, family.orders.get(), nullptr);
  family.orders.reset();
  fail_waiting(parent, gone());
  for (auto number : family.members) {
    Instance& shell = *instances_.at(number);
    if (!shell.assigned) {
      kill_shell(shell);
    } else if (shell.dying_since_ms != 0) {
      shell.reap_sent = tell_reaper(shell);
    }
  }
  family.ready.clear();
  if (!has_clones(parent)) return send_signal(parent, SIGKILL);
  report_end(parent, os::read_usage(host_.cgroups.kind(), parent.cgroup.usage_fds));
}

void Server::fail_waiting(Instance& parent, const Error& error) {
  auto waiting = std::exchange(parent.family->waiting, {});
  for (const auto& request : waiting) send_failure(request.message.handle, 0, error);
}

void Server::forget_shell(const Instance& shell) {
  Instance* parent = parent_of(shell);
  if (parent == nullptr) return;
  Family& family = *parent->family;
  family.members.erase(shell.number);
  auto at = std::find(family.ready.begin(), family.ready.end(), shell.number);
  if (at != family.ready.end()) family.ready.erase(at);
  if (!shell.prepared) {
    --family.preparing;
    ++family.failures;
    if (family.failures >= kFailuresMax)
      fail_waiting(*parent, shell.failed ? shell.failure : gone());
    if (!family.ended) serve_waiting(*parent);
  }
  refill_wanted_ = true;
  if (family.ended && !has_clones(*parent)) send_signal(*parent, SIGKILL);
}

// A helper that was killed between making an init and telling of it leaves one that only its death
// makes known.
void Server::reap_strays() {
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
    bool known = std::any_of(instances_.begin(), instances_.end(),
                             [&](const auto& entry) { return entry.second->pid == info.si_pid; });
    known = known || std::any_of(zygotes_.begin(), zygotes_.end(), [&](const auto& entry) {
              return entry.second->pid == info.si_pid;
            });
    if (known) return;
    ::waitpid(info.si_pid, nullptr, __WALL);
    info = siginfo_t{};
  }
}

void Server::check_deadlines() {
  checked_ms_ = monotonic_ms();
  if (strays_until_ms_ != 0) reap_strays();
  if (strays_until_ms_ < checked_ms_) strays_until_ms_ = 0;
  auto numbers = timed_;
  for (auto number : numbers) {
    auto found = instances_.find(number);
    if (found == instances_.end()) {
      timed_.erase(number);
    } else {
      check_deadline(*found->second, checked_ms_);
    }
  }
}

void Server::check_deadline(Instance& instance, std::int64_t now) {
  if (instance.parent == 0 && !instance.prepared) return check_preparing(instance, now);
  bool dies = instance.dying_since_ms != 0;  // maybe since this very millisecond
  auto dying = dies ? now - instance.dying_since_ms : 0;
  if (instance.family) {
    auto& waiting = instance.family->waiting;
    while (!waiting.empty() && waiting.front().deadline_ms < now) {
      Error late{Code::unavailable, "no namespaces could be prepared in time", "clone sandbox", 0};
      send_failure(waiting.front().message.handle, 0, late);
      waiting.pop_front();
    }
    if (dying > kDyingMs && !instance.family->ended) send_signal(instance, SIGKILL);
    if (waiting.empty() && (!dies || instance.family->ended)) timed_.erase(instance.number);
    return;
  }
  Instance* parent = parent_of(instance);
  if (parent == nullptr) return;
  if (instance.deadline_ms != 0 && instance.deadline_ms < now) {
    Error late{Code::unavailable, "the template has not made the clone in 2 s", "clone sandbox", 0};
    fail_clone(instance, std::move(late));
    end_template(*parent);
  } else if (dies) {
    if (!instance.reap_sent) instance.reap_sent = tell_reaper(instance);
    if (dying > kDyingFamilyMs) {
      send_signal(*parent, SIGKILL);
    } else if (dying > kDyingMs && !parent->family->ended) {
      end_template(*parent);
    }
  } else if (instance.deadline_ms == 0) {
    timed_.erase(instance.number);
  }
}

void Server::check_preparing(Instance& instance, std::int64_t now) {
  if (instance.deadline_ms == 0 || instance.deadline_ms >= now) return;
  instance.failed = true;
  instance.failure = Error{Code::unavailable, "not done after 10 s", "prepare sandbox", 0};
  send_signal(instance, SIGKILL);
}

}  // namespace mayfly::spawner
