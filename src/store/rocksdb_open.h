#pragma once
// How the database is made: small appetites, families of keys, and what an earlier version left
// where it is not kept any more.

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace mayfly::store {

// By number (rocksdb_families.h).
using Families = std::vector<rocksdb::ColumnFamilyHandle*>;

struct OpenedDb {
  std::unique_ptr<rocksdb::DB> db;
  Families families;  // to be given back before the database is closed
};

// Blocks. Options of the database and of all its families but for what differs between them.
rocksdb::Options make_options();
rocksdb::Status open_db(const rocksdb::Options& options, const std::string& directory,
                        OpenedDb& opened);

}  // namespace mayfly::store
