#pragma once
// Buckets on a store in memory and a folder of its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "base/ids.h"
#include "buckets/buckets.h"

namespace mayfly::buckets::testing {

class BucketsTest : public ::testing::Test {
 protected:
  BucketsTest() {
    char name[] = "/tmp/mayfly-buckets-XXXXXX";
    folder = mkdtemp(name);
    open();
  }
  ~BucketsTest() override {
    settle();
    buckets.reset();
    std::filesystem::remove_all(folder);
  }

  void open() {
    if (buckets) settle();
    buckets.emplace(
        Buckets::Parts{loop.get_executor(), *store, committer, pool, clock, limits, folder});
    ASSERT_TRUE(buckets->open().has_value());
  }
  // Until everything that was set off has been done.
  void settle() {
    do {
      EXPECT_TRUE(run(committer.commit({}, store::Durability::buffered)).has_value());
      loop.restart();
      loop.poll();
    } while (buckets && !buckets->idle());
  }

  template <class T>
  T run(io::Task<T> task) {
    std::optional<T> value;
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed, T result) {
      EXPECT_FALSE(failed);
      value.emplace(std::move(result));
    });
    while (!value) {
      loop.restart();
      loop.run_one();
    }
    return std::move(*value);
  }

  NewContentPtr content(const std::string& bytes, Checksum algorithm = Checksum::none) {
    auto made = buckets->new_content(algorithm, false);
    EXPECT_TRUE(made->write(bytes).has_value());
    made->finish();
    return made;
  }
  Answer<Object> put(const std::string& bucket, const std::string& key, const std::string& bytes,
                     Precondition precondition = {}) {
    Object object;
    object.key = key;
    return run(buckets->put(bucket, std::move(object), content(bytes), std::move(precondition)));
  }
  void make(const std::string& bucket) {
    ASSERT_TRUE(run(buckets->create(bucket, "us-east-1")).has_value());
  }
  std::string drain(io::BodyReaderPtr body) {
    std::string all;
    while (body) {
      auto piece = run(body->read());
      if (piece.has_error()) return "error: " + piece.error().message;
      if (piece->empty()) break;
      all += *piece;
    }
    return all;
  }
  std::string bytes_of(const std::string& bucket, const std::string& key) {
    auto found = run(buckets->get(bucket, key));
    if (found.has_error()) return "absent";
    return drain(buckets->read(*found, 0, found->object.size));
  }
  // Names of the files that hold bytes, and of those on their way in.
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& one : std::filesystem::recursive_directory_iterator(folder))
      count += one.is_regular_file() ? 1 : 0;
    return count;
  }
  std::string names(ListQuery query) {
    auto page = run(buckets->list(std::move(query)));
    if (page.has_error()) return "error";
    std::string text;
    for (const auto& entry : page->entries)
      text += (text.empty() ? "" : " ") + std::string(entry.object ? "" : "*") + entry.name();
    return text + (page->truncated ? " ..." : "");
  }

  std::string folder;
  boost::asio::io_context loop;
  std::unique_ptr<store::Store> store = store::make_memory_store();
  io::BlockingPool pool{2};
  store::Committer committer{*store, loop.get_executor()};
  SystemClock clock;
  Limits limits;
  std::optional<Buckets> buckets;
};

}  // namespace mayfly::buckets::testing
