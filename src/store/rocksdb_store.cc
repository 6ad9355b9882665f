// The embedded store. RocksDB joins concurrent synced writes into one fsync by itself; what is
// added here are conditions, clear errors, and small appetites: memory, files, threads, idle
// wake-ups.

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <shared_mutex>

#include "store/evaluate.h"
#include "store/rocksdb_room.h"
#include "store/rocksdb_watch.h"
#include "store/store.h"

namespace mayfly::store {
namespace {

constexpr std::size_t kStripes = 256;
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
// Commits are refused while less than this is free, so that RocksDB itself, which must flush and
// compact to get going again, never meets the end of the disk. What nobody was promised stops
// first.
constexpr std::uint64_t kFreeBytesSynced = 12u << 20;
constexpr std::uint64_t kFreeBytesBuffered = 32u << 20;
// Merging stops first of all.
constexpr std::uint64_t kFreeBytesMerging = 16u << 20;
// What removes may go further: a backlog that fills the disk must be possible to work off.
constexpr std::uint64_t kFreeBytesRemoving = 6u << 20;
// A write takes room twice, in the log and in the table that it is flushed to.
constexpr std::uint64_t kCopies = 2;
constexpr auto kResumePause = std::chrono::seconds(3);
// Rather many small tables than writers that hang because there is no room to merge them.
constexpr int kTablesToSlowDown = 100;
constexpr int kTablesToStop = 1000;

rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

rocksdb::Options make_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.is_fd_close_on_exec = true;
  options.max_open_files = kOpenFilesMax;
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = kWriteBuffersMax;
  options.max_bytes_for_level_base = kFirstLevelBytes;
  options.target_file_size_base = kTableBytes;
  options.max_total_wal_size = kWalBytesMax;
  options.max_background_jobs = 2;
  options.level_compaction_dynamic_level_bytes = true;
  options.avoid_unnecessary_blocking_io = true;
  options.allow_fallocate = false;    // keeps the count of free bytes honest
  options.stats_dump_period_sec = 0;  // no periodic work while idle
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<RocksdbLog>();
  options.info_log_level = rocksdb::ERROR_LEVEL;
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

class RocksdbStore final : public Store {
 public:
  RocksdbStore(std::unique_ptr<rocksdb::Env> env, std::unique_ptr<rocksdb::DB> db,
               std::string directory, std::shared_ptr<BackgroundErrors> errors)
      : env_(std::move(env)),
        db_(std::move(db)),
        directory_(std::move(directory)),
        errors_(std::move(errors)) {}

  ~RocksdbStore() override {
    const auto closed = db_->Close();
    closed.PermitUncheckedError();  // everything promised is synced already
  }

  Result<std::string> get(std::string_view key) override {
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) return Error{Code::not_found, "The key is not in the store."};
    if (!status.ok()) return to_error(status, "read");
    return value;
  }

  Status scan(const Scan& range,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    if (range.first >= range.last || range.limit == 0) return ok();
    rocksdb::ReadOptions options;
    const auto first = slice(range.first);
    const auto last = slice(range.last);
    options.iterate_lower_bound = &first;
    options.iterate_upper_bound = &last;
    std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    std::size_t left = range.limit;
    if (range.reverse) {
      for (at->SeekToLast(); at->Valid() && left > 0; at->Prev(), --left)
        if (!visit(view(at->key()), view(at->value()))) break;
    } else {
      for (at->SeekToFirst(); at->Valid() && left > 0; at->Next(), --left)
        if (!visit(view(at->key()), view(at->value()))) break;
    }
    if (!at->status().ok()) return to_error(at->status(), "read");
    return ok();
  }

  Status commit(const Transaction& transaction, Durability durability) override {
    Change change{&transaction, durability, ok()};
    commit_group({&change, 1});
    return std::move(change.status);
  }

  void commit_group(std::span<Change> group) override {
    check_space(group);
    const auto locks = lock_keys(group);
    rocksdb::WriteBatch batch;
    std::vector<bool> accepted(group.size());
    bool synced = false;
    accept(group, batch, accepted, synced);
    const Status written = batch.Count() == 0 ? ok() : write(batch, synced);
    if (errors_->any()) resume_background();
    if (written.has_value()) return;
    for (std::size_t i = 0; i < group.size(); ++i)
      if (accepted[i]) group[i].status = written;
  }

 private:
  // Locks held by one commit, released in reverse order.
  struct Locks {
    std::vector<std::shared_lock<std::shared_mutex>> shared;
    std::vector<std::unique_lock<std::shared_mutex>> exclusive;
  };

