#include "functions/tree_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/ids.h"
#include "functions/checks.h"
#include "functions/tree.h"

namespace mayfly::functions {

namespace fs = std::filesystem;

static constexpr std::int64_t kUnusedSecondsMin = 3600;

Status TreeStore::open() const {
  const std::string unfinished = directory_ + "/.incoming";
  remove_tree(unfinished);
  std::error_code error;
  fs::create_directories(unfinished, error);
  if (error)
    return Error{
        Code::io_error,
        "The " + what_ + " directory " + directory_ + " cannot be made: " + error.message() + ".",
        "open " + what_ + "s", error.value()};
  return ok();
}

bool TreeStore::contains(std::string_view sha256) const {
  if (!is_sha256(sha256) || access(tree(sha256).c_str(), F_OK) != 0) return false;
  utimensat(AT_FDCWD, place(sha256).c_str(), nullptr, 0);
  return true;
}

std::string TreeStore::incoming(std::string_view prefix) const {
  return directory_ + "/.incoming/" + std::string(prefix) + random_hex(8);
}

Result<bool> TreeStore::keep(const std::string& base, std::string_view sha256) const {
  if (rename(base.c_str(), place(sha256).c_str()) != 0) {
    if (errno != EEXIST && errno != ENOTEMPTY)
      return disk_error("keep the " + what_, directory_, errno);
    return true;
  }
  MAYFLY_TRY(sync_directory(directory_));
  return false;
}

std::size_t TreeStore::collect(const std::set<std::string>& in_use) const {
  std::size_t collected = 0;
  std::error_code error;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  for (auto at = fs::directory_iterator(directory_, error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    struct stat info;
    if (!is_sha256(name) || in_use.contains(name)) continue;
    if (lstat(at->path().c_str(), &info) != 0 || now - info.st_mtime < kUnusedSecondsMin) continue;
    // First out of sight as a whole, then away.
    const std::string trash = incoming("trash-");
    if (rename(at->path().c_str(), trash.c_str()) != 0) continue;
    remove_tree(trash);
    ++collected;
  }
  return collected;
}

}  // namespace mayfly::functions
