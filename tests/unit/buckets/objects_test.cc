#include "buckets/fixture.h"

namespace mayfly::buckets {
namespace {

using ::testing::HasSubstr;

class ObjectsTest : public testing::BucketsTest {};

TEST_F(ObjectsTest, KeepsWhatIsPut) {
  make("things");
  auto put_one = put("things", "a/b", "hello");
  ASSERT_TRUE(put_one.has_value());
  EXPECT_EQ(put_one->etag, "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(bytes_of("things", "a/b"), "hello");
  auto found = run(buckets->get("things", "a/b"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(drain(buckets->read(*found, 1, 3)), "ell");
  EXPECT_EQ(run(buckets->get("things", "other")).error().why, Why::no_such_key);
  EXPECT_EQ(run(buckets->get("nothing", "a/b")).error().why, Why::no_such_bucket);
  EXPECT_EQ(buckets->bytes_kept(), 5u);
}

TEST_F(ObjectsTest, WhatIsReplacedOrRemovedLeavesNoFile) {
  make("things");
  ASSERT_TRUE(put("things", "k", "first").has_value());
  ASSERT_TRUE(put("things", "k", "second one").has_value());
  ASSERT_TRUE(put("things", "empty", "").has_value());
  settle();
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(bytes_of("things", "k"), "second one");
  EXPECT_EQ(bytes_of("things", "empty"), "");
  EXPECT_EQ(buckets->bytes_kept(), 10u);
  const auto removed = run(buckets->remove("things", {"k", "k", "none"}));
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(*removed, 1u);
  settle();
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(buckets->bytes_kept(), 0u);
}

TEST_F(ObjectsTest, AReadGoesOnWhenItsObjectGoes) {
  make("things");
  limits.part_bytes_min = 1;
  open();
  auto upload = run(buckets->begin_upload("things", Upload{"k"}));
  ASSERT_TRUE(upload.has_value());
  Buckets::Completion completion;
  for (std::uint32_t number : {1u, 2u}) {
    auto part =
        run(buckets->put_part("things", *upload, number, content("part" + std::to_string(number))));
    ASSERT_TRUE(part.has_value());
    completion.parts.push_back({number, part->etag, ""});
  }
  ASSERT_TRUE(run(buckets->complete_upload("things", *upload, completion)).has_value());
  auto found = run(buckets->get("things", "k"));
  ASSERT_TRUE(found.has_value());
  auto body = buckets->read(*found, 0, found->object.size);
  found = Found{};
  ASSERT_TRUE(run(buckets->remove("things", {"k"})).has_value());
  settle();
  EXPECT_EQ(files(), 2u) << "somebody reads it";
  EXPECT_EQ(drain(std::move(body)), "part1part2");
  settle();
  EXPECT_EQ(files(), 0u);
}

TEST_F(ObjectsTest, PreconditionsHoldOrNothingChanges) {
  make("things");
  ASSERT_TRUE(put("things", "k", "one", {true, {}}).has_value());
  EXPECT_EQ(put("things", "k", "two", {true, {}}).error().why, Why::precondition_failed);
  EXPECT_EQ(put("things", "k", "two", {false, "abc"}).error().why, Why::precondition_failed);
  EXPECT_EQ(put("things", "other", "two", {false, "abc"}).error().why, Why::no_such_key);
  EXPECT_EQ(bytes_of("things", "k"), "one");
  ASSERT_TRUE(put("things", "k", "two", {false, "f97c5d29941bfb1b2fdab0874906ab82"}).has_value());
  EXPECT_EQ(bytes_of("things", "k"), "two");
  settle();
  EXPECT_EQ(files(), 1u);
}

TEST_F(ObjectsTest, OnlyOneOfManyWritersIsFirst) {
  make("things");
  std::vector<Answer<Object>> answers;
  for (int i = 0; i < 20; ++i) {
    Object object;
    object.key = "k";
    boost::asio::co_spawn(
        loop, buckets->put("things", object, content("writer " + std::to_string(i)), {true, {}}),
        [&](std::exception_ptr failed, Answer<Object> answer) {
          EXPECT_FALSE(failed);
          answers.push_back(std::move(answer));
        });
  }
  while (answers.size() < 20) {
    loop.restart();
    loop.run_one();
  }
  int first = 0;
  for (const auto& answer : answers)
    if (answer.has_value())
      ++first;
    else
      EXPECT_EQ(answer.error().why, Why::precondition_failed);
  EXPECT_EQ(first, 1);
  settle();
  EXPECT_EQ(files(), 1u);
}

TEST_F(ObjectsTest, ListsInOrderWithPrefixesAndPages) {
  make("things");
  for (const auto key : {"a/1", "a/2", "b", "b/x/1", "b/y", "c", "d/1"})
    ASSERT_TRUE(put("things", key, "x").has_value());
  make("things2");
  ASSERT_TRUE(put("things2", "other", "x").has_value());
  EXPECT_EQ(names({"things", "", "", "", 100}), "a/1 a/2 b b/x/1 b/y c d/1");
  EXPECT_EQ(names({"things", "", "/", "", 100}), "*a/ b *b/ c *d/");
  EXPECT_EQ(names({"things", "b/", "/", "", 100}), "*b/x/ b/y");
  EXPECT_EQ(names({"things", "", "/", "", 2}), "*a/ b ...");
  EXPECT_EQ(names({"things", "", "/", "b", 2}), "*b/ c ...");
  EXPECT_EQ(names({"things", "", "/", "b/", 2}), "c *d/");
  EXPECT_EQ(names({"things", "a/", "", "a/1", 100}), "a/2");
  EXPECT_EQ(names({"things", "zz", "", "", 100}), "");
  EXPECT_EQ(names({"things", "", "", "", 0}), "");
  EXPECT_EQ(names({"none", "", "", "", 1}), "error");
}

TEST_F(ObjectsTest, BucketsHaveRules) {
  for (const auto bad : {"ab", "Abc", "a_b", "-abc", "abc.", "a..b", "10.0.0.1"})
    EXPECT_EQ(run(buckets->create(bad, "")).error().error.code, Code::invalid_argument) << bad;
  limits.buckets_max = 2;
  open();
  make("one");
  EXPECT_EQ(run(buckets->create("one", "")).error().why, Why::bucket_exists);
  make("two");
  const auto third = run(buckets->create("three", ""));
  EXPECT_EQ(third.error().why, Why::too_many_buckets);
  EXPECT_THAT(third.error().error.message, HasSubstr("buckets.buckets_max"));
  ASSERT_TRUE(put("one", "k", "x").has_value());
  EXPECT_EQ(run(buckets->remove("one")).error().why, Why::bucket_not_empty);
  ASSERT_TRUE(run(buckets->remove("one", {"k"})).has_value());
  EXPECT_TRUE(run(buckets->remove("one")).has_value());
  EXPECT_EQ(run(buckets->remove("one")).error().why, Why::no_such_bucket);
  EXPECT_EQ(put("one", "k", "x").error().why, Why::no_such_bucket);
}

TEST_F(ObjectsTest, ABucketThatGoesTakesItsUploadsAlong) {
  make("things");
  auto upload = run(buckets->begin_upload("things", Upload{"k"}));
  ASSERT_TRUE(upload.has_value());
  ASSERT_TRUE(run(buckets->put_part("things", *upload, 1, content("bytes"))).has_value());
  ASSERT_TRUE(run(buckets->remove("things")).has_value());
  settle();
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(buckets->bytes_kept(), 0u);
}

TEST_F(ObjectsTest, AllBytesTogetherHaveALimit) {
  limits.bytes_max = 10;
  open();
  make("things");
  ASSERT_TRUE(put("things", "k", "123456").has_value());
  EXPECT_TRUE(buckets->reserve(4).has_value());
  const auto more = buckets->reserve(1);
  ASSERT_TRUE(more.has_error());
  EXPECT_EQ(more.error().why, Why::full);
  EXPECT_THAT(more.error().error.message, HasSubstr("buckets.bytes_max"));
  buckets->release(4);
  EXPECT_TRUE(buckets->reserve(1).has_value());
}

TEST_F(ObjectsTest, AStartRemovesWhatNobodyRefersTo) {
  make("things");
  ASSERT_TRUE(put("things", "k", "kept").has_value());
  auto lost = content("never committed");
  ASSERT_TRUE(lost->settle().has_value());
  lost->keep();  // as after a kill: nobody takes the file away
  auto half = buckets->new_content(Checksum::none, false);
  ASSERT_TRUE(half->write("half").has_value());
  half->keep();
  settle();
  EXPECT_EQ(files(), 4u);
  open();
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(bytes_of("things", "k"), "kept");
  EXPECT_EQ(buckets->bytes_kept(), 4u);
}

}  // namespace
}  // namespace mayfly::buckets
