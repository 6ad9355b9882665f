#include "store/rocksdb_room.h"

#include <rocksdb/file_system.h>
#include <sys/statvfs.h>

#include <filesystem>

namespace mayfly::store {
namespace {

thread_local bool merging_here = false;

class Table final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Table(std::unique_ptr<rocksdb::FSWritableFile>&& file, const std::string& name,
        std::uint64_t free_bytes)
      : FSWritableFileOwnerWrapper(std::move(file)),
        folder_(std::filesystem::path(name).parent_path()),
        free_bytes_(free_bytes) {}

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
  bool has_room(std::size_t size) const {
    struct statvfs info;
    if (!merging_here || statvfs(folder_.c_str(), &info) != 0) return true;
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= free_bytes_ + size;
  }
  static rocksdb::IOStatus no_room() {
    return rocksdb::IOStatus::NoSpace("merging would leave too little room on the disk");
  }

  const std::string folder_;
  const std::uint64_t free_bytes_;
};

class Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(std::uint64_t free_bytes)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), free_bytes_(free_bytes) {}
  const char* Name() const override { return "MayflyFiles"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    auto status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".sst"))
      *file = std::make_unique<Table>(std::move(*file), name, free_bytes_);
    return status;
  }

 private:
  const std::uint64_t free_bytes_;
};

}  // namespace

void set_merging_here(bool merging) {
  merging_here = merging;
}

std::unique_ptr<rocksdb::Env> make_env_that_leaves_room(std::uint64_t free_bytes) {
  return rocksdb::NewCompositeEnv(std::make_shared<Files>(free_bytes));
}

}  // namespace mayfly::store
