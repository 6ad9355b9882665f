#include "identity/roles.h"

#include <gtest/gtest.h>

#include "identity/run_task.h"

namespace mayfly::identity {
namespace {

using testing::run;

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
  const auto made = run(roles.create(role("one")));
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ((*made)->id.size(), 20u);
  EXPECT_TRUE((*made)->id.starts_with("AROA"));
  EXPECT_EQ(run(roles.create(role("one"))).error().code, Code::already_exists);
  Role changed = **made;
  changed.attached["arn:x"] = "x";
  changed.policies["inline"] = "{}";
  ASSERT_TRUE(run(roles.change(*made, changed)).has_value());
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
  const auto basis = run(roles.create(role("one")));
  ASSERT_TRUE(basis.has_value());
  Role first = **basis, second = **basis;
  first.description = "first";
  ASSERT_TRUE(run(roles.change(*basis, first)).has_value());
  EXPECT_EQ(run(roles.change(*basis, second)).error().code, Code::conflict);
  EXPECT_EQ(run(roles.remove(*basis)).error().code, Code::conflict);
  EXPECT_EQ(roles.find("one")->description, "first");
  ASSERT_TRUE(run(roles.remove(roles.find("one"))).has_value());
  EXPECT_EQ(run(roles.remove(*basis)).error().code, Code::not_found);
  EXPECT_EQ(roles.find("one"), nullptr);
}

}  // namespace
}  // namespace mayfly::identity
