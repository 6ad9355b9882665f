#pragma once
// The files of the database: tables leave room on the disk (rocksdb_room.h), logs are written ahead
// (rocksdb_log.h), all else is as RocksDB has it.

#include <rocksdb/env.h>

#include <cstdint>
#include <memory>

namespace mayfly::store {

// free_bytes: what merging leaves of the disk. Outlives the database.
std::unique_ptr<rocksdb::Env> make_environment(std::uint64_t free_bytes);

}  // namespace mayfly::store
