#include "base/base64.h"
#include "buckets/fixture.h"

namespace mayfly::buckets {
namespace {

using ::testing::HasSubstr;

class UploadsTest : public testing::BucketsTest {
 protected:
  UploadsTest() {
    limits.part_bytes_min = 4;
    open();
    make("things");
  }
  Upload begin(const std::string& key, Checksum algorithm = Checksum::none,
               bool composite = false) {
    Upload upload{key};
    upload.algorithm = algorithm;
    upload.composite = composite;
    return *run(buckets->begin_upload("things", upload));
  }
  Buckets::NamedPart part(const Upload& upload, std::uint32_t number, const std::string& bytes) {
    auto made = run(buckets->put_part("things", upload, number, content(bytes, upload.algorithm)));
    EXPECT_TRUE(made.has_value());
    return {number, made->etag, made->checksum};
  }
  Answer<Object> complete(const Upload& upload, std::vector<Buckets::NamedPart> parts) {
    Buckets::Completion completion;
    completion.parts = std::move(parts);
    return run(buckets->complete_upload("things", upload, std::move(completion)));
  }
};

TEST_F(UploadsTest, PartsBecomeOneObject) {
  const Upload upload = begin("k");
  const auto second = part(upload, 2, "world");
  part(upload, 1, "never mind");
  const auto first = part(upload, 1, "hello ");
  part(upload, 7, "left out");
  const auto object = complete(upload, {first, second});
  ASSERT_TRUE(object.has_value());
  EXPECT_EQ(object->size, 11u);
  EXPECT_THAT(object->etag, ::testing::MatchesRegex("[0-9a-f]+-2"));
  EXPECT_EQ(bytes_of("things", "k"), "hello world");
  auto found = run(buckets->get("things", "k"));
  EXPECT_EQ(drain(buckets->read(*found, 4, 4)), "o wo");
  EXPECT_EQ(drain(buckets->read(*found, 7, 4)), "orld");
  found = Found{};
  settle();
  EXPECT_EQ(files(), 2u);
  EXPECT_EQ(buckets->bytes_kept(), 11u);
  EXPECT_EQ(complete(upload, {first}).error().why, Why::no_such_upload);
  ASSERT_TRUE(put("things", "k", "small").has_value());
  settle();
  EXPECT_EQ(files(), 1u);
}

TEST_F(UploadsTest, RefusesWhatDoesNotFit) {
  const Upload upload = begin("k");
  const auto first = part(upload, 1, "hello"), second = part(upload, 2, "abc"),
             third = part(upload, 3, "last");
  auto wrong = first;
  wrong.etag = "00";
  EXPECT_EQ(complete(upload, {wrong}).error().why, Why::invalid_part);
  EXPECT_EQ(complete(upload, {{9, "00", ""}}).error().why, Why::invalid_part);
  EXPECT_EQ(complete(upload, {third, first}).error().why, Why::invalid_part_order);
  const auto small = complete(upload, {first, second, third});
  EXPECT_EQ(small.error().why, Why::part_too_small);
  EXPECT_THAT(small.error().error.message, HasSubstr("buckets.part_bytes_min"));
  limits.object_bytes_max = 8;
  open();
  EXPECT_EQ(complete(upload, {first, third}).error().why, Why::too_large);
  EXPECT_TRUE(complete(upload, {first, second}).has_value()) << "the last may be small";
}

TEST_F(UploadsTest, AbortedUploadsLeaveNothing) {
  const Upload upload = begin("k");
  part(upload, 1, "hello");
  EXPECT_EQ(run(buckets->list_parts("things", "k", upload.id, 0, 10))->size(), 1u);
  ASSERT_TRUE(run(buckets->abort_upload("things", "k", upload.id)).has_value());
  settle();
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(buckets->bytes_kept(), 0u);
  EXPECT_EQ(run(buckets->abort_upload("things", "k", upload.id)).error().why, Why::no_such_upload);
  auto late = run(buckets->put_part("things", upload, 2, content("late")));
  EXPECT_EQ(late.error().why, Why::no_such_upload);
  settle();
  EXPECT_EQ(files(), 0u);
}

TEST_F(UploadsTest, ChecksumsOfPartsMakeThatOfTheObject) {
  const std::string a = "hello ", b = "world, and more";
  for (const auto kind : {Checksum::crc32, Checksum::crc32c, Checksum::crc64nvme}) {
    const Upload upload = begin("full", kind, false);
    const auto object = complete(upload, {part(upload, 1, a), part(upload, 2, b)});
    ASSERT_TRUE(object.has_value());
    EXPECT_EQ(object->checksum, base64_of(Digest::of(kind, a + b))) << name_of(kind);
  }
  const Upload upload = begin("composite", Checksum::sha256, true);
  const auto object = complete(upload, {part(upload, 1, a), part(upload, 2, b)});
  ASSERT_TRUE(object.has_value());
  const std::string both = Digest::of(Checksum::sha256, a) + Digest::of(Checksum::sha256, b);
  EXPECT_EQ(object->checksum, base64_of(Digest::of(Checksum::sha256, both)) + "-2");

  const Upload wrong = begin("wrong", Checksum::crc32, false);
  Buckets::Completion completion;
  completion.parts = {part(wrong, 1, a)};
  completion.checksum = "AAAAAA==";
  EXPECT_EQ(run(buckets->complete_upload("things", wrong, completion)).error().why,
            Why::bad_digest);
  completion.checksum = "";
  completion.size = 5;
  EXPECT_EQ(run(buckets->complete_upload("things", wrong, completion)).error().why,
            Why::wrong_size);
  completion.size = a.size();
  EXPECT_TRUE(run(buckets->complete_upload("things", wrong, completion)).has_value());
}

TEST_F(UploadsTest, ListsThoseUnderWay) {
  const Upload one = begin("a/1"), two = begin("a/1"), three = begin("b");
  auto page = run(buckets->list_uploads({"things", "", "", "", 2}, ""));
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->entries.size(), 2u);
  EXPECT_TRUE(page->truncated);
  EXPECT_EQ(page->entries[1].upload->key, "a/1");
  auto rest = run(buckets->list_uploads({"things", "", "", "a/1", 9}, page->entries[1].upload->id));
  ASSERT_EQ(rest->entries.size(), 1u);
  EXPECT_EQ(rest->entries[0].upload->id, three.id);
  rest = run(buckets->list_uploads({"things", "", "", "a/1", 9}, ""));
  EXPECT_EQ(rest->entries.size(), 1u);
  auto folders = run(buckets->list_uploads({"things", "", "/", "", 9}, ""));
  ASSERT_EQ(folders->entries.size(), 2u);
  EXPECT_EQ(folders->entries[0].prefix, "a/");
}

TEST_F(UploadsTest, AreLimited) {
  limits.uploads_max = 1;
  open();
  begin("a");
  const auto second = run(buckets->begin_upload("things", Upload{"b"}));
  EXPECT_EQ(second.error().why, Why::too_many_uploads);
  EXPECT_THAT(second.error().error.message, HasSubstr("buckets.uploads_max"));
  open();  // they are counted again at a start
  EXPECT_EQ(run(buckets->begin_upload("things", Upload{"b"})).error().why, Why::too_many_uploads);
}

// The check values of the catalogue of CRCs, and those of FIPS 180.
TEST(Checksums, AreThoseOfTheBooks) {
  const auto hex = [](Checksum kind) { return to_hex(Digest::of(kind, "123456789")); };
  EXPECT_EQ(hex(Checksum::crc32), "cbf43926");
  EXPECT_EQ(hex(Checksum::crc32c), "e3069283");
  EXPECT_EQ(hex(Checksum::crc64nvme), "ae8b14860a799888");
  EXPECT_EQ(hex(Checksum::sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
  EXPECT_EQ(to_hex(combine_crc(Checksum::crc32, Digest::of(Checksum::crc32, "1234"),
                               Digest::of(Checksum::crc32, "56789"), 5)),
            "cbf43926");
}

}  // namespace
}  // namespace mayfly::buckets
