// Storage classes and notifications: what is kept, who is told.

#include "buckets/fixture.h"

namespace mayfly::buckets {
namespace {

using ::testing::HasSubstr;

Notification notification(std::string id, std::vector<std::string> events, std::string prefix = "",
                          std::string suffix = "") {
  return {std::move(id), "function:f", std::move(events), std::move(prefix), std::move(suffix)};
}

TEST(Notifications, WantEventsAndKeys) {
  const auto images = notification("n", {"ObjectCreated:*"}, "in/", ".png");
  EXPECT_TRUE(images.wants("ObjectCreated:Put", "in/a.png"));
  EXPECT_TRUE(images.wants("ObjectCreated:Copy", "in/.png"));
  EXPECT_FALSE(images.wants("ObjectRemoved:Delete", "in/a.png"));
  EXPECT_FALSE(images.wants("ObjectCreated:Put", "out/a.png"));
  EXPECT_FALSE(images.wants("ObjectCreated:Put", "in/a.jpg"));
  EXPECT_FALSE(notification("n", {"ObjectCreated:Put"}).wants("ObjectCreated:Copy", "k"));
}

TEST(Notifications, MustNotOverlap) {
  const auto message = [](std::vector<Notification> list) {
    const Status status = check_notifications(list);
    return status.has_error() ? status.error().message : "";
  };
  EXPECT_EQ(message({notification("a", {"ObjectCreated:*"}, "x/"),
                     notification("b", {"ObjectCreated:*"}, "y/"),
                     notification("c", {"ObjectRemoved:*"}, "x/")}),
            "");
  EXPECT_EQ(message({notification("a", {"ObjectCreated:*"}, "x/", ".png"),
                     notification("b", {"ObjectCreated:*"}, "x/", ".jpg")}),
            "");
  EXPECT_THAT(message({notification("a", {"ObjectCreated:*"}, "x/"),
                       notification("b", {"ObjectCreated:Put"}, "x/y/")}),
              HasSubstr("overlap"));
  EXPECT_THAT(message({notification("a", {"ObjectCreated:*"}, "x/"),
                       notification("a", {"ObjectRemoved:*"})}),
              HasSubstr("Same ID"));
  EXPECT_THAT(message({notification("a", {"ObjectPainted:*"})}), HasSubstr("s3:ObjectPainted:*"));
  EXPECT_THAT(message({notification("a", {})}), HasSubstr("no event"));
  EXPECT_THAT(message({notification("", {"ObjectCreated:*"})}), HasSubstr("id"));
}

// Told of what is committed, in the transaction of it.
class ToldTest : public testing::BucketsTest {
 protected:
  io::Task<Status> tell(store::Transaction transaction, std::vector<Happening> happenings) {
    auto committing = committer.commit(std::move(transaction), store::Durability::synced);
    const Status committed = co_await std::move(committing);
    if (committed.has_value())
      for (auto& one : happenings) told.push_back(std::move(one));
    co_return committed;
  }
  void reopen() {
    settle();
    buckets.emplace(
        Buckets::Parts{loop.get_executor(), *store, committer, pool, clock, limits, folder,
                       [this](store::Transaction transaction, std::vector<Happening> happenings) {
                         return tell(std::move(transaction), std::move(happenings));
                       }});
    ASSERT_TRUE(buckets->open().has_value());
  }
  std::vector<Happening> told;
};

TEST_F(ToldTest, OfWhatTheirConfigurationNames) {
  make("things");
  auto set =
      run(buckets->set_notifications("things", {notification("in", {"ObjectCreated:*"}, "in/"),
                                                notification("gone", {"ObjectRemoved:*"})}));
  ASSERT_TRUE(set.has_value());
  ASSERT_TRUE(run(buckets->set_bucket_tags("things", "a=1")).has_value());
  reopen();  // both are kept
  EXPECT_EQ(buckets->find("things")->tags, "a=1");
  ASSERT_EQ(buckets->find("things")->notifications.size(), 2u);
  EXPECT_EQ(buckets->find("things")->notifications[0],
            notification("in", {"ObjectCreated:*"}, "in/"));
  const auto put_as = [&](const std::string& key, const std::string& event) {
    Object object;
    object.key = key;
    Cause cause{event, "request-1", "10.0.0.1", "KEY"};
    return run(buckets->put("things", object, content("bytes"), {}, cause)).has_value();
  };
  ASSERT_TRUE(put_as("in/a", "ObjectCreated:Put"));
  ASSERT_TRUE(put_as("out/a", "ObjectCreated:Put"));
  ASSERT_TRUE(put_as("in/quiet", ""));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].notification, "in");
  EXPECT_EQ(told[0].key, "in/a");
  EXPECT_EQ(told[0].size, 5u);
  EXPECT_EQ(told[0].etag, "4b3a6218bb3e3a7303e8a171a60fcf92");
  EXPECT_EQ(told[0].cause.request_id, "request-1");
  const Cause removal{"ObjectRemoved:Delete", "", "", ""};
  ASSERT_TRUE(run(buckets->remove("things", {"in/a", "none", "out/a"}, removal)).has_value());
  ASSERT_EQ(told.size(), 3u) << "of what was there, and of nothing else";
  EXPECT_EQ(told[1].notification + told[1].key, "gonein/a");
  EXPECT_EQ(told[2].key, "out/a");
}

TEST_F(ToldTest, StorageClassesAreKept) {
  make("things");
  Object object;
  object.key = "k";
  object.attributes.storage = "GLACIER";
  ASSERT_TRUE(run(buckets->put("things", object, content("bytes"), {})).has_value());
  auto found = run(buckets->get("things", "k"));
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(is_archived(found->object.attributes));
  EXPECT_FALSE(is_readable(found->object.attributes, 100));
  Buckets::Amendment restore = [](Attributes& attributes) -> Answer<void> {
    attributes.restored_until_us = 200;
    return boost::system::in_place_value;
  };
  ASSERT_TRUE(run(buckets->amend("things", "k", restore)).has_value());
  found = run(buckets->get("things", "k"));
  EXPECT_TRUE(is_readable(found->object.attributes, 100));
  EXPECT_FALSE(is_readable(found->object.attributes, 300));
}

TEST_F(ToldTest, ABodyIsTakenUpToItsLimit) {
  limits.put_bytes_max = 10;
  open();
  make("things");
  auto taken = buckets->new_content(Checksum::none, false);
  ASSERT_TRUE(run(buckets->fill(taken, "0123456789", nullptr)).has_value());
  EXPECT_EQ(taken->size(), 10u);
  const auto refused =
      run(buckets->fill(buckets->new_content(Checksum::none, false), "0123456789a", nullptr));
  EXPECT_EQ(refused.error().why, Why::too_large);
  EXPECT_THAT(refused.error().error.message, HasSubstr("buckets.put_bytes_max"));
}

}  // namespace
}  // namespace mayfly::buckets
