#include "store/rocksdb_log.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "store/small_disk.h"
#include "store/store.h"
#include "store/temp_dir.h"

namespace mayfly::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 32u << 10;

std::string record(std::size_t length, char type = 1) {
  std::string bytes = "sum.";
  bytes += static_cast<char>(length & 0xff);
  bytes += static_cast<char>(length >> 8);
  bytes += type;
  return bytes + std::string(length, 'x');
}

class EndOfLogTest : public testing::Test {
 protected:
  std::uint64_t end_of(const std::string& bytes) {
    const std::string path = directory_.path() + "/000001.log";
    std::ofstream(path, std::ios::binary) << bytes;
    return end_of_log(path);
  }
  test::TempDir directory_;
};

TEST_F(EndOfLogTest, IsWhereTheZerosBegin) {
  const std::string two = record(100) + record(3000);
  EXPECT_EQ(end_of(two + std::string(kBlock, '\0')), two.size());
  EXPECT_EQ(end_of(std::string(kBlock, '\0')), 0u);
  EXPECT_EQ(end_of(two), two.size());
  EXPECT_EQ(end_of(""), 0u);
}

TEST_F(EndOfLogTest, WhatIsTooShortForAHeaderIsNoEnd) {
  for (std::size_t rest = 0; rest < 7; ++rest) {
    const std::string block = record(kBlock - 7 - rest) + std::string(rest, '\0');
    const std::string two = block + record(10, 2);
    EXPECT_EQ(end_of(two + std::string(100, '\0')), two.size()) << rest;
    EXPECT_EQ(end_of(block + std::string(kBlock, '\0')), kBlock) << rest;
  }
  // Seven bytes are a header.
  EXPECT_EQ(end_of(record(kBlock - 14) + std::string(7, '\0') + record(10)), kBlock - 7);
}

TEST_F(EndOfLogTest, WhatComesAfterAGapIsNotRead) {
  const std::string block = record(kBlock - 7, 2);
  EXPECT_EQ(end_of(block + std::string(kBlock, '\0') + block), kBlock);
  // The page that is missing begins behind a checksum.
  EXPECT_EQ(end_of(record(100) + "sum." + std::string(kBlock - 111, '\0') + block), 107u);
}

TEST_F(EndOfLogTest, WhatIsNoLogIsLeftToRocksdb) {
  for (const std::string& odd :
       {record(10, 9), record(10, 0), record(kBlock, 1), std::string("some text")}) {
    const std::string bytes = record(5) + odd + std::string(kBlock, '\0');
    EXPECT_EQ(end_of(bytes), bytes.size());
  }
  EXPECT_EQ(end_of_log(directory_.path() + "/missing.log"), UINT64_MAX);
}

class LogAheadTest : public testing::Test {
 protected:
  static std::unique_ptr<Store> open(const std::string& directory) {
    auto opened = open_rocksdb(directory);
    EXPECT_TRUE(opened.has_value()) << opened.error().describe();
    return opened.has_value() ? std::move(*opened) : nullptr;
  }
  static void put(Store& store, int number, Durability durability) {
    const auto text = std::to_string(number);
    ASSERT_TRUE(
        store.commit(Transaction().put("k" + text, text + std::string(900, 'v')), durability)
            .has_value());
  }
  static bool has(Store& store, int number) {
    return store.get("k" + std::to_string(number)).has_value();
  }
  // The one that is written to.
  static std::string log_in(const std::string& directory) {
    std::string last;
    for (const auto& entry : fs::directory_iterator(directory))
      if (entry.path().extension() == ".log") last = std::max(last, entry.path().string());
    return last;
  }
  // As the disk would be if the power failed now and everything written had come to it.
  std::string cut_power(const std::string& directory) {
    const std::string copy = copies_.path() + "/" + std::to_string(++count_);
    fs::copy(directory, copy, fs::copy_options::recursive);
    return copy;
  }

  test::TempDir directory_, copies_;
  int count_ = 0;
};

TEST_F(LogAheadTest, CommitsDoNotLetTheFileGrow) {
  const auto store = open(directory_.path());
  put(*store, 0, Durability::synced);
  const std::string log = log_in(directory_.path());
  const auto size = fs::file_size(log), end = end_of_log(log);
  EXPECT_GT(size, end);
  for (int i = 1; i < 100; ++i) put(*store, i, Durability::synced);
  EXPECT_EQ(fs::file_size(log), size);
  EXPECT_GE(end_of_log(log), end + 99 * 900);
}

