#include "triggers/spill.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "os/files.h"

namespace mayfly::triggers {
namespace {

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_error("write a payload", errno);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return ok();
}

// A new name is on disk once its folder is.
Status sync_folder(const std::string& folder) {
  const os::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return errno_error("sync " + folder, errno);
  return ok();
}

}  // namespace

Status Spill::open(const std::function<bool(const std::string& id)>& needed) {
  MAYFLY_TRY(os::make_directories(folder_, 0700));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder_.c_str()), ::closedir);
  if (!dir) return errno_error("open " + folder_, errno);
  std::vector<std::string> orphans;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !needed(name)) orphans.push_back(name);
  }
  for (const auto& name : orphans) remove(name);
  return ok();
}

Status Spill::write(const std::string& id, std::string_view bytes) {
  // Nobody looks for the name before the call is accepted, and it is not accepted before this is
  // on disk: no rename is needed.
  const std::string path = path_of(id);
  const os::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return errno_error("make " + path, errno);
  Status written = write_all(fd.get(), bytes);
  if (!written.has_error() && ::fsync(fd.get()) != 0) written = errno_error("sync " + path, errno);
  if (!written.has_error()) written = sync_folder(folder_);
  if (written.has_error()) remove(id);
  return written;
}

Result<std::string> Spill::read(const std::string& id, std::uint64_t bytes) {
  auto content = os::read_file(path_of(id));
  if (content.has_error()) return content.error();
  if (content->size() != bytes)
    return Error{Code::corrupt, "The payload of call " + id + " in " + folder_ + " is cut off."};
  return content;
}

void Spill::remove(const std::string& id) {
  ::unlink(path_of(id).c_str());  // what stays is removed at the next start
}

}  // namespace mayfly::triggers
