#pragma once
// Counts what a spawner holds, to see that nothing grows and nothing stays.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "fixture.h"

namespace mayfly::sandbox_tests {

std::size_t count_entries(const std::string& path);
std::size_t count_lines(const std::string& path);

// Folders of control groups of the spawner on a state directory, by its own record.
std::vector<std::string> group_folders(const std::string& state);
std::size_t count_groups(const std::vector<std::string>& folders);

// Children of a process, and theirs: pid and state.
std::map<int, char> family(int root);
bool gone_or_zombie(int pid);
int parent_of(int pid);
// The program below root that was started with the word, not its clones; 0: none.
int program_with(int root, const std::string& word);

// The network namespaces of some processes.
std::set<std::string> network_namespaces(const std::map<int, char>& processes);
std::set<std::string> all_network_namespaces();

struct Census {
  std::size_t own_fds, spawner_fds, spawner_mounts, host_mounts, children, cgroups;
};

Census take(World& world);
bool equal(const Census& a, const Census& b);
// The pools fill in idle moments: two equal readings, a launch's worth apart, are the rest state.
Census settle(World& world);

}  // namespace mayfly::sandbox_tests
