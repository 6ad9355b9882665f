#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "dialects/logs/groups.h"

namespace mayfly::dialects::logs {
namespace {

Status run_group(io::Task<Status> task) {
  boost::asio::io_context loop;
  std::optional<Status> result;
  boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed, Status status) {
    EXPECT_FALSE(failed);
    result = std::move(status);
  });
  loop.run();
  return std::move(*result);
}

TEST(LogGroups, OutliveTheServer) {
  const auto store = store::make_memory_store();
  io::BlockingPool pool{1};
  Groups groups({*store, pool});
  ASSERT_TRUE(run_group(groups.put("/aws/lambda/f", {5, 7, {{"a", "1"}}})).has_value());
  ASSERT_TRUE(run_group(groups.put("other", {6, 0, {}})).has_value());
  ASSERT_TRUE(run_group(groups.remove("other")).has_value());
  Groups again({*store, pool});
  ASSERT_TRUE(again.load().has_value());
  ASSERT_EQ(again.all().size(), 1u);
  const Group* found = again.find("/aws/lambda/f");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->created_us, 5);
  EXPECT_EQ(found->retention_days, 7);
  EXPECT_EQ(found->tags, (std::map<std::string, std::string>{{"a", "1"}}));
  EXPECT_EQ(again.find("other"), nullptr);
}

TEST(LogGroups, ABrokenRowIsNamed) {
  const auto store = store::make_memory_store();
  store::Transaction broken;
  broken.put("lg/mine", "\x01{");
  ASSERT_TRUE(store->commit(broken, store::Durability::synced).has_value());
  io::BlockingPool pool{1};
  Groups groups({*store, pool});
  const Status loaded = groups.load();
  ASSERT_TRUE(loaded.has_error());
  EXPECT_NE(loaded.error().message.find("mine"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::dialects::logs
