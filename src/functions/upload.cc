#include "functions/upload.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/ids.h"
#include "functions/tree.h"

namespace mayfly::functions {

namespace {

constexpr std::size_t kWriteBytes = 1u << 20;

}  // namespace

void Upload::discard() {
  remove_tree(base_);
}

Status Upload::begin() {
  if (mkdir(base_.c_str(), 0755) != 0) return disk_error("store the package", base_, errno);
  file_.reset(open(archive().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file_) return disk_error("store the package", base_, errno);
  hash_.reset(EVP_MD_CTX_new());
  if (hash_ == nullptr || EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr) != 1)
    return Error{Code::internal, "SHA-256 is not available.", "store the package"};
  return ok();
}

Status Upload::write(const std::string& bytes) {
  EVP_DigestUpdate(hash_.get(), bytes.data(), bytes.size());
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(file_.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return disk_error("store the package", base_, errno);
    done += static_cast<std::size_t>(wrote);
  }
  bytes_ += bytes.size();
  return ok();
}

std::string Upload::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(hash_.get(), digest, &size);
  file_.reset();
  return to_hex({reinterpret_cast<const char*>(digest), size});
}

io::Task<Status> receive_upload(io::BlockingPool& pool, std::shared_ptr<Upload> upload,
                                std::string first, io::BodyReaderPtr more, UploadLimit limit) {
  auto write = [upload](std::string bytes, bool begin) -> Status {
    if (begin) MAYFLY_TRY(upload->begin());
    return upload->write(bytes);
  };
  std::string buffer = std::move(first);
  std::uint64_t received = buffer.size();
  bool begun = false;
  bool ended = more == nullptr;
  for (;;) {
    if (received > limit.bytes_max)
      co_return Error{Code::too_large, fmt::format("{} has more than {} bytes (setting {}).",
                                                   limit.what, limit.bytes_max, limit.setting)};
    if (ended || buffer.size() >= kWriteBytes) {
      auto job = [write, bytes = std::move(buffer), begin = !begun]() mutable {
        return write(std::move(bytes), begin);
      };
      auto task = pool.run(std::move(job));
      const Status written = co_await std::move(task);
      if (written.has_error()) co_return written.error();
      begun = true;
      buffer.clear();
    }
    if (ended) break;
    auto reading = more->read();
    auto chunk = co_await std::move(reading);
    if (chunk.has_error()) co_return std::move(chunk).error();
    ended = chunk->empty();
    received += chunk->size();
    buffer += *chunk;
  }
  co_return ok();
}

}  // namespace mayfly::functions
