#pragma once
// Directory trees of packages on the host's disk. Everything here treats what is in a tree as
// foreign: no path is followed through a link. All block.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mayfly::functions {

struct TreeSummary {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
};

// Brings a tree into the form in which packages are kept: directories 0755, files 0644 or 0755,
// owned by this process' user. Refuses links that lead out of the tree (as seen when it is mounted
// elsewhere), devices, sockets and pipes, naming the path. Checks nothing but that of names.
Result<TreeSummary> normalise_tree(const std::string& root);

// Bytes and number of the files.
TreeSummary measure_tree(const std::string& root);

// Lays a normalised tree over another one: files are hard links of the source's where the disk
// allows it. What is in the way and of another kind is replaced. Names of links are added to links.
Status lay_over(const std::string& source, const std::string& target,
                std::vector<std::string>& links);

// Links only; part of normalise_tree. The links were made under root already.
Status check_links(const std::string& root, const std::vector<std::string>& links);

// Everything under root is on disk when this returns.
Status sync_tree(const std::string& root, std::uint64_t files);
Status sync_directory(const std::string& path);

// A copy that its future user, whoever that is inside of a sandbox, may write to. target must not
// exist.
Status copy_tree_writable(const std::string& source, const std::string& target);

// Lets anybody write to everything in a tree that no other user of the host can reach.
Status open_up_tree(const std::string& root);

// Deletes as far as it can.
void remove_tree(const std::string& path);
// All that is in a directory, and not itself.
void remove_below(const std::string& path);
// What is in a directory, in no order, without "." and "..".
std::vector<std::string> names_in(int directory);

// "The disk that holds PATH is full ..." for ENOSPC and EDQUOT, else what errno means.
Error disk_error(const std::string& step, const std::string& path, int sys_errno);

// Files that start like a program: ELF, or a script with its interpreter in the first line.
bool looks_executable(std::string_view first_bytes);

}  // namespace mayfly::functions
