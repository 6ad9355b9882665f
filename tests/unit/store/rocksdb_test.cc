// What only the embedded store on a disk can show: kill -9, a second server, a full disk, rest.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <rocksdb/db.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "os/fd.h"
#include "store/small_disk.h"
#include "store/store.h"
#include "store/temp_dir.h"

extern char** environ;

#if defined(__x86_64__)
extern "C" std::uint32_t __wrap__ZN7rocksdb6crc32c6ExtendEjPKcm(std::uint32_t crc, const char* data,
                                                                std::size_t size);
#endif

namespace mayfly::store {
namespace {

using ::testing::HasSubstr;

constexpr char kChildDirectory[] = "MAYFLY_STORE_CHILD_DIR";
constexpr char kChildRound[] = "MAYFLY_STORE_CHILD_ROUND";
constexpr int kReportFd = 3;
constexpr int kWriters = 4;

std::unique_ptr<Store> open_or_die(const std::string& directory) {
  auto opened = open_rocksdb(directory);
  EXPECT_TRUE(opened.has_value()) << opened.error().describe();
  return opened.has_value() ? std::move(*opened) : nullptr;
}

std::string row(int round, int writer, int i, const char* half) {
  return std::to_string(round) + "/" + std::to_string(writer) + "/" + std::to_string(i) + "/" +
         half;
}

struct Child {
  pid_t pid = -1;
  os::Fd report;
};

// Runs one test of this program in a new process that reports to a pipe at fd 3.
Child start_child(const std::string& test, const std::string& directory, int round) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  os::Fd write_end(ends[1]);
  Child child;
  child.report.reset(ends[0]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), kReportFd);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const std::string filter = "--gtest_filter=" + test;
  const std::string where = std::string(kChildDirectory) + "=" + directory;
  const std::string which = std::string(kChildRound) + "=" + std::to_string(round);
  std::vector<char*> env;
  for (char** at = environ; *at != nullptr; ++at) env.push_back(*at);
  env.push_back(const_cast<char*>(where.c_str()));
  env.push_back(const_cast<char*>(which.c_str()));
  env.push_back(nullptr);
  char program[] = "/proc/self/exe";
  char also[] = "--gtest_also_run_disabled_tests";
  char* const argv[] = {program, const_cast<char*>(filter.c_str()), also, nullptr};
  EXPECT_EQ(posix_spawn(&child.pid, program, &actions, nullptr, argv, env.data()), 0);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

// Not a test of its own: the victim of KillLosesNothingAcknowledged.
TEST(StoreChild, DISABLED_WritesUntilKilled) {
  const char* directory = getenv(kChildDirectory);
  ASSERT_NE(directory, nullptr) << "runs only as the child of another test";
  const int round = atoi(getenv(kChildRound));
  auto store = open_or_die(directory);
  ASSERT_NE(store, nullptr);
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer)
    threads.emplace_back([&, writer] {
      for (int i = 0;; ++i) {
        Transaction transaction;
        transaction.put(row(round, writer, i, "a"), std::string(100 + i % 900, 'x'));
        transaction.put(row(round, writer, i, "b"), "y");
        if (i % 3 == 0) transaction.require(row(round, writer, i, "a"), std::nullopt);
        if (!store->commit(transaction, Durability::synced).has_value()) return;
        const int report[2] = {writer, i};
        if (write(kReportFd, report, sizeof(report)) != sizeof(report)) return;
      }
    });
  for (auto& thread : threads) thread.join();
}