TEST_F(LogAheadTest, TakesNothingOfADiskThatIsNearlyFull) {
  const test::SmallDisk disk("size=60m");
  if (!disk.mounted()) GTEST_SKIP() << "needs root, to mount a small file system";
  const auto store = open(disk.path());
  for (int i = 0; i < 10; ++i) put(*store, i, Durability::synced);
  const std::string log = log_in(disk.path());
  EXPECT_EQ(fs::file_size(log), end_of_log(log));
  EXPECT_GT(end_of_log(log), 9'000u);
}

TEST_F(LogAheadTest, AClosedLogHasNoZeros) {
  auto store = open(directory_.path());
  for (int i = 0; i < 10; ++i) put(*store, i, Durability::synced);
  const std::string log = log_in(directory_.path());
  store.reset();
  EXPECT_EQ(fs::file_size(log), end_of_log(log));
  store = open(directory_.path());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(has(*store, i)) << i;
}

TEST_F(LogAheadTest, WhatWasWrittenIsThereAfterAPowerCut) {
  const auto store = open(directory_.path());
  // Past several portions of zeros, and past one at once.
  for (int i = 0; i < 2000; ++i) put(*store, i, Durability::buffered);
  ASSERT_TRUE(
      store->commit(Transaction().put("large", std::string(1u << 20, 'l')), Durability::synced)
          .has_value());
  put(*store, 2000, Durability::synced);
  const auto copy = open(cut_power(directory_.path()));
  for (int i = 0; i <= 2000; ++i) ASSERT_TRUE(has(*copy, i)) << i;
  EXPECT_EQ(copy->get("large")->size(), 1u << 20);
}

// Pages reach the disk in any order until the next fsync. What is there after a start is what was
// written up to some moment, and all that was synced.
class GapTest : public LogAheadTest {
 protected:
  static constexpr int kSynced = 200, kAll = 700;
  static constexpr std::uint64_t kPage = 4096;

  static std::string key(int number) { return std::to_string(20'000 + number); }
  static void write(Store& store, int number, std::size_t size, Durability durability) {
    ASSERT_TRUE(store.commit(Transaction().put(key(number), std::string(size, 'v')), durability)
                    .has_value());
  }
  // Size of a value whose record is so long.
  std::size_t value_for(Store& store, std::size_t record) {
    const auto end = [this] { return end_of_log(log_in(directory_.path())); };
    write(store, -2, 1000, Durability::synced);
    const std::uint64_t before = end();
    write(store, -1, 1000, Durability::synced);
    const std::size_t overhead = end() - before - 1000;
    // What follows begins with a page.
    write(store, 0, 2 * kPage - end() % kPage - overhead, Durability::synced);
    EXPECT_EQ(end() % kPage, 0u);
    return record - overhead;
  }
  // Writes, loses pages of what was not synced, and looks at what is there.
  void lose_pages(std::size_t record, std::uint64_t pages) {
    const auto store = open(directory_.path());
    ASSERT_NE(store, nullptr);
    const std::size_t size = value_for(*store, record);
    for (int i = 1; i < kSynced; ++i) write(*store, i, size, Durability::buffered);
    write(*store, kSynced, size, Durability::synced);
    const std::uint64_t first = end_of_log(log_in(directory_.path())) / kPage + 1;
    for (int i = kSynced + 1; i < kAll; ++i) write(*store, i, size, Durability::buffered);
    const std::uint64_t last = end_of_log(log_in(directory_.path())) / kPage - pages;
    for (int round = 0; round < 10; ++round) {
      const std::string copy = cut_power(directory_.path());
      const std::uint64_t lost = first + (last - first) * static_cast<std::uint64_t>(round) / 10;
      std::fstream file(log_in(copy), std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(static_cast<std::streamoff>(lost * kPage));
      file << std::string(pages * kPage, '\0');
      file.close();
      const auto after = open(copy);
      ASSERT_NE(after, nullptr);
      int gone = 0;
      while (gone < kAll && after->get(key(gone)).has_value()) ++gone;
      EXPECT_GT(gone, kSynced);
      EXPECT_LT(gone, kAll);
      for (int i = gone; i < kAll; ++i)
        ASSERT_FALSE(after->get(key(i)).has_value()) << i << " without " << gone;
    }
  }
};

TEST_F(GapTest, OfWholeRecordsEndsWhatIsThere) {
  lose_pages(kPage, 1);
}

TEST_F(GapTest, InARecordEndsWhatIsThere) {
  lose_pages(911, 1);
}

TEST_F(GapTest, OfWholeBlocksEndsWhatIsThere) {
  lose_pages(911, 16);
}

}  // namespace
}  // namespace mayfly::store
