#include "identity/roles.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

namespace mayfly::identity {
namespace {

template <class T>
T run_role(io::Task<T> task) {
  boost::asio::io_context loop;
  std::optional<T> result;
  boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed, T value) {
    EXPECT_FALSE(failed);
    result = std::move(value);
  });
  loop.run();
  return std::move(*result);
}

struct RolesTest : ::testing::Test {
  std::unique_ptr<store::Store> store = store::make_memory_store();
  io::BlockingPool pool{1};
  SystemClock clock;
  Roles roles{{*store, pool, clock}};

  Role role(const std::string& name) {
    Role made;
    made.name = name;
    made.trust = "{}";
    made.tags = {{"a", "1"}};
    return made;
  }
};

TEST_F(RolesTest, OutliveTheServer) {
  const auto made = run_role(roles.create(role("one")));
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ((*made)->id.size(), 20u);
  EXPECT_TRUE((*made)->id.starts_with("AROA"));
  EXPECT_EQ(run_role(roles.create(role("one"))).error().code, Code::already_exists);
  Role changed = **made;
  changed.attached["arn:x"] = "x";
  changed.policies["inline"] = "{}";
  ASSERT_TRUE(run_role(roles.change(*made, changed)).has_value());
  Roles again({*store, pool, clock});
  ASSERT_TRUE(again.load().has_value());
  const auto found = again.find("one");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->id, (*made)->id);
  EXPECT_EQ(found->created, (*made)->created);
  EXPECT_EQ(found->tags, changed.tags);
  EXPECT_EQ(found->attached, changed.attached);
  EXPECT_EQ(found->policies, changed.policies);
  EXPECT_EQ(again.list().size(), 1u);
}

TEST_F(RolesTest, AChangeOfWhatWasChangedIsRefused) {
  const auto basis = run_role(roles.create(role("one")));
  ASSERT_TRUE(basis.has_value());
  Role first = **basis, second = **basis;
  first.description = "first";
  ASSERT_TRUE(run_role(roles.change(*basis, first)).has_value());
  EXPECT_EQ(run_role(roles.change(*basis, second)).error().code, Code::conflict);
  EXPECT_EQ(run_role(roles.remove(*basis)).error().code, Code::conflict);
  EXPECT_EQ(roles.find("one")->description, "first");
  ASSERT_TRUE(run_role(roles.remove(roles.find("one"))).has_value());
  EXPECT_EQ(run_role(roles.remove(*basis)).error().code, Code::not_found);
  EXPECT_EQ(roles.find("one"), nullptr);
}

}  // namespace
}  // namespace mayfly::identity