  static std::size_t stripe(std::string_view key) {
    return std::hash<std::string_view>()(key) % kStripes;
  }

  // What a condition reads must not change until the batch is written, so its stripe is locked
  // alone; plain writers share theirs, and so share fsyncs. Ascending order prevents deadlock.
  Locks lock_keys(std::span<const Change> group) {
    enum class Mode : std::uint8_t { none, shared, exclusive };
    std::array<Mode, kStripes> modes;
    modes.fill(Mode::none);
    const auto raise = [&modes](std::string_view key, Mode mode) {
      Mode& now = modes[stripe(key)];
      now = std::max(now, mode);
    };
    for (const auto& change : group) {
      const Transaction& transaction = *change.transaction;
      if (!transaction.delete_ranges.empty())
        for (Mode& mode : modes) mode = std::max(mode, Mode::shared);
      for (const auto& entry : transaction.puts) raise(entry.key, Mode::shared);
      for (const auto& key : transaction.deletes) raise(key, Mode::shared);
      for (const auto& condition : transaction.conditions) raise(condition.key, Mode::exclusive);
      for (const auto& add : transaction.adds) raise(add.key, Mode::exclusive);
    }
    Locks locks;
    for (std::size_t i = 0; i < kStripes; ++i) {
      if (modes[i] == Mode::shared) locks.shared.emplace_back(stripes_[i]);
      if (modes[i] == Mode::exclusive) locks.exclusive.emplace_back(stripes_[i]);
    }
    return locks;
  }

  // Decides for each change that has no error yet, and puts what is accepted into the batch.
  void accept(std::span<Change> group, rocksdb::WriteBatch& batch, std::vector<bool>& accepted,
              bool& synced) {
    std::vector<std::vector<Entry>> sums(group.size());
    Overlay overlay;
    std::size_t overlaid = 0;  // changes before this one are in the overlay
    const Read read = [this, &overlay](std::string_view key) { return read_through(overlay, key); };
    for (std::size_t i = 0; i < group.size(); ++i) {
      Change& change = group[i];
      if (change.status.has_error()) continue;
      const Transaction& transaction = *change.transaction;
      if (!transaction.conditions.empty() || !transaction.adds.empty()) {
        for (; overlaid < i; ++overlaid)
          if (accepted[overlaid]) overlay.apply(*group[overlaid].transaction, sums[overlaid]);
        change.status = evaluate(transaction, read, sums[i]);
      }
      const auto before = batch.Count();
      if (change.status.has_value()) change.status = fill(batch, transaction, sums[i]);
      accepted[i] = change.status.has_value();
      if (batch.Count() != before && change.durability == Durability::synced) synced = true;
    }
  }

  Result<std::optional<std::string>> read_through(const Overlay& overlay, std::string_view key) {
    if (const auto pending = overlay.find(key)) {
      if (!*pending) return std::optional<std::string>();
      return std::optional<std::string>(std::string(**pending));
    }
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error(status, "read");
    return std::optional<std::string>(std::move(value));
  }

  static Status fill(rocksdb::WriteBatch& batch, const Transaction& transaction,
                     const std::vector<Entry>& sums) {
    batch.SetSavePoint();
    rocksdb::Status status;
    for (const auto& [first, last] : transaction.delete_ranges)
      if (status.ok() && first < last) status = batch.DeleteRange(slice(first), slice(last));
    for (const auto& key : transaction.deletes)
      if (status.ok()) status = batch.Delete(slice(key));
    for (const auto& entry : transaction.puts)
      if (status.ok()) status = batch.Put(slice(entry.key), slice(entry.value));
    for (const auto& entry : sums)
      if (status.ok()) status = batch.Put(slice(entry.key), slice(entry.value));
    if (status.ok()) {
      batch.PopSavePoint().PermitUncheckedError();
      return ok();
    }
    batch.RollbackToSavePoint().PermitUncheckedError();
    return Error{Code::internal, "The change does not fit a batch: " + status.ToString(),
                 "write the store"};
  }

  Status write(rocksdb::WriteBatch& batch, bool synced) {
    rocksdb::WriteOptions options;
    options.sync = synced;
    // After a failed write RocksDB refuses all others until it is told that the cause may be gone.
    if (stopped_.load(std::memory_order_acquire)) {
      const auto resumed = db_->Resume();
      if (!resumed.ok()) return to_error(resumed, "write");
      stopped_.store(false, std::memory_order_release);
    }
    const auto status = db_->Write(options, &batch);
    if (status.ok()) return ok();
    stopped_.store(true, std::memory_order_release);
    return to_error(status, "write");
  }

