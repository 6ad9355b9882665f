#include "store/rocksdb_open.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>

#include "base/log.h"
#include "store/rocksdb_families.h"
#include "store/rocksdb_watch.h"
#include "store/store.h"

namespace mayfly::store {
namespace {

constexpr std::size_t kBlockCacheBytes = 8u << 20;
constexpr std::size_t kWriteBufferBytes = 4u << 20;
constexpr int kWriteBuffersMax = 8;  // writers hang when all of them wait for a flush
// As much as is flushed before it is merged, in small tables: with RocksDB's 256 and 64 MB each
// merge of new messages wrote all the older ones again, which took more of a core than sending
// them.
constexpr std::uint64_t kFirstLevelBytes = 16u << 20;
constexpr std::uint64_t kTableBytes = 4u << 20;
constexpr std::uint64_t kWalBytesMax = 32u << 20;
constexpr int kOpenFilesMax = 128;
// Rather many small tables than writers that hang because there is no room to merge them.
constexpr int kTablesToSlowDown = 100;
constexpr int kTablesToStop = 1000;

constexpr int kFamilyTablesToMerge = 8;
// What comes and goes in order is read in order, too, mostly by merges: long blocks and reads.
constexpr std::size_t kFamilyBlockBytes = 16u << 10;
constexpr std::size_t kMergeReadBytes = 256u << 10;
constexpr std::size_t kMovedAtOnceBytes = 1u << 20;

// Keys of a family that the default one still holds, since the family did not exist when they were
// written. Each batch moves its keys as a whole: a kill on the way costs nothing.
rocksdb::Status move_in(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* to, std::string_view prefix,
                        std::uint64_t& moved) {
  const std::string end = prefix_end(prefix);
  const rocksdb::Slice low(prefix.data(), prefix.size()), high = end;
  rocksdb::ReadOptions reading;
  reading.iterate_lower_bound = &low;
  reading.iterate_upper_bound = &high;
  reading.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator(reading));
  rocksdb::WriteBatch batch;
  rocksdb::WriteOptions writing;
  for (at->SeekToFirst(); at->Valid(); at->Next(), ++moved) {
    auto status = batch.Put(to, at->key(), at->value());
    if (status.ok()) status = batch.Delete(at->key());
    if (status.ok() && batch.GetDataSize() >= kMovedAtOnceBytes) {
      status = db.Write(writing, &batch);
      batch.Clear();
    }
    if (!status.ok()) return status;
  }
  if (!at->status().ok() || batch.Count() == 0) return at->status();
  writing.sync = true;
  return db.Write(writing, &batch);
}

}  // namespace

rocksdb::Options make_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.is_fd_close_on_exec = true;
  options.max_open_files = kOpenFilesMax;
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = kWriteBuffersMax;
  options.max_bytes_for_level_base = kFirstLevelBytes;
  options.target_file_size_base = kTableBytes;
  options.max_total_wal_size = kWalBytesMax;
  options.max_background_jobs = 2;
  options.compaction_readahead_size = kMergeReadBytes;
  options.level_compaction_dynamic_level_bytes = true;
  options.avoid_unnecessary_blocking_io = true;
  options.allow_fallocate = false;    // keeps the count of free bytes honest
  options.stats_dump_period_sec = 0;  // no periodic work while idle
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<RocksdbLog>();
  options.info_log_level = rocksdb::ERROR_LEVEL;
  options.enforce_single_del_contracts = false;  // a merge must not end the server
  options.level0_slowdown_writes_trigger = kTablesToSlowDown;
  options.level0_stop_writes_trigger = kTablesToStop;
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 =
      std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end();
  options.compression = lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  // What is young is mostly gone soon: messages, records of calls.
  options.compression_per_level = {rocksdb::kNoCompression, rocksdb::kNoCompression,
                                   options.compression};
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::Status open_db(const rocksdb::Options& options, const std::string& directory,
                        OpenedDb& opened) {
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted{{rocksdb::kDefaultColumnFamilyName, options}};
  auto table = *options.table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
  table.block_size = kFamilyBlockBytes;  // their cache is the same
  const std::shared_ptr<rocksdb::TableFactory> tables(rocksdb::NewBlockBasedTableFactory(table));
  for (const auto& family : kFamilies) {
    rocksdb::ColumnFamilyOptions own(options);
    own.table_factory = tables;
    // New ones go to the end and old ones from the front, so a table that has just been flushed
    // reaches over all that is between. Merged with little, its ends go down without that.
    own.max_bytes_for_level_base = kTableBytes;
    own.level0_file_num_compaction_trigger = kFamilyTablesToMerge;
    if (!family.compressed) {
      // Also what goes from level to level is only moved then, as long as nothing overlaps.
      own.compression = rocksdb::kNoCompression;
      own.compression_per_level.clear();
    }
    wanted.emplace_back(family.name, own);
  }
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(options, directory, wanted, &opened.families, &db);
  if (!status.ok()) return status;
  opened.db.reset(db);
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    std::uint64_t moved = 0;
    status = move_in(*db, opened.families[i + 1], kFamilies[i].prefix, moved);
    if (!status.ok()) {
      for (auto* family : opened.families)
        db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
      opened.families.clear();
      return status;
    }
    if (moved > 0)
      log::info("store: {} keys of an earlier version went to the family {}", moved,
                kFamilies[i].name);
  }
  return status;
}

}  // namespace mayfly::store
