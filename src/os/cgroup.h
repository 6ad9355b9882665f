#pragma once
// Control groups behind one interface: version 1 (a hierarchy per controller), version 2 (one), or
// none. A tree is the folder below which this program makes one group for each sandbox. Not
// thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::os {

enum class UsageKind : std::uint8_t { process = 0, v1 = 1, v2 = 2 };

struct UsageReading {
  std::uint64_t cpu_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t oom_kills = 0;
};

// Reads what the descriptors of a group (Cgroup::usage_fds) or of a process (open_process_usage)
// say; zeros for what cannot be read. No allocation, no disk.
UsageReading read_usage(UsageKind kind, const std::vector<Fd>& fds);
std::vector<Fd> open_process_usage(int pid);

struct CgroupLimits {
  std::uint64_t memory_bytes = 0;  // 0: no limit, here and below
  std::uint32_t cpu_millis = 0;
  std::uint32_t pids_max = 0;
};

// One group. Destroying it leaves the folders; CgroupTree::remove takes them away.
struct Cgroup {
  std::string name;
  std::vector<Fd> dirs;  // one for each hierarchy
  // One for each hierarchy: a process with one thread joins by writing "0". v1: `tasks`, by which a
  // process that moves itself waits for no grace period of RCU, as it does with cgroup.procs.
  std::vector<Fd> procs;
  std::vector<Fd> usage_fds;
};

class CgroupTree {
 public:
  // Where to look; tests point it elsewhere.
  struct Sources {
    std::string mountinfo = "/proc/self/mountinfo";
    std::string self_cgroup = "/proc/self/cgroup";
  };

  // Finds what is mounted and makes the folder `name` below the caller's own group (v2 without
  // delegation: below the root). Notes what is missing as sentences. Never fails: kind() is
  // process then and create() makes empty groups.
  static CgroupTree open(const std::string& name, std::vector<std::string>& missing,
                         const Sources& sources);
  static CgroupTree open(const std::string& name, std::vector<std::string>& missing) {
    return open(name, missing, Sources());
  }

  UsageKind kind() const { return kind_; }
  const char* kind_name() const;  // "v1", "v2" or "none"
  // The folders, for the record that the next start cleans by.
  const std::vector<std::string>& folders() const { return folders_; }

  Result<Cgroup> create(const std::string& name) const;
  Status set_limits(const Cgroup& group, const CgroupLimits& limits) const;
  // Only the share under contention that cpu_millis stands for; the quota stays.
  Status set_cpu_share(const Cgroup& group, std::uint32_t cpu_millis) const;
  // Ids of the threads inside, as seen from here; of none without cgroups.
  std::vector<int> threads_of(const Cgroup& group) const;
  // Sets the counters to zero where the kernel can (v1), so that what came before the program does
  // not count.
  void reset_usage(const Cgroup& group) const;
  // False while something is still inside: try again later.
  bool remove(const Cgroup& group) const;
  // Removes the folders themselves, and with them groups that nobody knows of.
  void close();

 private:
  Status make_folders(Cgroup& group) const;

  UsageKind kind_ = UsageKind::process;
  std::vector<std::string> folders_;
  bool has_swap_limit_ = false;
};

// Kills everything in the groups below folder and removes them and it. A folder that is not there
// is fine. Waits up to wait_ms for the killed to go.
void destroy_cgroup_folder(const std::string& folder, int wait_ms);

}  // namespace mayfly::os
