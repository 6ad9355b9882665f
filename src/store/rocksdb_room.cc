#include "store/rocksdb_room.h"

#include <sys/statvfs.h>

#include <filesystem>

namespace mayfly::store {
namespace {

// Merges that have no room are tried again at once; they need not write before there may be some.
constexpr auto kRest = std::chrono::seconds(5);

thread_local bool merging_here = false;

class Table final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Table(std::unique_ptr<rocksdb::FSWritableFile>&& file, const std::string& name,
        std::shared_ptr<Room> room)
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
  const std::shared_ptr<Room> room_;
};

}  // namespace

bool Room::has(const std::string& folder, std::size_t size) {
  const auto now = std::chrono::steady_clock::now();
  if (now < rests_until_.load(std::memory_order_relaxed)) return false;
  struct statvfs info;
  if (statvfs(folder.c_str(), &info) != 0) return true;
  if (static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= free_bytes_ + size) return true;
  rests_until_.store(now + kRest, std::memory_order_relaxed);
  return false;
}

void set_merging_here(bool merging) {
  merging_here = merging;
}

std::unique_ptr<rocksdb::FSWritableFile> leave_room(std::unique_ptr<rocksdb::FSWritableFile> file,
                                                    const std::string& path,
                                                    std::shared_ptr<Room> room) {
  return std::make_unique<Table>(std::move(file), path, std::move(room));
}

}  // namespace mayfly::store
