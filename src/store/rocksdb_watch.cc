#include "store/rocksdb_watch.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "base/log.h"
#include "store/rocksdb_room.h"

namespace mayfly::store {

namespace {
constexpr int kLinesAMinute = 5;
}

void RocksdbLog::Logv(const char* format, va_list arguments) {
  Logv(rocksdb::INFO_LEVEL, format, arguments);
}

void RocksdbLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < rocksdb::ERROR_LEVEL || level >= rocksdb::HEADER_LEVEL) return;
  {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - minute_ >= std::chrono::minutes(1)) {
      minute_ = now;
      lines_ = 0;
    }
    if (++lines_ > kLinesAMinute) return;
  }
  std::array<char, 512> line;
  const int size = std::vsnprintf(line.data(), line.size(), format, arguments);
  if (size < 0) return;
  std::string_view text(line.data(),
                        std::min<std::size_t>(static_cast<std::size_t>(size), line.size() - 1));
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  log::warn("store: {}", text);
}

void BackgroundErrors::OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                                         rocksdb::Status* status) {
  if (status->IsNoSpace() && reason == rocksdb::BackgroundErrorReason::kCompaction) {
    *status = rocksdb::Status::OK();
    return;
  }
  if (failed_.exchange(true, std::memory_order_acq_rel)) return;
  // Nobody waits for this work, so nobody else would tell.
  log::warn("store: work in the background failed and is tried again: {}", status->ToString());
}

void BackgroundErrors::OnSubcompactionBegin(const rocksdb::SubcompactionJobInfo&) {
  set_merging_here(true);
}

void BackgroundErrors::OnSubcompactionCompleted(const rocksdb::SubcompactionJobInfo&) {
  set_merging_here(false);
}

}  // namespace mayfly::store