TEST(StoreChild, DISABLED_TriesToOpen) {
  const char* directory = getenv(kChildDirectory);
  ASSERT_NE(directory, nullptr) << "runs only as the child of another test";
  const auto opened = open_rocksdb(directory);
  const std::string text = opened.has_value() ? "opened" : opened.error().message;
  ASSERT_EQ(write(kReportFd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(RocksdbStore, KillLosesNothingAcknowledged) {
  constexpr int kRounds = 25;
  test::TempDir directory;
  std::random_device seed_source;
  const auto seed = seed_source();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < kRounds; ++round) {
    Child child = start_child("StoreChild.DISABLED_WritesUntilKilled", directory.path(), round);
    const int kill_after = static_cast<int>(random() % 150);
    std::map<int, int> acknowledged;  // writer -> last i
    int reports = 0;
    int report[2];
    while (read(child.report.get(), report, sizeof(report)) == sizeof(report)) {
      acknowledged[report[0]] = report[1];
      if (++reports == kill_after + 1) kill(child.pid, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "round " << round;
    auto store = open_or_die(directory.path());
    ASSERT_NE(store, nullptr);
    for (const auto& [writer, last] : acknowledged) {
      for (int i = 0; i <= last; ++i)
        ASSERT_TRUE(store->get(row(round, writer, i, "a")).has_value())
            << "round " << round << " writer " << writer << " lost " << i << " of " << last;
      // What was not acknowledged is there as a whole or not at all.
      for (int i = 0; i <= last + 1; ++i)
        ASSERT_EQ(store->get(row(round, writer, i, "a")).has_value(),
                  store->get(row(round, writer, i, "b")).has_value())
            << "half a transaction";
    }
  }
}

TEST(RocksdbStore, SecondServerIsToldWhoHasTheDirectory) {
  test::TempDir directory;
  auto store = open_or_die(directory.path());
  ASSERT_NE(store, nullptr);
  const auto again = open_rocksdb(directory.path());
  ASSERT_TRUE(again.has_error());
  EXPECT_EQ(again.error().code, Code::unavailable);
  EXPECT_THAT(again.error().message, HasSubstr(directory.path()));
  EXPECT_THAT(again.error().message, HasSubstr("in use by another Mayfly server"));

  Child child = start_child("StoreChild.DISABLED_TriesToOpen", directory.path(), 0);
  std::string text;
  char buffer[512];
  ssize_t got;
  while ((got = read(child.report.get(), buffer, sizeof(buffer))) > 0)
    text.append(buffer, static_cast<std::size_t>(got));
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_THAT(text, HasSubstr(directory.path()));
  EXPECT_THAT(text, HasSubstr("in use by another Mayfly server"));
  EXPECT_TRUE(store->commit(Transaction().put("still", "works"), Durability::synced).has_value());
}

TEST(RocksdbStore, DirectoryThatCannotBeMadeIsNamed) {
  const auto opened = open_rocksdb("/proc/no/such/place");
  ASSERT_TRUE(opened.has_error());
  EXPECT_EQ(opened.error().code, Code::io_error);
  EXPECT_THAT(opened.error().message, HasSubstr("/proc/no/such/place"));
}

TEST(RocksdbStore, SurvivesCloseAndOpen) {
  test::TempDir directory;
  {
    auto store = open_or_die(directory.path());
    ASSERT_TRUE(store->commit(Transaction().put("a", "1"), Durability::synced).has_value());
    ASSERT_TRUE(store->commit(Transaction().put("b", "2"), Durability::buffered).has_value());
  }
  auto store = open_or_die(directory.path());
  EXPECT_EQ(*store->get("a"), "1");
  EXPECT_EQ(*store->get("b"), "2");
}

// As versions did that kept all keys together.
void write_without_families(const std::string& directory,
                            const std::map<std::string, std::string>& entries) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, directory, &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  for (const auto& [key, value] : entries)
    ASSERT_TRUE(db->Put(rocksdb::WriteOptions(), key, value).ok());
  ASSERT_TRUE(db->Close().ok());
}

TEST(RocksdbStore, ReadsWhatWasWrittenBeforeThereWereFamilies) {
  test::TempDir directory;
  std::map<std::string, std::string> entries{{"a", "1"}, {"calls/k/x", "2"}, {"qw\x01", "3"}};
  for (int i = 0; i < 3000; ++i) {  // more than one batch of the migration
    const std::string number = std::to_string(i);
    entries["calls/r/" + number] = std::string(300, 'c');
    entries["qm" + number] = std::string(500, 'm');
  }
  write_without_families(directory.path(), entries);
  for (int round = 0; round < 2; ++round) {
    auto store = open_or_die(directory.path());
    ASSERT_NE(store, nullptr);
    std::map<std::string, std::string> found;
    ASSERT_TRUE(store
                    ->scan({"", "~"},
                           [&](std::string_view key, std::string_view value) {
                             found.emplace(key, value);
                             return true;
                           })
                    .has_value());
    EXPECT_EQ(found, entries) << "round " << round;
    ASSERT_TRUE(store->commit(Transaction().remove("qm7").remove("calls/r/7"), Durability::synced)
                    .has_value());
    EXPECT_TRUE(store->get("qm7").has_error());
    entries.erase("qm7");
    entries.erase("calls/r/7");
  }
}

TEST(RocksdbStore, DirectoryOfANewerVersionIsRefused) {
  test::TempDir directory;
  open_or_die(directory.path()).reset();
  {
    rocksdb::Options options;
    options.create_missing_column_families = true;
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(options, directory.path(), &names).ok());
    names.emplace_back("of-the-future");
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const auto& name : names) families.emplace_back(name, options);
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(options, directory.path(), families, &handles, &opened).ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    for (auto* handle : handles) ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    ASSERT_TRUE(db->Close().ok());
  }
  const auto opened = open_rocksdb(directory.path());
  ASSERT_TRUE(opened.has_error());
  EXPECT_THAT(opened.error().message, HasSubstr("newer version"));
  EXPECT_THAT(opened.error().message, HasSubstr("of-the-future"));
}

// What comes and goes at once never reaches a table; what goes later takes its entry along.
TEST(RocksdbStore, MessagesThatAreGoneLeaveNothing) {
  test::TempDir directory;
  const std::string body(20'000, 'b');
  {
    auto store = open_or_die(directory.path());
    ASSERT_NE(store, nullptr);
    for (int i = 0; i < 3000; ++i) {
      const std::string key = "qm" + std::to_string(i);
      ASSERT_TRUE(store->commit(Transaction().put(key, body), Durability::buffered).has_value());
      ASSERT_TRUE(store->commit(Transaction().remove(key), Durability::buffered).has_value());
    }
  }
  auto store = open_or_die(directory.path());  // has flushed what the log held
  std::uintmax_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory.path()))
    if (file.path().extension() == ".sst") bytes += file.file_size();
  EXPECT_LT(bytes, 100 * body.size());
  EXPECT_TRUE(store->get("qm0").has_error());
}

