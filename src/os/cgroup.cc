#include "os/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <map>
#include <memory>
#include <sstream>

#include "os/files.h"

namespace mayfly::os {

namespace {

constexpr std::uint32_t kCpuPeriodUs = 100'000;
constexpr int kCloseMs = 2'000;  // for what nobody has told of: begun when a spawner was killed

struct CgroupMount {
  bool v2 = false;
  std::string root;   // the part of the hierarchy that is mounted
  std::string point;  // where
  std::string options;
};

std::vector<CgroupMount> find_mounts(const std::string& mountinfo) {
  std::vector<CgroupMount> mounts;
  auto text = read_file(mountinfo);
  if (text.has_error()) return mounts;
  std::istringstream lines(text.value());
  for (std::string line; std::getline(lines, line);) {
    auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream left(line.substr(0, dash)), right(line.substr(dash + 3));
    std::string id, parent, device, type, source;
    CgroupMount mount;
    left >> id >> parent >> device >> mount.root >> mount.point;
    right >> type >> source >> mount.options;
    if (type != "cgroup" && type != "cgroup2") continue;
    mount.v2 = type == "cgroup2";
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

bool has_option(const std::string& options, const std::string& name) {
  return ("," + options + ",").find("," + name + ",") != std::string::npos;
}

// The caller's own group for each controller; "" is version 2.
std::map<std::string, std::string> own_groups(const std::string& self_cgroup) {
  std::map<std::string, std::string> groups;
  auto text = read_file(self_cgroup);
  if (text.has_error()) return groups;
  std::istringstream lines(text.value());
  for (std::string line; std::getline(lines, line);) {
    auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    std::string path = line.substr(second + 1), name;
    if (second == first + 1) groups[""] = path;
    while (std::getline(names, name, ',')) groups[name] = path;
  }
  return groups;
}

std::string own_folder(const CgroupMount& mount, std::string path) {
  if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
  if (path.find("..") != std::string::npos || path == "/") path.clear();
  return mount.point + path;
}

bool writable_folder(const std::string& folder) {
  return (::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) &&
         ::access(folder.c_str(), W_OK) == 0;
}

// Version 2 forbids processes in a group that has controllers enabled below it. When only this
// program and its parent live in the own group, they move to a leaf; else the root serves.
std::string v2_parent(const CgroupMount& mount, const std::string& own) {
  if (own == mount.point) return own;
  auto procs = read_file(own + "/cgroup.procs");
  if (procs.has_error()) return mount.point;
  std::istringstream lines(procs.value());
  std::vector<std::string> pids;
  for (std::string pid; std::getline(lines, pid);) {
    if (pid != std::to_string(::getpid()) && pid != std::to_string(::getppid())) {
      return mount.point;
    }
    pids.push_back(pid);
  }
  std::string leaf = own + "/mayfly-main";
  if (!writable_folder(leaf)) return mount.point;
  for (const auto& pid : pids) {
    if (write_file(leaf + "/cgroup.procs", pid).has_error()) return mount.point;
  }
  return own;
}

bool enable_v2(const std::string& folder) {
  for (const char* controller : {"+memory", "+pids", "+cpu"}) {
    if (write_file(folder + "/cgroup.subtree_control", controller).has_error()) return false;
  }
  return true;
}

void sleep_ms(int ms) {
  timespec time{ms / 1000, (ms % 1000) * 1'000'000L};
  ::nanosleep(&time, nullptr);
}

std::vector<std::string> subfolders(const std::string& folder) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (!dir) return names;
  while (dirent* entry = ::readdir(dir.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

bool kill_group(const std::string& folder) {
  auto procs = read_file(folder + "/cgroup.procs");
  if (procs.has_error() || procs.value().empty()) return false;
  std::istringstream lines(procs.value());
  for (std::string pid; std::getline(lines, pid);) {
    auto number = parse_number(pid);
    if (number && *number > 1) ::kill(static_cast<pid_t>(*number), SIGKILL);
  }
  return true;
}

}  // namespace

CgroupTree CgroupTree::open(const std::string& name, std::vector<std::string>& missing,
                            const Sources& sources) {
  CgroupTree tree;
  auto mounts = find_mounts(sources.mountinfo);
  auto own = own_groups(sources.self_cgroup);
  std::vector<std::string> absent;
  for (const char* controller : {"memory", "pids", "cpu", "cpuacct"}) {
    auto mount = std::find_if(mounts.begin(), mounts.end(), [controller](const auto& m) {
      return !m.v2 && has_option(m.options, controller);
    });
    std::string folder;
    if (mount != mounts.end()) folder = own_folder(*mount, own[controller]) + "/" + name;
    if (folder.empty() || !writable_folder(folder)) {
      absent.emplace_back(controller);
    } else if (std::find(tree.folders_.begin(), tree.folders_.end(), folder) ==
               tree.folders_.end()) {
      tree.folders_.push_back(folder);
    }
  }
  if (!tree.folders_.empty() && (absent.empty() || absent[0] != "memory")) {
    tree.kind_ = UsageKind::v1;
    for (const auto& controller : absent) {
      missing.push_back("The cgroup controller '" + controller +
                        "' is not mounted or not writable: its limit is not enforced.");
    }
    tree.has_swap_limit_ =
        ::access((tree.folders_[0] + "/memory.memsw.limit_in_bytes").c_str(), W_OK) == 0;
    return tree;
  }
  tree.close();
  for (const auto& mount : mounts) {
    if (!mount.v2) continue;
    std::string parent = v2_parent(mount, own_folder(mount, own[""]));
    std::string folder = parent + "/" + name;
    if (enable_v2(parent) && writable_folder(folder) && enable_v2(folder)) {
      tree.kind_ = UsageKind::v2;
      tree.folders_ = {folder};
      tree.has_swap_limit_ = true;
      return tree;
    }
  }
  missing.push_back(
      "No writable cgroup with the memory controller: memory and process limits fall back to "
      "rlimits of each process, and CPU is not limited. Run as root, or as a systemd service with "
      "Delegate=yes.");
  return tree;
}

const char* CgroupTree::kind_name() const {
  return kind_ == UsageKind::v1 ? "v1" : kind_ == UsageKind::v2 ? "v2" : "none";
}

Result<Cgroup> CgroupTree::create(const std::string& name) const {
  Cgroup group;
  group.name = name;
  auto made = make_folders(group);
  if (made.has_value()) return group;
  remove(group);  // what there is of it
  return std::move(made).error();
}

Status CgroupTree::make_folders(Cgroup& group) const {
  for (const auto& folder : folders_) {
    std::string path = folder + "/" + group.name;
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      return errno_error("make cgroup " + path, errno);
    }
    auto dir = open_file(path, O_RDONLY | O_DIRECTORY);
    if (dir.has_error()) return std::move(dir).error();
    group.dirs.push_back(std::move(dir).value());
    auto procs = open_file(path + (kind_ == UsageKind::v1 ? "/tasks" : "/cgroup.procs"), O_WRONLY);
    if (procs.has_error()) return std::move(procs).error();
    group.procs.push_back(std::move(procs).value());
  }
  auto open_usage = [&group](std::initializer_list<const char*> names) {
    for (const char* file : names) {
      for (const auto& dir : group.dirs) {
        Fd fd(::openat(dir.get(), file, O_RDONLY | O_CLOEXEC));
        if (!fd) continue;
        group.usage_fds.push_back(std::move(fd));
        return;
      }
    }
    group.usage_fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  };
  if (kind_ == UsageKind::v1) {
    open_usage({"cpuacct.usage"});
    open_usage({"memory.max_usage_in_bytes"});
    open_usage({"memory.oom_control"});
  } else if (kind_ == UsageKind::v2) {
    open_usage({"cpu.stat"});
    open_usage({"memory.peak", "memory.current"});
    open_usage({"memory.events"});
  }
  return ok();
}

namespace {

Status put_value(const Cgroup& group, const char* file, const std::string& text) {
  for (const auto& dir : group.dirs) {
    auto status = write_file_at(dir.get(), file, text);
    if (status.has_value() || status.error().sys_errno != ENOENT) return status;
  }
  return ok();  // the controller is absent, as Abilities::missing says
}

}  // namespace

Status CgroupTree::set_cpu_share(const Cgroup& group, std::uint32_t cpu_millis) const {
  if (kind_ == UsageKind::v1) {
    const auto shares = std::max<std::uint64_t>(std::uint64_t{cpu_millis} * 1024 / 1000, 2);
    return put_value(group, "cpu.shares", std::to_string(shares));
  }
  if (kind_ == UsageKind::v2) {
    const auto weight = std::clamp<std::uint64_t>(cpu_millis / 10, 1, 10000);
    return put_value(group, "cpu.weight", std::to_string(weight));
  }
  return ok();
}

Status CgroupTree::set_limits(const Cgroup& group, const CgroupLimits& limits) const {
  const auto put = [&group](const char* file, const std::string& text) {
    return put_value(group, file, text);
  };
  if (limits.cpu_millis != 0) MAYFLY_TRY(set_cpu_share(group, limits.cpu_millis));
  std::uint64_t quota_us = std::uint64_t{limits.cpu_millis} * kCpuPeriodUs / 1000;
  quota_us = std::max<std::uint64_t>(quota_us, 1000);
  if (kind_ == UsageKind::v1) {
    if (limits.memory_bytes != 0) {
      const std::string bytes = std::to_string(limits.memory_bytes);
      auto limited = put("memory.limit_in_bytes", bytes);
      if (has_swap_limit_) {
        MAYFLY_TRY(put("memory.memsw.limit_in_bytes", bytes));
        // The limit of both may not be the lower one: when they are raised it has to go first.
        if (limited.has_error()) limited = put("memory.limit_in_bytes", bytes);
      }
      MAYFLY_TRY(limited);
    }
    if (limits.cpu_millis != 0) MAYFLY_TRY(put("cpu.cfs_quota_us", std::to_string(quota_us)));
    if (limits.pids_max != 0) MAYFLY_TRY(put("pids.max", std::to_string(limits.pids_max)));
  } else if (kind_ == UsageKind::v2) {
    if (limits.memory_bytes != 0) {
      MAYFLY_TRY(put("memory.max", std::to_string(limits.memory_bytes)));
      MAYFLY_TRY(put("memory.swap.max", "0"));
    }
    if (limits.cpu_millis != 0)
      MAYFLY_TRY(put("cpu.max", std::to_string(quota_us) + " " + std::to_string(kCpuPeriodUs)));
    if (limits.pids_max != 0) MAYFLY_TRY(put("pids.max", std::to_string(limits.pids_max)));
  }
  return ok();
}

std::vector<int> CgroupTree::threads_of(const Cgroup& group) const {
  std::vector<int> threads;
  if (group.dirs.empty() || kind_ == UsageKind::process) return threads;
  const auto text = read_file("/proc/self/fd/" + std::to_string(group.dirs.front().get()) +
                              (kind_ == UsageKind::v1 ? "/tasks" : "/cgroup.threads"));
  if (text.has_error()) return threads;
  std::istringstream lines(*text);
  for (int thread = 0; lines >> thread;) threads.push_back(thread);
  return threads;
}

void CgroupTree::reset_usage(const Cgroup& group) const {
  if (kind_ != UsageKind::v1) return;
  for (const char* file : {"cpuacct.usage", "memory.max_usage_in_bytes"}) {
    for (const auto& dir : group.dirs) {
      if (write_file_at(dir.get(), file, "0").has_value()) break;
    }
  }
}

bool CgroupTree::remove(const Cgroup& group) const {
  bool gone = true;
  for (const auto& folder : folders_) {
    std::string path = folder + "/" + group.name;
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) gone = false;
  }
  return gone;
}

void CgroupTree::close() {
  for (const auto& folder : folders_) destroy_cgroup_folder(folder, kCloseMs);
  folders_.clear();
  kind_ = UsageKind::process;
}

void destroy_cgroup_folder(const std::string& folder, int wait_ms) {
  if (::access(folder.c_str(), F_OK) != 0) return;
  for (int waited = 0;; waited += 5) {
    bool busy = kill_group(folder);
    for (const auto& name : subfolders(folder)) {
      std::string path = folder + "/" + name;
      if (kill_group(path) || (::rmdir(path.c_str()) != 0 && errno == EBUSY)) busy = true;
    }
    if (!busy && (::rmdir(folder.c_str()) == 0 || errno != EBUSY)) return;
    if (waited >= wait_ms) return;
    sleep_ms(5);
  }
}

std::vector<Fd> open_process_usage(int pid) {
  std::vector<Fd> fds;
  std::string folder = "/proc/" + std::to_string(pid);
  for (const char* name : {"/stat", "/status"}) {
    fds.emplace_back(::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC));
  }
  if (!fds[0] || !fds[1]) fds.clear();
  return fds;
}

UsageReading read_usage(UsageKind kind, const std::vector<Fd>& fds) {
  UsageReading usage;
  char buffer[4096];
  auto text = [&](std::size_t i) -> std::string_view {
    return i < fds.size() ? pread_text(fds[i].get(), buffer, sizeof buffer) : std::string_view();
  };
  switch (kind) {
    case UsageKind::v1:
      usage.cpu_us = parse_number(text(0)).value_or(0) / 1000;
      usage.memory_peak_bytes = parse_number(text(1)).value_or(0);
      usage.oom_kills = find_number(text(2), "oom_kill").value_or(0);
      break;
    case UsageKind::v2:
      usage.cpu_us = find_number(text(0), "usage_usec").value_or(0);
      usage.memory_peak_bytes = parse_number(text(1)).value_or(0);
      usage.oom_kills = find_number(text(2), "oom_kill").value_or(0);
      break;
    case UsageKind::process: {
      std::string_view stat = text(0);
      auto after_name = stat.rfind(')');
      if (after_name != std::string_view::npos) {
        stat.remove_prefix(after_name + 1);
        // Fields 14 and 15 of proc(5): user and system time in ticks; ')' ends field 2.
        std::uint64_t ticks = 0;
        for (int field = 3; field <= 15 && !stat.empty(); ++field) {
          stat.remove_prefix(1);
          if (field >= 14) ticks += parse_number(stat).value_or(0);
          stat.remove_prefix(std::min(stat.find(' '), stat.size()));
        }
        usage.cpu_us = ticks * (1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
      }
      usage.memory_peak_bytes = find_number(text(1), "VmHWM").value_or(0) * 1024;
      break;
    }
  }
  return usage;
}

}  // namespace mayfly::os
