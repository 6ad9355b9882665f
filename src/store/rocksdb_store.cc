// The embedded store. RocksDB joins concurrent synced writes into one fsync by itself; what is
// added here are conditions, clear errors, and small appetites: memory, files, threads, idle
// wake-ups.

#include <rocksdb/db.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <shared_mutex>

#include "store/evaluate.h"
#include "store/rocksdb_families.h"
#include "store/rocksdb_files.h"
#include "store/rocksdb_open.h"
#include "store/rocksdb_watch.h"
#include "store/store.h"

namespace mayfly::store {
namespace {

constexpr std::size_t kStripes = 256;
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
rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

class RocksdbStore final : public Store {
 public:
  RocksdbStore(std::unique_ptr<rocksdb::Env> env, OpenedDb opened, std::string directory,
               std::shared_ptr<BackgroundErrors> errors)
      : env_(std::move(env)),
        db_(std::move(opened.db)),
        families_(std::move(opened.families)),
        directory_(std::move(directory)),
        errors_(std::move(errors)) {}

  ~RocksdbStore() override {
    for (auto* family : families_) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    const auto closed = db_->Close();
    closed.PermitUncheckedError();  // everything promised is synced already
  }

  Result<std::string> get(std::string_view key) override {
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), of(key), slice(key), &value);
    if (status.IsNotFound()) return Error{Code::not_found, "The key is not in the store."};
    if (!status.ok()) return to_error(status, "read");
    return value;
  }

  Status scan(const Scan& range,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    if (range.first >= range.last || range.limit == 0) return ok();
    auto parts = split_range(range.first, range.last);
    if (range.reverse) std::reverse(parts.begin(), parts.end());
    // All parts as of one moment.
    std::optional<rocksdb::ManagedSnapshot> moment;
    if (parts.size() > 1) moment.emplace(db_.get());
    std::size_t left = range.limit;
    for (const auto& part : parts) {
      if (left == 0) break;
      MAYFLY_TRY(
          scan_part(part, moment ? moment->snapshot() : nullptr, range.reverse, left, visit));
    }
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
  rocksdb::ColumnFamilyHandle* of(std::string_view key) const { return families_[family_of(key)]; }

  // left: how many more entries are wanted; 0 when visit has had enough.
  Status scan_part(const FamilyRange& range, const rocksdb::Snapshot* moment, bool reverse,
                   std::size_t& left,
                   const std::function<bool(std::string_view, std::string_view)>& visit) {
    rocksdb::ReadOptions options;
    options.snapshot = moment;
    const auto first = slice(range.first);
    const auto last = slice(range.last);
    options.iterate_lower_bound = &first;
    options.iterate_upper_bound = &last;
    std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options, families_[range.family]));
    for (reverse ? at->SeekToLast() : at->SeekToFirst(); at->Valid() && left > 0;
         reverse ? at->Prev() : at->Next())
      left = visit(view(at->key()), view(at->value())) ? left - 1 : 0;
    if (!at->status().ok()) return to_error(at->status(), "read");
    return ok();
  }

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
    const auto status = db_->Get(rocksdb::ReadOptions(), of(key), slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error(status, "read");
    return std::optional<std::string>(std::move(value));
  }

  rocksdb::Status remove(rocksdb::WriteBatch& batch, const std::string& key) const {
    const std::size_t family = family_of(key);
    if (family > 0 && kFamilies[family - 1].put_once)
      return batch.SingleDelete(families_[family], slice(key));
    return batch.Delete(families_[family], slice(key));
  }

  Status fill(rocksdb::WriteBatch& batch, const Transaction& transaction,
              const std::vector<Entry>& sums) const {
    batch.SetSavePoint();
    rocksdb::Status status;
    for (const auto& [first, last] : transaction.delete_ranges)
      for (const auto& part : split_range(first, last))
        if (status.ok())
          status = batch.DeleteRange(families_[part.family], slice(part.first), slice(part.last));
    for (const auto& key : transaction.deletes)
      if (status.ok()) status = remove(batch, key);
    for (const auto& entry : transaction.puts)
      if (status.ok()) status = batch.Put(of(entry.key), slice(entry.key), slice(entry.value));
    for (const auto& entry : sums)
      if (status.ok()) status = batch.Put(of(entry.key), slice(entry.key), slice(entry.value));
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
  const Families families_;
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
  OpenedDb opened;
  auto options = make_options();
  const auto errors = std::make_shared<BackgroundErrors>();
  options.listeners.push_back(errors);
  auto env = make_environment(kFreeBytesMerging);
  options.env = env.get();
  const auto status = open_db(options, directory, opened);
  if (status.ok()) {
    start_background_threads(*opened.db->GetEnv());
    std::unique_ptr<Store> store =
        std::make_unique<RocksdbStore>(std::move(env), std::move(opened), directory, errors);
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
  if (status.IsInvalidArgument() && text.find("olumn families not opened") != std::string::npos)
    return Error{Code::unavailable,
                 "The store in " + directory +
                     " was written by a newer version of Mayfly, which keeps keys in parts that "
                     "this one does not know (" +
                     text + "). Start that version, or choose another directory with --data.",
                 "open the store"};
  return Error{Code::io_error, "The store in " + directory + " cannot be opened: " + text + ".",
               "open the store"};
}

}  // namespace mayfly::store
