#pragma once
// Counts what a spawner holds, to see that nothing grows and nothing stays.

#include <map>
#include <ostream>
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
  bool operator==(const Census&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Census& census);

Census take(World& world);
// Once the spawner is at rest: its pools are full, what has ended is cleared away.
Census rest(World& world);
Census settle(World& world);  // after a launch
// The inits of sandboxes that are kept ready; nothing else must run.
std::vector<int> ready_inits(World& world);
void expect_no_zombies(World& world);
// Of a spawner that has stopped: its processes and its control groups.
void expect_gone(const std::map<int, char>& members, const std::vector<std::string>& folders);

}  // namespace mayfly::sandbox_tests
