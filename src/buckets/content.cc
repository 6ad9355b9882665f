#include "buckets/content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/ids.h"
#include "functions/tree.h"
#include "os/files.h"

namespace mayfly::buckets {

namespace fs = std::filesystem;
using functions::disk_error;

std::string ContentFiles::incoming(std::string_view id) const {
  return incoming_folder() + "/" + std::string(id);
}

std::string ContentFiles::place(std::string_view id) const {
  return directory_ + "/content/" + std::string(id.substr(0, 2)) + "/" + std::string(id);
}

Status ContentFiles::open() {
  MAYFLY_TRY(os::make_directories(incoming_folder(), 0700));
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 0; i < 256; ++i) {
    const char name[3] = {kDigits[i >> 4], kDigits[i & 15], 0};
    MAYFLY_TRY(os::make_directories(directory_ + "/content/" + name, 0700));
  }
  // Whole before the first file is promised to be there.
  MAYFLY_TRY(functions::sync_directory(directory_ + "/content"));
  return functions::sync_directory(directory_);
}

Status ContentFiles::each_incoming(const std::function<void(const std::string&)>& visit) const {
  std::error_code error;
  for (auto at = fs::directory_iterator(incoming_folder(), error);
       !error && at != fs::directory_iterator(); at.increment(error))
    visit(at->path().filename().string());
  if (error) return errno_error("read " + incoming_folder(), error.value());
  return ok();
}

void ContentFiles::remove(std::string_view id) const {
  ::unlink(place(id).c_str());
  ::unlink(incoming(id).c_str());
}

void ContentFiles::forget_incoming(std::string_view id) const {
  ::unlink(incoming(id).c_str());
}

Result<os::Fd> ContentFiles::read(std::string_view id) const {
  return os::open_file(place(id), O_RDONLY | O_CLOEXEC);
}

NewContent::NewContent(const ContentFiles& files, Checksum algorithm, bool sha256)
    : files_(files),
      algorithm_(algorithm),
      md5_state_(Digest::make(Checksum::md5)),
      checksum_state_(Digest::make(algorithm)),
      sha256_state_(sha256 ? Digest::make(Checksum::sha256) : nullptr) {}

NewContent::~NewContent() {
  if (!kept_) discard();
}

void NewContent::discard() {
  file_.reset();
  if (!id_.empty()) files_.remove(id_);
  id_.clear();
}

Status NewContent::write(std::string_view bytes) {
  if (bytes.empty()) return ok();
  if (id_.empty()) {
    std::string id = random_hex(16);
    const std::string path = files_.incoming(id);
    file_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file_) return disk_error("store the object", path, errno);
    id_ = std::move(id);
  }
  md5_state_->add(bytes);
  if (checksum_state_) checksum_state_->add(bytes);
  if (sha256_state_) sha256_state_->add(bytes);
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(file_.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return disk_error("store the object", files_.incoming(id_), errno);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return ok();
}

void NewContent::finish() {
  if (md5_state_) md5_ = md5_state_->finish();
  if (checksum_state_) checksum_ = checksum_state_->finish();
  if (sha256_state_) sha256_ = sha256_state_->finish();
  md5_state_.reset();
  checksum_state_.reset();
  sha256_state_.reset();
}

Status NewContent::settle() {
  if (id_.empty()) return ok();
  const std::string from = files_.incoming(id_), to = files_.place(id_);
  if (::fsync(file_.get()) != 0) return disk_error("store the object", from, errno);
  file_.reset();
  // The name by which a crash's leavings are found is on disk before the other one is made.
  MAYFLY_TRY(functions::sync_directory(files_.incoming_folder()));
  if (::link(from.c_str(), to.c_str()) != 0) return disk_error("store the object", to, errno);
  return functions::sync_directory(fs::path(to).parent_path().string());
}

}  // namespace mayfly::buckets