  static std::uint64_t bytes_of(const Transaction& transaction) {
    std::uint64_t bytes = 0;
    for (const auto& entry : transaction.puts) bytes += entry.key.size() + entry.value.size();
    return bytes;
  }

  void check_space(std::span<Change> group) const {
    struct statvfs info;
    if (statvfs(directory_.c_str(), &info) != 0) return;  // the write itself will tell
    const std::uint64_t free = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    std::uint64_t taken = 0;
    for (auto& change : group) {
      const Transaction& transaction = *change.transaction;
      const bool removes = !transaction.deletes.empty() || !transaction.delete_ranges.empty();
      const std::uint64_t reserve = change.durability != Durability::synced ? kFreeBytesBuffered
                                    : removes                               ? kFreeBytesRemoving
                                                                            : kFreeBytesSynced;
      const std::uint64_t bytes = bytes_of(transaction) * kCopies;
      if (free < reserve + taken + bytes)
        change.status = disk_full();
      else
        taken += bytes;
    }
  }

  // After some errors RocksDB stops its work in the background and waits to be told that the cause
  // may be gone.
  void resume_background() {
    const std::unique_lock one(resume_mutex_, std::try_to_lock);
    const auto now = std::chrono::steady_clock::now();
    if (!one.owns_lock() || now - resumed_ < kResumePause) return;
    resumed_ = now;
    errors_->take();
    if (!db_->Resume().ok()) errors_->note();
  }

  Error disk_full() const {
    return Error{Code::io_error,
                 "The disk that holds the data directory " + directory_ +
                     " is full: nothing was changed. Free some space and try again.",
                 "write the store", ENOSPC};
  }

  Error to_error(const rocksdb::Status& status, const char* verb) const {
    if (status.IsNoSpace() || status.ToString().find("No space left") != std::string::npos)
      return disk_full();
    if (status.IsCorruption())
      return Error{Code::corrupt,
                   "The store in " + directory_ + " is damaged: " + status.ToString() +
                       ". Restore it from a backup.",
                   std::string(verb) + " the store"};
    return Error{Code::io_error,
                 "The store in " + directory_ + " cannot be used: " + status.ToString() + ".",
                 std::string(verb) + " the store"};
  }

  const std::unique_ptr<rocksdb::Env> env_;  // outlives the database
  std::unique_ptr<rocksdb::DB> db_;
  const std::string directory_;
  std::array<std::shared_mutex, kStripes> stripes_;
  std::atomic<bool> stopped_ = false;
  const std::shared_ptr<BackgroundErrors> errors_;
  std::mutex resume_mutex_;
  std::chrono::steady_clock::time_point resumed_{};  // protected by resume_mutex_
};

// RocksDB starts them when there is work for the first time, from the thread that has it, whose
// time slice (os/time_slice.h) they would inherit.
void start_background_threads(rocksdb::Env& env) {
  for (const auto priority : {rocksdb::Env::LOW, rocksdb::Env::HIGH})
    env.Schedule([](void*) {}, nullptr, priority);
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocksdb(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return Error{Code::io_error,
                 "The data directory " + directory + " cannot be made: " + error.message() +
                     ". Choose another one with --data.",
                 "open the store", error.value()};
  rocksdb::DB* db = nullptr;
  auto options = make_options();
  const auto errors = std::make_shared<BackgroundErrors>();
  options.listeners.push_back(errors);
  auto env = make_env_that_leaves_room(kFreeBytesMerging);
  options.env = env.get();
  const auto status = rocksdb::DB::Open(options, directory, &db);
  if (status.ok()) {
    start_background_threads(*db->GetEnv());
    std::unique_ptr<Store> store = std::make_unique<RocksdbStore>(
        std::move(env), std::unique_ptr<rocksdb::DB>(db), directory, errors);
    return store;
  }
  const std::string text = status.ToString();
  if (status.IsIOError() && text.find("lock ") != std::string::npos)
    return Error{Code::unavailable,
                 "The data directory " + directory +
                     " is in use by another Mayfly server. Stop that one, or choose another "
                     "directory with --data.",
                 "open the store"};
  if (status.IsNoSpace() || text.find("No space left") != std::string::npos)
    return Error{Code::io_error,
                 "The disk that holds the data directory " + directory +
                     " is full. Free some space and start again.",
                 "open the store", ENOSPC};
  if (status.IsCorruption())
    return Error{
        Code::corrupt,
        "The store in " + directory + " is damaged: " + text + ". Restore it from a backup.",
        "open the store"};
  return Error{Code::io_error, "The store in " + directory + " cannot be opened: " + text + ".",
               "open the store"};
}

}  // namespace mayfly::store
