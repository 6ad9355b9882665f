#pragma once
// The data directory of a server: made at first start, locked while a server runs, and where
// clients find address and key. Files: store/, packages/, images/, spawner/ (spawner-N/ of loops
// beside the first), lock, server.json, api.key, services.key.

#include <filesystem>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::server {

struct ServerFile {
  std::string api, gateway;  // URLs
  int pid = 0;
  std::string data;
  std::string version;
};

class DataDir {
 public:
  // Makes the directory (0700) and takes its lock, which the kernel gives back however the server
  // ends. A second server gets an error that names the first one's pid.
  static Result<DataDir> open(const std::string& path);

  const std::string& path() const { return path_; }  // absolute
  bool has(const std::string& name) const { return std::filesystem::exists(sub(name)); }
  std::string sub(const std::string& name) const { return path_ + "/" + name; }

  // The API key: made at the first start, kept ever after; 0600.
  Result<std::string> api_key() const;

  // The secret from which the credentials of functions are made: as the API key is.
  Result<std::string> services_secret() const;

  // server.json, replaced as a whole; and away again at a clean stop.
  Status publish(const ServerFile& file) const;
  void withdraw() const;

 private:
  Result<std::string> kept_secret(const std::string& name, const std::string& prefix) const;
  DataDir(std::string path, os::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  os::Fd lock_;
};

// Leaves a note in the default data directory of this user, by which the CLI finds a server with
// another --data. Not with MAYFLY_NO_POINTER in the environment.
Status write_pointer(const std::string& default_dir, const std::string& data);

// Writes path.new, syncs, renames: readers see the old or the new file, never half.
Status replace_file(const std::string& path, const std::string& bytes, unsigned mode);

}  // namespace mayfly::server
