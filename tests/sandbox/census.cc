#include "census.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

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

bool equal(const Census& a, const Census& b) {
  return a.own_fds == b.own_fds && a.spawner_fds == b.spawner_fds &&
         a.spawner_mounts == b.spawner_mounts && a.host_mounts == b.host_mounts &&
         a.children == b.children && a.cgroups == b.cgroups;
}

Census settle(World& world) {
  Census before = take(world);
  for (int i = 0; i < 500; ++i) {
    auto run = world.run(world.spec({"/bin/true"}));
    EXPECT_TRUE(run.has_value()) << run.error().describe();
    ::usleep(20'000);
    Census now = take(world);
    if (equal(before, now)) return now;
    before = now;
  }
  ADD_FAILURE() << "the spawner does not come to rest";
  return before;
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
