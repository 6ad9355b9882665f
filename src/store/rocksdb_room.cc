#include "store/rocksdb_room.h"

#include <rocksdb/file_system.h>
#include <sys/statvfs.h>

#include <atomic>
#include <chrono>
#include <filesystem>

namespace mayfly::store {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Merges that have no room are tried again at once; they need not write before there may be some.
constexpr auto kRest = std::chrono::seconds(5);

thread_local bool merging_here = false;

// Of one database. Thread-safe.
class Room {
 public:
  explicit Room(std::uint64_t free_bytes) : free_bytes_(free_bytes) {}

  bool has(const std::string& folder, std::size_t size) {
    const auto now = std::chrono::steady_clock::now();
    if (now < rests_until_.load(std::memory_order_relaxed)) return false;
    struct statvfs info;
    if (statvfs(folder.c_str(), &info) != 0) return true;
    if (static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= free_bytes_ + size)
      return true;
    rests_until_.store(now + kRest, std::memory_order_relaxed);
    return false;
  }

 private:
  const std::uint64_t free_bytes_;
  std::atomic<SteadyTime> rests_until_ = SteadyTime();
};
using RoomPtr = std::shared_ptr<Room>;

class Table final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Table(std::unique_ptr<rocksdb::FSWritableFile>&& file, const std::string& name, RoomPtr room)
      : FSWritableFileOwnerWrapper(std::move(file)),
        folder_(std::filesystem::path(name).parent_path()),
        room_(std::move(room)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (!has_room(data.size())) return no_room();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    if (!has_room(data.size())) return no_room();
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }

 private:
  bool has_room(std::size_t size) const { return !merging_here || room_->has(folder_, size); }
  static rocksdb::IOStatus no_room() {
    return rocksdb::IOStatus::NoSpace("merging would leave too little room on the disk");
  }

  const std::string folder_;
  const RoomPtr room_;
};

class Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(std::uint64_t free_bytes)
      : FileSystemWrapper(rocksdb::FileSystem::Default()),
        room_(std::make_shared<Room>(free_bytes)) {}
  const char* Name() const override { return "MayflyFiles"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    auto status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".sst"))
      *file = std::make_unique<Table>(std::move(*file), name, room_);
    return status;
  }

 private:
  const RoomPtr room_;
};

}  // namespace

void set_merging_here(bool merging) {
  merging_here = merging;
}

std::unique_ptr<rocksdb::Env> make_env_that_leaves_room(std::uint64_t free_bytes) {
  return rocksdb::NewCompositeEnv(std::make_shared<Files>(free_bytes));
}

}  // namespace mayfly::store
