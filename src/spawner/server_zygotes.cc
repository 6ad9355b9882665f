// The server's part for zygotes: made behind the first launch that could have used one, renewed now
// and then, ended when nobody uses them. Nothing waits for a zygote: a launch that finds none, or
// whose zygote does not deliver, starts its program by exec.

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "os/ipc.h"
#include "spawner/init_process.h"
#include "spawner/server.h"
#include "spawner/watched.h"
#include "wire/zygote_order.h"

namespace mayfly::spawner {

namespace {

// Programs of one zygote share the layout of their addresses and the seed of their hash tables;
// renewing it is cheap and done behind.
constexpr unsigned kOrdersMax = 64;
constexpr std::int64_t kAgeMs = 3'600'000;
constexpr std::int64_t kUnusedMs = 600'000;
constexpr std::int64_t kBuildMs = 20'000;  // to be ready by
// After one that failed; doubles until one has served.
constexpr std::int64_t kPauseMs = 100, kPauseMsMax = 600'000;
constexpr std::int64_t kWantedMs = 100;  // then an idle moment is not waited for any longer
constexpr int kLookSeconds = 10;
constexpr std::size_t kZygotesMax = 8;
constexpr int kZygoteStraysMs = 5000;

}  // namespace

Zygote* Server::find_zygote(const std::string& key) {
  for (auto& [number, zygote] : zygotes_) {
    if (zygote->key == key && !zygote->ending) return zygote.get();
  }
  return nullptr;
}

// The door by which the instance's program will come. None: `why` says it.
os::Fd Server::ask_zygote(const wire::SpawnerZygote& spec, Instance& instance, std::string& why) {
  if (!host_.privileged) {
    why = "without root there are no zygotes";
    return os::Fd();
  }
  const std::string key = zygote_key(spec);
  Zygote* zygote = find_zygote(key);
  if (zygote == nullptr || !zygote->ready) {
    why = zygote == nullptr ? "there is no zygote yet" : "the zygote is being made";
    if (zygote == nullptr) want_zygote(spec, key);
    if (auto pause = zygote_pauses_.find(key); pause != zygote_pauses_.end()) {
      why = "the last zygote failed: " + pause->second.why;
    }
    return os::Fd();
  }
  auto door = order_program(*zygote, instance);
  if (door.has_error()) {
    why = door.error().describe();
    end_zygote(*zygote, why);
    want_zygote(spec, key);
    return os::Fd();
  }
  instance.zygote = zygote->number;
  zygote->used_ms = monotonic_ms();
  if (++zygote->orders >= kOrdersMax || zygote->used_ms - zygote->born_ms > kAgeMs) {
    // It still sees to what it has been asked for.
    zygote->ending = true;
    ::shutdown(zygote->control.get(), SHUT_WR);
    want_zygote(spec, key);
  }
  return std::move(door).value();
}

void Server::want_zygote(const wire::SpawnerZygote& spec, const std::string& key) {
  if (wanted_zygotes_.empty()) zygotes_wanted_ms_ = monotonic_ms();
  wanted_zygotes_[key] = spec;
  refill_wanted_ = true;
}

// In idle moments. False: there is nothing to do.
bool Server::fill_zygotes() {
  const auto now = monotonic_ms();
  for (auto at = wanted_zygotes_.begin(); at != wanted_zygotes_.end();) {
    auto wanted = *at;
    at = wanted_zygotes_.erase(at);
    const auto pause = zygote_pauses_.find(wanted.first);
    const bool paused = pause != zygote_pauses_.end() && now < pause->second.until_ms;
    if (paused || find_zygote(wanted.first) != nullptr) continue;
    if (zygotes_.size() >= kZygotesMax) end_oldest_zygote();
    auto added = add_zygote(wanted.second, wanted.first);
    if (added.has_error()) note_zygote_failure(wanted.first, added.error().describe());
    return true;
  }
  return false;
}

Status Server::add_zygote(const wire::SpawnerZygote& spec, const std::string& key) {
  auto zygote = std::make_unique<Zygote>();
  zygote->number = next_number_++;
  zygote->key = key;
  auto user = take_user();
  if (user.has_error()) return std::move(user).error();
  zygote->user = user.value();
  auto group = host_.cgroups.create("z" + std::to_string(next_group_++));
  Status started = ok();
  if (group.has_error()) {
    started = std::move(group).error();
  } else {
    zygote->cgroup = std::move(group).value();
    started = start_zygote(host_, spec, *zygote);
  }
  if (started.has_value()) {
    started = watch(zygote->pidfd.get(), tag_of(zygote->number, Watched::death));
    if (started.has_error()) {  // nobody would see it die
      ::kill(zygote->pid, SIGKILL);
      while (::waitpid(zygote->pid, nullptr, __WALL) < 0 && errno == EINTR) {
      }
    }
  }
  if (started.has_error()) {
    release_zygote(*zygote);
    return started;
  }
  ignore(watch(zygote->control.get(), tag_of(zygote->number, Watched::control)),
         "it never becomes ready, and is ended");
  const auto number = zygote->number;
  zygotes_[number] = std::move(zygote);
  time_zygotes();
  return ok();
}

void Server::on_zygote(Zygote& zygote, Watched what) {
  if (what == Watched::death) return on_zygote_death(zygote);
  auto received = os::receive_message(zygote.control.get(), sizeof(InitReport), false);
  if (received.has_error()) return;
  const auto& bytes = received.value().bytes;
  mayfly_zygote_ready ready{};
  InitReport report;
  if (bytes.size() == sizeof ready) {
    std::memcpy(&ready, bytes.data(), sizeof ready);
    zygote.ready = ready.version == MAYFLY_ZYGOTE_VERSION && ready.refused == 0;
    if (ready.refused != 0) zygote.failure = "its programs would share memory that they can write";
    return;
  }
  if (bytes.size() == sizeof report) {  // it has not come to its exec
    std::memcpy(&report, bytes.data(), sizeof report);
    report.step[sizeof report.step - 1] = '\0';
    zygote.failure = errno_error(report.step, report.sys_errno).describe();
  }
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, zygote.control.get(), nullptr);
}

