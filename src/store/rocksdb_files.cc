#include "store/rocksdb_files.h"

#include <rocksdb/file_system.h>

#include "store/rocksdb_log.h"
#include "store/rocksdb_room.h"

namespace mayfly::store {
namespace {

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
    if (!status.ok()) return status;
    if (name.ends_with(".sst")) *file = leave_room(std::move(*file), name, room_);
    if (name.ends_with(".log")) *file = write_log_ahead(std::move(*file), name);
    return status;
  }
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    auto status = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".log")) *file = end_log_at_zeros(std::move(*file), name);
    return status;
  }

 private:
  const std::shared_ptr<Room> room_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_environment(std::uint64_t free_bytes) {
  return rocksdb::NewCompositeEnv(std::make_shared<Files>(free_bytes));
}

}  // namespace mayfly::store
