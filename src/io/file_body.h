#pragma once
// A file as a body, read in pieces on the pool.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "io/blocking.h"
#include "io/body.h"
#include "os/fd.h"

namespace mayfly::io {

// pool outlives it. An error when the file is shorter than left says.
class FileBody final : public BodyReader {
 public:
  static constexpr std::uint64_t kPiece = 256 * 1024;

  FileBody(BlockingPool& pool, std::shared_ptr<os::Fd> fd, std::uint64_t at, std::uint64_t left)
      : pool_(pool), fd_(std::move(fd)), at_(at), left_(left) {}

  Task<Result<std::string>> read() override {
    if (left_ == 0) co_return std::string();
    Job job{fd_, at_, std::min<std::uint64_t>(left_, kPiece)};
    Result<std::string> piece = co_await pool_.run(std::move(job));
    if (!piece) co_return piece;
    at_ += piece->size();
    left_ -= piece->size();
    co_return piece;
  }

 private:
  struct Job {
    Job(std::shared_ptr<os::Fd> f, std::uint64_t a, std::uint64_t n)
        : fd(std::move(f)), at(a), size(n) {}
    std::shared_ptr<os::Fd> fd;  // the reader may be destroyed while the pool reads
    std::uint64_t at, size;
    Result<std::string> operator()() {
      std::string data(size, '\0');
      ssize_t got = -1;
      do {
        got = ::pread(fd->get(), data.data(), data.size(), static_cast<off_t>(at));
      } while (got < 0 && errno == EINTR);
      if (got < 0) return errno_error("read file", errno);
      if (got == 0)
        return Error{Code::io_error, "The file became shorter while it was sent.", "read file"};
      data.resize(static_cast<std::size_t>(got));
      return data;
    }
  };

  BlockingPool& pool_;
  std::shared_ptr<os::Fd> fd_;
  std::uint64_t at_, left_;
};

}  // namespace mayfly::io