#if defined(__x86_64__)
// Against the definition, bit by bit, and the value that RFC 3720 gives.
TEST(WalChecksum, IsCrc32c) {
  if (!__builtin_cpu_supports("sse4.2")) GTEST_SKIP() << "the library's own is used";
  const auto slow = [](std::uint32_t crc, std::string_view text) {
    crc = ~crc;
    for (const char c : text) {
      crc ^= static_cast<unsigned char>(c);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    }
    return ~crc;
  };
  const auto fast = [](std::uint32_t crc, std::string_view text) {
    return __wrap__ZN7rocksdb6crc32c6ExtendEjPKcm(crc, text.data(), text.size());
  };
  EXPECT_EQ(fast(0, std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(fast(0, "123456789"), 0xe3069283u);
  std::string text;
  std::mt19937 random(11);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(fast(7, text), slow(7, text)) << i;
    EXPECT_EQ(fast(0, text), fast(fast(0, text.substr(0, text.size() / 3)),
                                  std::string_view(text).substr(text.size() / 3)));
    text += static_cast<char>(random());
  }
}
#endif

TEST(RocksdbStore, FullDiskChangesNothingAndSpaceHeals) {
  test::SmallDisk disk("size=48m");
  if (!disk.mounted()) GTEST_SKIP() << "needs the privilege to mount a small file system";
  auto store = open_or_die(disk.path() + "/store");
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->commit(Transaction().put("before", "1"), Durability::synced).has_value());

  std::ofstream filler(disk.path() + "/filler");
  const std::string megabyte(1 << 20, 'f');
  while (filler.write(megabyte.data(), static_cast<std::streamsize>(megabyte.size())).flush()) {
  }
  filler.close();
  Transaction pair;
  pair.put("after/a", std::string(100'000, 'a')).put("after/b", "b").remove("before");
  for (const auto durability : {Durability::synced, Durability::buffered}) {
    const auto full = store->commit(pair, durability);
    ASSERT_TRUE(full.has_error());
    EXPECT_EQ(full.error().code, Code::io_error);
    EXPECT_THAT(full.error().message, HasSubstr("is full"));
    EXPECT_THAT(full.error().message, HasSubstr(disk.path()));
  }
  EXPECT_TRUE(store->get("before").has_value());
  EXPECT_TRUE(store->get("after/b").has_error());

  std::filesystem::remove(disk.path() + "/filler");
  ASSERT_TRUE(store->commit(pair, Durability::synced).has_value());
  store.reset();
  store = open_or_die(disk.path() + "/store");
  EXPECT_EQ(*store->get("after/b"), "b");
  EXPECT_TRUE(store->get("before").has_error());
}

// Writes until the small disk itself says no, however it says it: what was acknowledged stays.
TEST(RocksdbStore, FillingTheDiskWithDataKeepsWhatWasAcknowledged) {
  test::SmallDisk disk("size=40m");
  if (!disk.mounted()) GTEST_SKIP() << "needs the privilege to mount a small file system";
  auto store = open_or_die(disk.path() + "/store");
  ASSERT_NE(store, nullptr);
  std::mt19937_64 random(7);
  int written = 0;
  for (;; ++written) {
    std::string value(256 * 1024, '\0');
    for (auto& c : value) c = static_cast<char>(random());
    Transaction transaction;
    transaction.put("k" + std::to_string(written), value);
    const auto status = store->commit(transaction, Durability::synced);
    if (status.has_error()) {
      EXPECT_THAT(status.error().message, HasSubstr("is full"));
      break;
    }
    ASSERT_LT(written, 1000) << "a disk of 40 MB took it all";
  }
  store.reset();
  store = open_or_die(disk.path() + "/store");
  ASSERT_NE(store, nullptr);
  for (int i = 0; i < written; ++i)
    ASSERT_TRUE(store->get("k" + std::to_string(i)).has_value()) << i << " of " << written;
}

// Leaves so many bytes of the disk.
void fill_but(const std::string& disk, std::uint64_t left) {
  std::ofstream filler(disk + "/filler", std::ios::app);
  const std::string piece(16 << 10, 'f');
  while (std::filesystem::space(disk).available > left &&
         filler.write(piece.data(), static_cast<std::streamsize>(piece.size())).flush()) {
  }
}

TEST(RocksdbStore, OpeningOnADiskThatIsFullToTheLastByteSaysSo) {
  test::SmallDisk disk("size=48m");
  if (!disk.mounted()) GTEST_SKIP() << "needs the privilege to mount a small file system";
  auto store = open_or_die(disk.path() + "/store");
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->commit(Transaction().put("k", std::string(1 << 20, 'v')), Durability::synced)
                  .has_value());
  store.reset();
  fill_but(disk.path(), 0);
  for (int i = 0; i < 2; ++i) {
    const auto opened = open_rocksdb(disk.path() + "/store");
    ASSERT_TRUE(opened.has_error());
    EXPECT_EQ(opened.error().code, Code::io_error);
    EXPECT_THAT(opened.error().message, HasSubstr("is full"));
  }
  std::filesystem::remove(disk.path() + "/filler");
  store = open_or_die(disk.path() + "/store");
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(store->get("k").has_value());
}

TEST(RocksdbStore, WhatRemovesMayGoFurtherIntoAFullDisk) {
  test::SmallDisk disk("size=64m");
  if (!disk.mounted()) GTEST_SKIP() << "needs the privilege to mount a small file system";
  auto store = open_or_die(disk.path() + "/store");
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(
      store->commit(Transaction().put("a", "1").put("b", "2").put("c", "3"), Durability::synced)
          .has_value());
  fill_but(disk.path(), 9u << 20);
  EXPECT_TRUE(store->commit(Transaction().put("d", "4"), Durability::synced).has_error());
  EXPECT_TRUE(
      store->commit(Transaction().remove("a").put("done", "a"), Durability::synced).has_value());
  EXPECT_TRUE(store
                  ->commit(Transaction().remove("b").put("large", std::string(2 << 20, 'x')),
                           Durability::synced)
                  .has_error())
      << "for what brings much, removing something is no excuse";
  Transaction range;
  range.delete_ranges.emplace_back("b", "c");
  EXPECT_TRUE(store->commit(range, Durability::synced).has_value());
  EXPECT_TRUE(store->get("b").has_error());
  EXPECT_TRUE(store->get("c").has_value());
}

TEST(RocksdbStore, DescriptorsAreFewAndCloseOnExec) {
  test::TempDir directory;
  auto count = [&](bool& all_cloexec) {
    std::size_t found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      const auto target = std::filesystem::read_symlink(entry.path(), error).string();
      if (error || target.rfind(directory.path(), 0) != 0) continue;
      ++found;
      const int flags = fcntl(std::stoi(entry.path().filename()), F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) all_cloexec = false;
    }
    return found;
  };
  auto store = open_or_die(directory.path());
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(store
                    ->commit(Transaction().put(std::to_string(i), std::string(100'000, 'z')),
                             Durability::buffered)
                    .has_value());
  bool all_cloexec = true;
  EXPECT_LE(count(all_cloexec), 60u);
  EXPECT_TRUE(all_cloexec);
}

}  // namespace
}  // namespace mayfly::store
