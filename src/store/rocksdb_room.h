#pragma once
// Keeps merging from filling the disk. RocksDB merges tables into new ones before it deletes the
// old ones, so a merge takes as much room as it reads; on a disk that is nearly full it would take
// the last of it, and with it what commits, flushes and the next start need.

#include <rocksdb/env.h>

#include <memory>

namespace mayfly::store {

// An environment in which writing a table for a merge fails with NoSpace when it would leave less
// than free_bytes; all else goes to the default environment. Outlives the database.
std::unique_ptr<rocksdb::Env> make_env_that_leaves_room(std::uint64_t free_bytes);

// Says that the calling thread merges from now on, or does so no more: flushes write the same kind
// of files, with the same priority when writers wait for them, and must not fail for it.
void set_merging_here(bool merging);

}  // namespace mayfly::store