void Server::on_zygote_death(Zygote& zygote) {
  on_zygote(zygote, Watched::control);  // what it has said
  int status = 0;
  if (::waitpid(zygote.pid, &status, WNOHANG | __WALL) == 0) return;
  // What it had forked ends by itself, as a child of this process.
  strays_until_ms_ = monotonic_ms() + kZygoteStraysMs;
  if (!zygote.ending) {
    if (zygote.failure.empty()) zygote.failure = "it ended with " + std::to_string(status);
    note_zygote_failure(zygote.key, zygote.failure);
  }
  for (int fd : {zygote.pidfd.get(), zygote.control.get()}) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
  release_zygote(zygote);
  zygotes_.erase(zygote.number);
  time_zygotes();
}

void Server::note_zygote_failure(const std::string& key, const std::string& why) {
  auto& pause = zygote_pauses_[key];
  pause.why = why;
  pause.length_ms = std::clamp(pause.length_ms * 2, kPauseMs, kPauseMsMax);
  pause.until_ms = monotonic_ms() + pause.length_ms;
}

void Server::release_zygote(Zygote& zygote) {
  users_.erase(zygote.user);
  if (zygote.cgroup.name.empty()) return;
  zygote.cgroup.usage_fds.clear();
  zygote.cgroup.dirs.clear();
  zygote.cgroup.procs.clear();
  ended_groups_.push_back(std::move(zygote.cgroup));
}

void Server::end_zygote(Zygote& zygote, const std::string& why) {
  zygote.ending = true;
  zygote.failure = why;
  ::kill(zygote.pid, SIGKILL);  // a child, not reaped before on_zygote_death
}

void Server::end_oldest_zygote() {
  Zygote* oldest = nullptr;
  for (auto& [number, zygote] : zygotes_) {
    if (!zygote->ending && (oldest == nullptr || zygote->used_ms < oldest->used_ms)) {
      oldest = zygote.get();
    }
  }
  if (oldest != nullptr) end_zygote(*oldest, "there are too many");
}

// When launches follow each other so closely that there is no idle moment.
void Server::fill_overdue_zygotes() {
  if (wanted_zygotes_.empty() || monotonic_ms() - zygotes_wanted_ms_ < kWantedMs) return;
  fill_zygotes();
}

void Server::on_entry(const Instance& instance) {
  auto found = zygotes_.find(instance.zygote);
  if (found != zygotes_.end()) zygote_pauses_.erase(found->second->key);
}

// The zygote did not deliver: whatever is the matter with it, another one is made for the next.
void Server::on_entry_failed(const Instance& instance) {
  auto found = zygotes_.find(instance.zygote);
  if (found != zygotes_.end() && !found->second->ending) {
    note_zygote_failure(found->second->key, instance.no_zygote);
    end_zygote(*found->second, instance.no_zygote);
  }
}

// Has check_zygotes called now and then while there are any.
void Server::time_zygotes() {
  itimerspec tick{};
  if (!zygotes_.empty()) tick.it_value.tv_sec = tick.it_interval.tv_sec = kLookSeconds;
  ::timerfd_settime(zygote_timer_.get(), 0, &tick, nullptr);
}

void Server::check_zygotes() {
  std::uint64_t ticks;
  if (::read(zygote_timer_.get(), &ticks, sizeof ticks) < 0) return;
  const auto now = monotonic_ms();
  for (auto& [number, zygote] : zygotes_) {
    if (zygote->ending) {
      if (now - zygote->used_ms > kBuildMs) ::kill(zygote->pid, SIGKILL);
    } else if (!zygote->ready && now - zygote->born_ms > kBuildMs) {
      note_zygote_failure(zygote->key, "it has not become ready in time");
      end_zygote(*zygote, "it has not become ready in time");
    } else if (now - zygote->used_ms > kUnusedMs) {
      end_zygote(*zygote, "nobody uses it");
    }
  }
}

}  // namespace mayfly::spawner
