#pragma once
// RocksDB's log in blocks that the file has already. An fsync of a file that grows writes the file
// system's journal, too: three times the time and the CPU of one that writes blocks over. RocksDB
// itself reuses log files only in modes of recovery that lose more (docs/decisions/0004-state.md).

#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string>

namespace mayfly::store {

// Writes zeros ahead of what is appended, and cuts off what is left of them when it is closed.
// On a disk that is nearly full it appends as always.
std::unique_ptr<rocksdb::FSWritableFile> write_log_ahead(
    std::unique_ptr<rocksdb::FSWritableFile> file, const std::string& path);

// Ends where the records end. After a power cut zeros may stand before blocks that were written
// later: none of it was synced, and what comes after a gap must not be read.
std::unique_ptr<rocksdb::FSSequentialFile> end_log_at_zeros(
    std::unique_ptr<rocksdb::FSSequentialFile> file, const std::string& path);

// The offset of the first header without length and type. Where there is none, or something that
// RocksDB would not have written comes first, which it is to judge itself: the size of the file, or
// more.
std::uint64_t end_of_log(const std::string& path);

}  // namespace mayfly::store
