#include "server/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/ids.h"
#include "wire/http_message.h"

namespace mayfly::server {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSmallFileMax = 4096;

Error failed_on(const std::string& step, const std::string& path) {
  Error error = errno_error(step + " " + path, errno);
  if (error.sys_errno == ENOSPC) error.message = "the disk is full";
  return error;
}

Result<std::string> read_small(const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failed_on("open", path);
  std::string bytes(kSmallFileMax, '\0');
  const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
  if (got < 0) return failed_on("read", path);
  bytes.resize(static_cast<std::size_t>(got));
  while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == ' ')) bytes.pop_back();
  return bytes;
}

Status write_all(int fd, const std::string& bytes, const std::string& path) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed_on("write", path);
    done += static_cast<std::size_t>(wrote);
  }
  return ok();
}

}  // namespace

Status replace_file(const std::string& path, const std::string& bytes, unsigned mode) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());  // one that a killed server left, perhaps with another mode
  const os::Fd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode)));
  if (!file) return failed_on("create", fresh);
  MAYFLY_TRY(write_all(file.get(), bytes, fresh));
  if (::fsync(file.get()) != 0) return failed_on("sync", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failed_on("rename to", path);
  const std::string parent = std::filesystem::path(path).parent_path();
  const os::Fd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return failed_on("sync", parent);
  return ok();
}

Result<DataDir> DataDir::open(const std::string& given) {
  std::error_code failed;
  const std::filesystem::path path = std::filesystem::absolute(given, failed).lexically_normal();
  const bool there = std::filesystem::is_directory(path, failed);
  if (!there) {
    std::filesystem::create_directories(path.parent_path(), failed);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      Error error = failed_on("create the data directory", path);
      error.message += " (flag --data, setting server.data)";
      return error;
    }
  }
  std::string name = std::filesystem::canonical(path, failed);
  if (failed) name = path;

  const std::string lock_path = name + "/lock";
  os::Fd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) {
    Error error = failed_on("open", lock_path);
    error.message += " (is the data directory of --data a folder that this user may write?)";
    return error;
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed_on("lock", lock_path);
    const auto holder = read_small(lock_path);
    return Error{Code::conflict, "another server (pid " +
                                     (holder.has_value() ? *holder : std::string("unknown")) +
                                     ") runs on the data directory " + name +
                                     "; stop it, or start this one with another --data"};
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0) return failed_on("truncate", lock_path);
  MAYFLY_TRY(write_all(lock.get(), pid, lock_path));
  return DataDir(std::move(name), std::move(lock));
}

Result<std::string> DataDir::api_key() const {
  return kept_secret("api.key", "mf_");
}

Result<std::string> DataDir::services_secret() const {
  return kept_secret("services.key", "");
}

Result<std::string> DataDir::kept_secret(const std::string& name, const std::string& prefix) const {
  const std::string path = sub(name);
  auto kept = read_small(path);
  if (kept.has_value() && kept->size() >= 16) return kept;
  if (kept.has_error() && kept.error().sys_errno != ENOENT) return kept.error();
  const std::string key = prefix + random_hex(kKeyBytes);
  MAYFLY_TRY(replace_file(path, key + "\n", 0600));
  return key;
}

Status DataDir::publish(const ServerFile& file) const {
  std::string json = R"({"api":)";
  wire::append_json_string(json, file.api);
  json += R"(,"gateway":)";
  wire::append_json_string(json, file.gateway);
  json += R"(,"pid":)" + std::to_string(file.pid) + R"(,"data":)";
  wire::append_json_string(json, file.data);
  json += R"(,"version":)";
  wire::append_json_string(json, file.version);
  json += "}\n";
  return replace_file(sub("server.json"), json, 0644);
}

void DataDir::withdraw() const {
  ::unlink(sub("server.json").c_str());
}

Status write_pointer(const std::string& default_dir, const std::string& data) {
  if (std::getenv("MAYFLY_NO_POINTER") != nullptr) return ok();
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(default_dir).parent_path(), failed);
  if (::mkdir(default_dir.c_str(), 0700) != 0 && errno != EEXIST)
    return failed_on("create", default_dir);
  std::string json = R"({"data":)";
  wire::append_json_string(json, data);
  json += "}\n";
  return replace_file(default_dir + "/current.json", json, 0644);
}

}  // namespace mayfly::server
