#pragma once
// What RocksDB says by itself: its log, and the errors of its background work.

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <chrono>
#include <mutex>

namespace mayfly::store {

// Hands errors to the server's log, a few a minute. RocksDB's own log file is no alternative: on
// a full disk its second line ends the process (an assertion in Debian's build).
class RocksdbLog final : public rocksdb::Logger {
 public:
  RocksdbLog() : rocksdb::Logger(rocksdb::ERROR_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  void LogHeader(const char*, va_list) override {}

 private:
  std::mutex mutex_;
  // Protected by mutex_.
  std::chrono::steady_clock::time_point minute_{};
  int lines_ = 0;
};

// Remembers that flushing or merging has failed, so that it can be told to try again; and tells
// rocksdb_room.h which threads merge. A merge that has no room is no error of the database, which
// would stop flushing for it until there is more room than the merge needs, while writers hang: it
// is tried again by itself.
class BackgroundErrors final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override;
  void OnSubcompactionBegin(const rocksdb::SubcompactionJobInfo&) override;
  void OnSubcompactionCompleted(const rocksdb::SubcompactionJobInfo&) override;
  bool take() { return failed_.exchange(false, std::memory_order_acq_rel); }
  bool any() const { return failed_.load(std::memory_order_acquire); }
  void note() { failed_.store(true, std::memory_order_release); }

 private:
  std::atomic<bool> failed_ = false;
};

}  // namespace mayfly::store
