#include "census.h"

#include <signal.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace mayfly::sandbox_tests {

std::size_t count_entries(const std::string& path) {
  std::error_code error;
  fs::directory_iterator entries(path, error);
  return error ? 0 : static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::size_t count_lines(const std::string& path) {
  std::ifstream file(path);
  return static_cast<std::size_t>(
      std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n'));
}

std::vector<std::string> group_folders(const std::string& state) {
  std::vector<std::string> folders;
  std::ifstream file(state + "/cgroups");
  for (std::string line; std::getline(file, line);) folders.push_back(line);
  return folders;
}

std::size_t count_groups(const std::vector<std::string>& folders) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& folder : folders) {
    if (!fs::exists(folder, error)) continue;
    ++count;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.is_directory(error)) ++count;
    }
  }
  return count;
}

std::map<int, char> family(int root) {
  std::multimap<int, std::pair<int, char>> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    std::getline(file, text);
    auto name_end = text.rfind(')');
    if (name_end == std::string::npos) continue;
    char state = 0;
    int parent = 0;
    std::sscanf(text.c_str() + name_end + 1, " %c %d", &state, &parent);
    children.emplace(parent, std::pair(std::atoi(text.c_str()), state));
  }
  std::map<int, char> found;
  std::vector<int> todo = {root};
  while (!todo.empty()) {
    int parent = todo.back();
    todo.pop_back();
    for (auto [at, end] = children.equal_range(parent); at != end; ++at) {
      found[at->second.first] = at->second.second;
      todo.push_back(at->second.first);
    }
  }
  return found;
}

std::set<std::string> network_namespaces(const std::map<int, char>& processes) {
  std::set<std::string> found;
  for (auto [pid, state] : processes) {
    std::error_code error;
    auto target = fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/net", error);
    if (!error) found.insert(target.string());
  }
  return found;
}

std::set<std::string> all_network_namespaces() {
  std::map<int, char> everyone;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    int pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0) everyone[pid] = '?';
  }
  return network_namespaces(everyone);
}

Census take(World& world) {
  std::string spawner = "/proc/" + std::to_string(world.spawner->pid());
  return {count_entries("/proc/self/fd"),      count_entries(spawner + "/fd"),
          count_lines(spawner + "/mountinfo"), count_lines("/proc/self/mountinfo"),
          family(world.spawner->pid()).size(), count_groups(group_folders(world.state))};
}

std::ostream& operator<<(std::ostream& out, const Census& census) {
  return out << "own fds " << census.own_fds << ", spawner's fds " << census.spawner_fds
             << ", spawner's mounts " << census.spawner_mounts << ", host's mounts "
             << census.host_mounts << ", children " << census.children << ", cgroups "
             << census.cgroups;
}

namespace {

// The line of a file in /proc that begins with a word, without it.
std::string line_of(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(word)) return line.substr(word.size());
  }
  return "";
}

// Whether a process waits for events without a time limit. The spawner sets one while its pools
// are not full, a sandbox is being prepared, a cgroup is not yet removed, or a template owes
// something.
bool waits_without_limit(int pid) {
  std::istringstream call(line_of("/proc/" + std::to_string(pid) + "/syscall", ""));
  long number = 0;
  std::string epoll, events, count, limit;  // hexadecimal
  call >> number >> epoll >> events >> count >> limit;
  bool waits = number == SYS_epoll_pwait;
#ifdef SYS_epoll_wait
  waits = waits || number == SYS_epoll_wait;
#endif
  return waits && static_cast<int>(std::strtoull(limit.c_str(), nullptr, 16)) == -1;
}

// Nor does anything below it run, which might wake it: a namespace that is being prepared.
bool at_rest(int spawner) {
  if (!waits_without_limit(spawner)) return false;
  auto members = family(spawner);
  return std::all_of(members.begin(), members.end(),
                     [](const auto& member) { return member.second == 'S'; });
}

}  // namespace

Census settle(World& world) {
  auto run = world.run(world.spec({"/bin/true"}));
  EXPECT_TRUE(run.has_value()) << run.error().describe();
  return rest(world);
}

Census rest(World& world) {
  int spawner = world.spawner->pid();
  std::string status = "/proc/" + std::to_string(spawner) + "/status";
  auto sleeps = [&] { return line_of(status, "voluntary_ctxt_switches:"); };
  Census now{};
  EXPECT_TRUE(world.eventually([&] {
    std::string before = sleeps();
    if (!at_rest(spawner)) return false;
    world.loop.restart();
    if (world.loop.poll() > 0) return false;
    now = take(world);
    return at_rest(spawner) && sleeps() == before;  // it has slept all the while
  })) << "the spawner does not come to rest: "
      << now;
  return now;
}

std::vector<int> ready_inits(World& world) {
  std::vector<int> inits;
  for (auto [pid, state] : family(world.spawner->pid())) {
    if (line_of("/proc/" + std::to_string(pid) + "/status", "NSpid:").ends_with("\t1"))
      inits.push_back(pid);
  }
  return inits;
}

void expect_no_zombies(World& world) {
  std::map<int, char> members;
  const auto none = [&] {
    members = family(world.spawner->pid());
    return std::none_of(members.begin(), members.end(),
                        [](const auto& member) { return member.second == 'Z'; });
  };
  if (world.eventually(none)) return;  // one that has just ended is about to be collected
  for (auto [pid, state] : members) EXPECT_NE(state, 'Z') << pid;
}

void expect_gone(const std::map<int, char>& members, const std::vector<std::string>& folders) {
  for (auto [pid, state] : members) {
    EXPECT_NE(::kill(pid, 0), 0) << "process " << pid << " is still there";
  }
  EXPECT_EQ(count_groups(folders), 0u);
}

bool gone_or_zombie(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  auto name_end = text.rfind(')');
  return name_end == std::string::npos || text.substr(name_end, 3) == ") Z";
}

int parent_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  auto name_end = text.rfind(')');
  char state = 0;
  int parent = 0;
  if (name_end != std::string::npos) {
    std::sscanf(text.c_str() + name_end + 1, " %c %d", &state, &parent);
  }
  return parent;
}

namespace {

bool has_word(int pid, const std::string& word) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  for (std::string part; std::getline(file, part, '\0');) {
    if (part == word) return true;
  }
  return false;
}

}  // namespace

int program_with(int root, const std::string& word) {
  for (auto [pid, state] : family(root)) {
    if (has_word(pid, word) && !has_word(parent_of(pid), word)) return pid;
  }
  return 0;
}

}  // namespace mayfly::sandbox_tests
