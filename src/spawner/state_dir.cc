#include "spawner/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <sstream>

#include "os/cgroup.h"
#include "os/files.h"

namespace mayfly::spawner {

namespace {

constexpr uid_t kUsersBase = 0x70000000;
constexpr uid_t kBlocks = 4095;
constexpr int kLockTries = 500, kTryMs = 10, kCleanMs = 5000;

std::uint64_t hash(const std::string& text) {
  std::uint64_t value = 14695981039346656037ull;  // FNV-1a
  for (unsigned char byte : text) value = (value ^ byte) * 1099511628211ull;
  return value;
}

void pause_ms(int ms) {
  timespec time{0, ms * 1'000'000L};
  ::nanosleep(&time, nullptr);
}

// Kills every process whose real user lies in the range; true when there was one.
bool kill_users(uid_t first, uid_t end) {
  bool found = false;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/proc"), &::closedir);
  if (!dir) return false;
  while (dirent* entry = ::readdir(dir.get())) {
    auto pid = os::parse_number(entry->d_name);
    if (!pid) continue;
    auto status = os::read_file("/proc/" + std::string(entry->d_name) + "/status");
    if (status.has_error()) continue;
    auto user = os::find_number(status.value(), "Uid");
    if (!user || *user < first || *user >= end) continue;
    auto state = status.value().find("\nState:\tZ");
    if (state != std::string::npos) continue;
    found = true;
    ::kill(static_cast<pid_t>(*pid), SIGKILL);
  }
  return found;
}

}  // namespace

Result<StateDir> StateDir::lock(const std::string& path) {
  MAYFLY_TRY(os::make_directories(path, 0700));
  std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &::free);
  if (!real) return errno_error("open state directory " + path, errno);
  StateDir dir;
  dir.path_ = real.get();
  auto lock = os::open_file(dir.path_ + "/lock", O_RDWR | O_CREAT);
  if (lock.has_error()) return std::move(lock).error();
  dir.lock_ = std::move(lock).value();
  for (int i = 0; ::flock(dir.lock_.get(), LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK) return errno_error("lock " + dir.path_, errno);
    if (i == kLockTries) {
      return Error{Code::conflict,
                   "another mayfly-spawner uses " + dir.path_ +
                       "; stop that server, or give this one another --data directory",
                   "lock state directory", EWOULDBLOCK};
    }
    pause_ms(kTryMs);
  }
  return dir;
}

std::string StateDir::tag() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "mayfly-";
  for (std::uint64_t value = hash(path_), i = 0; i < 12; ++i, value >>= 4) {
    text.push_back(kDigits[value & 15]);
  }
  return text;
}

uid_t StateDir::first_user() const {
  return kUsersBase + static_cast<uid_t>(hash(path_) % kBlocks) * kUsersMax;
}

void StateDir::remove_leftovers(bool own_users) const {
  auto record = os::read_file(path_ + "/cgroups");
  if (record.has_value()) {
    std::istringstream lines(record.value());
    for (std::string folder; std::getline(lines, folder);) {
      // Only what looks like ours: the record is trusted, but a wrong kill is for ever.
      if (folder.ends_with("/" + tag())) os::destroy_cgroup_folder(folder, kCleanMs);
    }
  }
  if (own_users) {
    for (int i = 0; i < kLockTries && kill_users(first_user(), first_user() + kUsersMax); ++i) {
      pause_ms(kTryMs);
    }
  }
}

Status StateDir::record(const std::vector<std::string>& cgroup_folders) const {
  std::string text;
  for (const auto& folder : cgroup_folders) text += folder + "\n";
  std::string temporary = path_ + "/cgroups.new";
  {
    auto file = os::open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.has_error()) return std::move(file).error();
    if (::write(file.value().get(), text.data(), text.size()) !=
        static_cast<ssize_t>(text.size())) {
      return errno_error("write " + temporary, errno);
    }
  }
  if (::rename(temporary.c_str(), (path_ + "/cgroups").c_str()) != 0) {
    return errno_error("write " + path_ + "/cgroups", errno);
  }
  return ok();
}

void StateDir::clear_record() const {
  ::unlink((path_ + "/cgroups").c_str());
  ::rmdir((path_ + "/root").c_str());
}

}  // namespace mayfly::spawner
