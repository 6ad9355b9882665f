#include "store/rocksdb_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "os/fd.h"

namespace mayfly::store {
namespace {

// Each costs one write of the journal, and at the next fsync so many bytes more.
constexpr std::uint64_t kAheadBytes = 512u << 10;
// Not of the room that commits are refused to keep (rocksdb_store.cc).
constexpr std::uint64_t kFreeBytesMin = 64u << 20;

// RocksDB's format: blocks of 32 KB; a record is a header (checksum, length, type) and its bytes,
// and lies in one block. What is too short for a header at the end of a block is filled with zeros.
// https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format
constexpr std::size_t kBlockBytes = 32u << 10;
constexpr std::size_t kHeaderBytes = 7;
constexpr unsigned char kTypeMax = 4;  // full, first, middle, last

class LogAhead final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogAhead(std::unique_ptr<rocksdb::FSWritableFile>&& file, os::Fd fd)
      : FSWritableFileOwnerWrapper(std::move(file)), fd_(std::move(fd)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    make_blocks(data.size());
    return appended(data.size(), FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    make_blocks(data.size());
    return appended(data.size(),
                    FSWritableFileOwnerWrapper::Append(data, options, verification, debug));
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    if (zeroed_ > written_ && !failed_) {
      [[maybe_unused]] const int cut = ::ftruncate(fd_.get(), static_cast<off_t>(written_));
    }  // else who reads it finds its end by the zeros
    fd_.reset();
    return FSWritableFileOwnerWrapper::Close(options, debug);
  }

 private:
  void make_blocks(std::size_t size) {
    if (failed_ || written_ + size <= zeroed_ || !has_room()) return;
    static std::array<char, kAheadBytes> zeros;  // a constant would be in the program
    zeroed_ = std::max(zeroed_, written_);
    // The file itself goes on appending at written_, over the zeros.
    const auto wrote = ::pwrite(fd_.get(), zeros.data(), zeros.size(), static_cast<off_t>(zeroed_));
    if (wrote > 0) zeroed_ += static_cast<std::uint64_t>(wrote);
    if (wrote != static_cast<ssize_t>(zeros.size())) failed_ = true;
  }
  bool has_room() const {
    struct statvfs info;
    return ::fstatvfs(fd_.get(), &info) == 0 &&
           static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= kFreeBytesMin;
  }
  rocksdb::IOStatus appended(std::size_t size, rocksdb::IOStatus status) {
    written_ += size;
    if (!status.ok()) failed_ = true;  // how much of it was written is not known
    return status;
  }

  os::Fd fd_;
  std::uint64_t written_ = 0, zeroed_ = 0;
  bool failed_ = false;
};

class LogToItsEnd final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  LogToItsEnd(std::unique_ptr<rocksdb::FSSequentialFile>&& file, std::uint64_t size)
      : FSSequentialFileOwnerWrapper(std::move(file)), left_(size) {}

  rocksdb::IOStatus Read(std::size_t n, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                         char* scratch, rocksdb::IODebugContext* debug) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(n, left_));
    auto status = FSSequentialFileOwnerWrapper::Read(wanted, options, result, scratch, debug);
    if (status.ok()) left_ -= std::min<std::uint64_t>(left_, result->size());
    return status;
  }
  rocksdb::IOStatus Skip(std::uint64_t n) override {
    const std::uint64_t wanted = std::min(n, left_);
    left_ -= wanted;
    return FSSequentialFileOwnerWrapper::Skip(wanted);
  }

 private:
  std::uint64_t left_;
};

}  // namespace

std::unique_ptr<rocksdb::FSWritableFile> write_log_ahead(
    std::unique_ptr<rocksdb::FSWritableFile> file, const std::string& path) {
  os::Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return file;
  return std::make_unique<LogAhead>(std::move(file), std::move(fd));
}

std::unique_ptr<rocksdb::FSSequentialFile> end_log_at_zeros(
    std::unique_ptr<rocksdb::FSSequentialFile> file, const std::string& path) {
  return std::make_unique<LogToItsEnd>(std::move(file), end_of_log(path));
}

std::uint64_t end_of_log(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return UINT64_MAX;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  std::array<unsigned char, kHeaderBytes> header;
  std::uint64_t at = 0;
  while (at + kHeaderBytes <= size) {
    const std::size_t left = kBlockBytes - at % kBlockBytes;
    if (left < kHeaderBytes) {
      at += left;
      continue;
    }
    if (::pread(fd.get(), header.data(), header.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(header.size()))
      return size;
    const std::size_t length = header[4] | std::size_t{header[5]} << 8;
    // Where a page begins in the middle of a header, a checksum may stand before the zeros.
    if (length == 0 && header[6] == 0) return at;
    if (header[6] == 0 || header[6] > kTypeMax || kHeaderBytes + length > left) return size;
    at += kHeaderBytes + length;
  }
  return size;
}

}  // namespace mayfly::store
