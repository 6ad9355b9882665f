#include "functions/belongings.h"

#include <gtest/gtest.h>

namespace mayfly::functions {
namespace {

TEST(Belongings, TheStoredFormKeepsEverything) {
  Belongings before;
  before.tags = {{"team", "a"}};
  before.other = {{"aws.policy", "{}"}};
  before.reserved_concurrency = 0;
  Alias& live = before.aliases["live"];
  live.version = 3;
  live.weights = {{4, 0.25}};
  live.revision = "r";
  live.async.emplace();
  live.async->retries = 0;
  live.async->on_failure = "queue:failed";
  before.aliases["old"].version = 1;
  before.provisioned = {{"live", {7, 123}}, {"1", {2, 5}}};
  const auto after = belongings_from_json(belongings_to_json(before));
  ASSERT_TRUE(after.has_value()) << after.error().message;
  EXPECT_EQ(*after, before);
}

TEST(Belongings, WhatAnEarlierServerWroteIsRead) {
  const auto read = belongings_from_json(R"({"aliases":{"live":{"version":2,"weights":{}}}})");
  ASSERT_TRUE(read.has_value());
  EXPECT_FALSE(read->aliases.at("live").async);
  EXPECT_TRUE(read->provisioned.empty());
  EXPECT_TRUE(belongings_from_json("[]").has_error());
}

TEST(Belongings, ProvisionedCallsGoByTheWeightsOfTheAlias) {
  Belongings b;
  b.aliases["live"].version = 1;
  b.aliases["live"].weights = {{2, 0.3}};
  b.provisioned["live"] = {10, 0};
  b.provisioned["5"] = {4, 0};
  EXPECT_EQ(provisioned_calls(b, 1), 7u);
  EXPECT_EQ(provisioned_calls(b, 2), 3u);
  EXPECT_EQ(provisioned_calls(b, 5), 4u);
  EXPECT_EQ(provisioned_calls(b, 0), 0u);
  EXPECT_EQ(provisioned_calls(b, 10), 0u);
  b.provisioned["live"] = {1, 0};
  EXPECT_EQ(provisioned_calls(b, 1) + provisioned_calls(b, 2), 2u) << "never less than asked for";
  b.provisioned["gone"] = {9, 0};
  EXPECT_EQ(provisioned_calls(b, 1), 1u);
}

TEST(Belongings, AsyncSettingsOfAnAliasAreItsOwn) {
  Belongings b;
  b.aliases["live"].version = 1;
  EXPECT_FALSE(alias_async(b, "live"));
  b.aliases["live"].async.emplace().retries = 1;
  ASSERT_TRUE(alias_async(b, "live"));
  EXPECT_EQ(alias_async(b, "live")->retries, 1);
  EXPECT_FALSE(alias_async(b, "none"));
  EXPECT_FALSE(alias_async(b, ""));
}

}  // namespace
}  // namespace mayfly::functions
