#include "dialects/s3/rights.h"

#include <gtest/gtest.h>

#include "aws/session.h"

namespace mayfly::dialects::s3 {
namespace {

// Remembers what is asked of it, and refuses the actions it was told.
class Asked final : public aws::Session {
 public:
  const identity::AccessKey& key() const override { return key_; }
  const std::string& token() const override { return text_; }
  const std::string& arn() const override { return text_; }
  const std::string& user_id() const override { return text_; }
  aws::Outcome<void> check(std::span<const aws::Need> needs) const override {
    for (const auto& need : needs) seen += need.action + " " + need.resource + "\n";
    if (!refuses) return boost::system::in_place_value;
    return aws::Fault{"AccessDeniedException", "no", 400};
  }

  mutable std::string seen;
  bool refuses = false;

 private:
  identity::AccessKey key_;
  std::string text_;
};

struct Rights : ::testing::Test {
  std::shared_ptr<Asked> session = std::make_shared<Asked>();

  Request request_of(std::string_view method, const std::string& target,
                     std::vector<std::pair<std::string, std::string>> fields = {}) {
    Request request;
    request.http.head.method = std::string(method);
    request.http.head.target = target;
    for (const auto& [name, value] : fields) request.http.head.headers.add(name, value);
    const wire::RequestHead& head = request.http.head;
    request.address = *parse_address("127.0.0.2", head.path());
    request.parameters = *parse_query(head.query());
    const Level level = request.address.bucket.empty() ? Level::service
                        : request.address.key.empty()  ? Level::bucket
                                                       : Level::object;
    request.operation = find_operation(head.method, level, request.parameters, head.headers);
    request.signature.emplace(aws::SignedHead{aws::Caller{"id", "r", "s3", session}, "", "", "", "",
                                              aws::HmacKey("key")});
    return request;
  }
  std::string asked(std::string_view method, const std::string& target,
                    std::vector<std::pair<std::string, std::string>> fields = {}) {
    session->seen.clear();
    const auto checked = check_rights(request_of(method, target, std::move(fields)));
    return checked.has_value() ? session->seen : checked.error().code;
  }
};

TEST_F(Rights, AreThoseOfIam) {
  EXPECT_EQ(asked("GET", "/"), "s3:ListAllMyBuckets *\n");
  EXPECT_EQ(asked("GET", "/b"), "s3:ListBucket arn:aws:s3:::b\n");
  EXPECT_EQ(asked("GET", "/b?list-type=2&prefix=x"), "s3:ListBucket arn:aws:s3:::b\n");
  EXPECT_EQ(asked("HEAD", "/b"), "s3:ListBucket arn:aws:s3:::b\n");
  EXPECT_EQ(asked("PUT", "/b"), "s3:CreateBucket arn:aws:s3:::b\n");
  EXPECT_EQ(asked("DELETE", "/b"), "s3:DeleteBucket arn:aws:s3:::b\n");
  EXPECT_EQ(asked("GET", "/b/k/l"), "s3:GetObject arn:aws:s3:::b/k/l\n");
  EXPECT_EQ(asked("HEAD", "/b/k"), "s3:GetObject arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("PUT", "/b/k"), "s3:PutObject arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("DELETE", "/b/k"), "s3:DeleteObject arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("GET", "/b/k?tagging"), "s3:GetObjectTagging arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("POST", "/b/k?uploads"), "s3:PutObject arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("PUT", "/b/k?uploadId=u&partNumber=1"), "s3:PutObject arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("DELETE", "/b/k?uploadId=u"), "s3:AbortMultipartUpload arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("GET", "/b/k?uploadId=u"), "s3:ListMultipartUploadParts arn:aws:s3:::b/k\n");
  EXPECT_EQ(asked("GET", "/b?uploads"), "s3:ListBucketMultipartUploads arn:aws:s3:::b\n");
  EXPECT_EQ(asked("PUT", "/b?policy"), "s3:PutBucketPolicy arn:aws:s3:::b\n");
}

TEST_F(Rights, OfWhatIsMeantAndNotOfHowItIsWritten) {
  EXPECT_EQ(asked("GET", "/b/mine%2F..%2Fother"), "s3:GetObject arn:aws:s3:::b/mine/../other\n");
  EXPECT_EQ(asked("GET", "/%62/%6b"), "s3:GetObject arn:aws:s3:::b/k\n");
}

TEST_F(Rights, CopiesReadTheirSourceAndTagsAreARight) {
  EXPECT_EQ(asked("PUT", "/b/k", {{"x-amz-copy-source", "/a/s%20t"}}),
            "s3:PutObject arn:aws:s3:::b/k\ns3:GetObject arn:aws:s3:::a/s t\n");
  EXPECT_EQ(asked("PUT", "/b/k?uploadId=u&partNumber=1", {{"x-amz-copy-source", "a/s"}}),
            "s3:PutObject arn:aws:s3:::b/k\ns3:GetObject arn:aws:s3:::a/s\n");
  EXPECT_EQ(asked("PUT", "/b/k", {{"x-amz-tagging", "a=b"}}),
            "s3:PutObject arn:aws:s3:::b/k\ns3:PutObjectTagging arn:aws:s3:::b/k\n");
}

TEST_F(Rights, KeysOfABodyEach) {
  const Request request = request_of("POST", "/b?delete");
  EXPECT_TRUE(check_rights(request).has_value());
  EXPECT_EQ(session->seen, "");
  EXPECT_TRUE(check_right(request, "s3:DeleteObject", "a/b").has_value());
  EXPECT_EQ(session->seen, "s3:DeleteObject arn:aws:s3:::b/a/b\n");
}

TEST_F(Rights, RefusalsAreInTheWordsOfS3) {
  session->refuses = true;
  const auto checked = check_rights(request_of("GET", "/b/k"));
  ASSERT_TRUE(checked.has_error());
  EXPECT_EQ(checked.error().code, "AccessDenied");
  EXPECT_EQ(checked.error().status, 403);
  session = nullptr;  // an access key's
  EXPECT_TRUE(check_rights(request_of("DELETE", "/b")).has_value());
}

}  // namespace
}  // namespace mayfly::dialects::s3
