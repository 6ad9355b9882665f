#pragma once
// Keeps merging from filling the disk. RocksDB merges tables into new ones before it deletes the
// old ones, so a merge takes as much room as it reads; on a disk that is nearly full it would take
// the last of it, and with it what commits, flushes and the next start need.

#include <rocksdb/file_system.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"

namespace mayfly::store {

// Of one database. Thread-safe.
class Room {
 public:
  // So much is left to others.
  explicit Room(std::uint64_t free_bytes) : free_bytes_(free_bytes) {}
  bool has(const std::string& folder, std::size_t size);

 private:
  const std::uint64_t free_bytes_;
  std::atomic<SteadyTime> rests_until_ = SteadyTime();
};

// A table of which writing fails with NoSpace when the thread merges and the room has not so much.
std::unique_ptr<rocksdb::FSWritableFile> leave_room(std::unique_ptr<rocksdb::FSWritableFile> file,
                                                    const std::string& path,
                                                    std::shared_ptr<Room> room);

// Says that the calling thread merges from now on, or does so no more: flushes write the same kind
// of files, with the same priority when writers wait for them, and must not fail for it.
void set_merging_here(bool merging);

}  // namespace mayfly::store
