#include "aws/sigv4.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "aws/session.h"
#include "aws/times.h"
#include "aws/vectors.h"

namespace mayfly::aws {
namespace {

namespace fs = std::filesystem;

class FixedClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return SteadyTime(); }
  WallTime wall_now() const override { return from_epoch_us(now_s * 1'000'000); }
  std::int64_t now_s = *parse_basic_time("20150830T123600Z");
};

// A request in the text form of the vectors: lines end with \n, blanks in the target are raw.
wire::RequestHead parse_request(const std::string& text, std::string& body) {
  wire::RequestHead head;
  const auto first_end = text.find('\n');
  const std::string first = text.substr(0, first_end);
  const auto space = first.find(' '), version = first.rfind(" HTTP/");
  head.method = first.substr(0, space);
  head.target = first.substr(space + 1, version - space - 1);
  std::string name, value;
  const auto flush = [&] {
    if (!name.empty()) head.headers.add(name, value);
    name.clear();
  };
  std::size_t at = first_end == std::string::npos ? text.size() : first_end + 1;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) {
      body = at <= text.size() ? text.substr(at) : "";
      break;
    }
    if (line.front() == ' ') {
      value += line;
      continue;
    }
    flush();
    const auto colon = line.find(':');
    name = line.substr(0, colon);
    value = line.substr(colon + 1);
  }
  flush();
  return head;
}

constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

TEST(SignatureVersion4, TestVectors) {
  const fs::path folder = testing::vectors("sigv4");
  if (!fs::exists(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".req") continue;
    const fs::path base = entry.path().parent_path() / entry.path().stem();
    const auto part = [&](const char* extension) {
      return testing::read_text(base.string() + extension);
    };
    SCOPED_TRACE(base.string());
    ++seen;
    std::string body;
    wire::RequestHead head = parse_request(part(".req"), body);
    head.headers.set("Authorization", part(".authz"));
    const std::string canonical = part(".creq");
    // Some of these requests leave it to the signer to add the session's token.
    const auto token = canonical.find("x-amz-security-token:");
    if (token != std::string::npos && !head.headers.contains("X-Amz-Security-Token")) {
      const auto from = token + std::string_view("x-amz-security-token:").size();
      head.headers.add("X-Amz-Security-Token",
                       canonical.substr(from, canonical.find('\n', from) - from));
    }
    const auto claim = parse_claim(head);
    ASSERT_TRUE(claim.has_value()) << claim.error().message;
    const std::string ours = canonical_request(head, *claim, hex_of(sha256(body)));
    EXPECT_EQ(ours, canonical);
    EXPECT_EQ(string_to_sign(*claim, ours), part(".sts"));
    EXPECT_EQ(hex_of(hmac_sha256(bytes_of(signing_key(kSecret, *claim)), part(".sts"))),
              claim->signature);
  }
  EXPECT_GT(seen, 25);
}

struct Fixture : ::testing::Test {
  std::unique_ptr<store::Store> store = store::make_memory_store();
  io::BlockingPool pool{1};
  FixedClock clock;
  identity::AccessKeys keys{{*store, pool, clock}};
  Verifier verifier{keys, clock};
  identity::AccessKeyPtr key;

  void SetUp() override {
    boost::asio::io_context loop;
    Result<identity::AccessKeyPtr> made = Error{};
    boost::asio::co_spawn(loop, keys.create("test"),
                          [&](std::exception_ptr, Result<identity::AccessKeyPtr> result) {
                            made = std::move(result);
                          });
    loop.run();
    ASSERT_TRUE(made.has_value());
    key = *made;
  }

  // A request signed as clients do.
  wire::RequestHead signed_request(const std::string& body, const std::string& target = "/",
                                   const std::string& time = "20150830T123600Z",
                                   const std::string& payload = "") {
    wire::RequestHead head;
    head.method = "POST";
    head.target = target;
    head.headers.add("Host", "127.0.0.1:8081");
    head.headers.add("X-Amz-Date", time);
    head.headers.add("X-Amz-Target", "AmazonSQS.SendMessage");
    if (!payload.empty()) head.headers.add("X-Amz-Content-Sha256", payload);
    SignatureClaim claim;
    claim.access_key_id = key->id;
    claim.date = time.substr(0, 8);
    claim.region = "eu-nowhere-9";
    claim.service = "sqs";
    claim.time = time;
    claim.signed_headers = {"host", "x-amz-date", "x-amz-target"};
    if (!payload.empty())
      claim.signed_headers = {"host", "x-amz-content-sha256", "x-amz-date", "x-amz-target"};
    sign(head, claim, payload.empty() ? hex_of(sha256(body)) : payload);
    return head;
  }

  void sign(wire::RequestHead& head, const SignatureClaim& claim, const std::string& hash) {
    const std::string text = string_to_sign(claim, canonical_request(head, claim, hash));
    std::string names;
    for (const auto& name : claim.signed_headers) names += (names.empty() ? "" : ";") + name;
    const auto mac = hmac_sha256(bytes_of(signing_key(key->secret, claim)), text);
    head.headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=" + claim.access_key_id + "/" +
                                          claim.scope() + ", SignedHeaders=" + names +
                                          ", Signature=" + hex_of(mac));
  }

  std::string code_of(const wire::RequestHead& head, const std::string& body) {
    const auto caller = verifier.verify(head, body);
    return caller.has_value() ? "ok" : caller.error().code;
  }
};

TEST_F(Fixture, TakesWhatIsSigned) {
  const auto caller = verifier.verify(signed_request("{}"), "{}");
  ASSERT_TRUE(caller.has_value()) << caller.error().message;
  EXPECT_EQ(caller->access_key_id, key->id);
  EXPECT_EQ(caller->region, "eu-nowhere-9");
  EXPECT_EQ(caller->service, "sqs");
  // From the cache of derived keys as well.
  EXPECT_EQ(code_of(signed_request("{}"), "{}"), "ok");
  EXPECT_EQ(code_of(signed_request("{}", "/000000000000/a%20b/"), "{}"), "ok");
}

TEST_F(Fixture, RefusesWhatWasChanged) {
  EXPECT_EQ(code_of(signed_request("{}"), "{} "), "SignatureDoesNotMatch");
  auto head = signed_request("{}");
  head.target = "/other";
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
  head = signed_request("{}");
  head.headers.set("X-Amz-Target", "AmazonSQS.DeleteQueue");
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
  head = signed_request("{}");
  head.headers.set("Host", "127.0.0.2:8081");
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
  head = signed_request("{}");
  std::string field(*head.headers.find("Authorization"));
  field.back() = field.back() == '0' ? '1' : '0';
  head.headers.set("Authorization", field);
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
  field.pop_back();
  head.headers.set("Authorization", field);
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
}

TEST_F(Fixture, TargetAndHostMustBeSigned) {
  wire::RequestHead head = signed_request("{}");
  SignatureClaim claim = *parse_claim(head);
  claim.signed_headers = {"host", "x-amz-date"};
  sign(head, claim, hex_of(sha256("{}")));
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
  claim.signed_headers = {"x-amz-date", "x-amz-target"};
  sign(head, claim, hex_of(sha256("{}")));
  EXPECT_EQ(code_of(head, "{}"), "SignatureDoesNotMatch");
}

TEST_F(Fixture, UnsignedPayloadIsTheClientsChoice) {
  const auto head = signed_request("{}", "/", "20150830T123600Z", "UNSIGNED-PAYLOAD");
  EXPECT_EQ(code_of(head, "anything"), "ok");
  auto forged = signed_request("{}");
  forged.headers.add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
  EXPECT_EQ(code_of(forged, "anything"), "SignatureDoesNotMatch");
  EXPECT_EQ(code_of(signed_request("{}", "/", "20150830T123600Z", hex_of(sha256("{}"))), "{}"),
            "ok");
  EXPECT_EQ(code_of(signed_request("{}", "/", "20150830T123600Z", hex_of(sha256("{}"))), "[]"),
            "SignatureDoesNotMatch");
}

TEST_F(Fixture, FifteenMinutesOfSkew) {
  const auto head = signed_request("{}");
  const std::int64_t signed_s = clock.now_s;
  for (const auto& [shift, code] :
       {std::pair{900, "ok"}, {901, "RequestExpired"}, {-900, "ok"}, {-901, "RequestExpired"}}) {
    clock.now_s = signed_s + shift;
    EXPECT_EQ(code_of(head, "{}"), code) << shift;
  }
}

TEST_F(Fixture, RemovedKeysAndStrangers) {
  const auto head = signed_request("{}");
  EXPECT_EQ(code_of(head, "{}"), "ok");
  boost::asio::io_context loop;
  Status removed = Error{};
  boost::asio::co_spawn(loop, keys.remove(key->id),
                        [&](std::exception_ptr, Status status) { removed = std::move(status); });
  loop.run();
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(code_of(head, "{}"), "InvalidClientTokenId");
}

TEST_F(Fixture, Presigned) {
  wire::RequestHead head;
  head.method = "GET";
  head.headers.add("Host", "127.0.0.1:8081");
  SignatureClaim claim;
  claim.access_key_id = key->id;
  claim.date = "20150830";
  claim.region = "us-east-1";
  claim.service = "sqs";
  claim.time = "20150830T123600Z";
  claim.signed_headers = {"host"};
  claim.presigned = true;
  head.target = "/?Action=ListQueues&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + key->id +
                "%2F20150830%2Fus-east-1%2Fsqs%2Faws4_request&X-Amz-Date=20150830T123600Z"
                "&X-Amz-Expires=60&X-Amz-SignedHeaders=host";
  const std::string text =
      string_to_sign(claim, canonical_request(head, claim, hex_of(sha256(""))));
  const std::string bare = head.target;
  head.target = bare + "&X-Amz-Signature=" +
                hex_of(hmac_sha256(bytes_of(signing_key(key->secret, claim)), text));
  EXPECT_EQ(code_of(head, ""), "ok");
  clock.now_s += 61;
  EXPECT_EQ(code_of(head, ""), "RequestExpired");
  clock.now_s -= 61;
  head.target.replace(head.target.find("Expires=60"), 10, "Expires=99");
  EXPECT_EQ(code_of(head, ""), "SignatureDoesNotMatch");
  head.target = bare;
  EXPECT_EQ(code_of(head, ""), "IncompleteSignature");
}

TEST_F(Fixture, BrokenFields) {
  wire::RequestHead head = signed_request("{}");
  head.headers.remove("Authorization");
  EXPECT_EQ(code_of(head, "{}"), "MissingAuthenticationToken");
  for (const char* field :
       {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=z;a, Signature=x",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=HOST, Signature=x",
        "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/other, SignedHeaders=host, Signature=x",
        "AWS4-ECDSA-P256-SHA256 Credential=A/20150830/r/s/aws4_request", "AWS A:b"}) {
    head.headers.set("Authorization", field);
    EXPECT_EQ(code_of(head, "{}"), "IncompleteSignature") << field;
  }
}

// What a connection from inside a sandbox has.
class TestSession final : public Session {
 public:
  const identity::AccessKey& key() const override { return key_; }
  const std::string& token() const override { return token_; }
  const std::string& arn() const override { return token_; }
  const std::string& user_id() const override { return token_; }
  Outcome<void> check(std::span<const Need>) const override {
    return boost::system::in_place_value;
  }

 private:
  identity::AccessKey key_{"ASIATEST", "a secret", "", {}};
  std::string token_ = "the token";
};

TEST_F(Fixture, ASessionsKeyIsGoodOnItsConnectionAlone) {
  const auto session = std::make_shared<const TestSession>();
  const auto own_key = key;
  const auto request = [&](const std::string& token) {
    key = std::make_shared<const identity::AccessKey>(session->key());
    wire::RequestHead head;
    head.method = "POST";
    head.target = "/";
    head.headers.add("Host", "127.0.0.2");
    head.headers.add("X-Amz-Date", "20150830T123600Z");
    if (!token.empty()) head.headers.add("X-Amz-Security-Token", token);
    SignatureClaim claim;
    claim.access_key_id = key->id;
    claim.date = "20150830";
    claim.time = "20150830T123600Z";
    claim.region = "r";
    claim.service = "sqs";
    claim.signed_headers = {"host", "x-amz-date"};
    if (!token.empty()) claim.signed_headers.push_back("x-amz-security-token");
    sign(head, claim, hex_of(sha256("")));
    key = own_key;
    return head;
  };
  const auto code = [&](const wire::RequestHead& head, const SessionPtr& of_connection) {
    const auto caller = verifier.verify(head, "", of_connection);
    if (caller.has_value()) {
      EXPECT_EQ(caller->session, of_connection);
    }
    return caller.has_value() ? "ok" : caller.error().code;
  };
  EXPECT_EQ(code(request("the token"), session), "ok");
  EXPECT_EQ(code(request("the token"), nullptr), "InvalidClientTokenId");
  EXPECT_EQ(code(request("another one"), session), "InvalidClientTokenId");
  EXPECT_EQ(code(request(""), session), "InvalidClientTokenId");
  auto changed = request("the token");
  changed.target = "/other";
  EXPECT_EQ(code(changed, session), "SignatureDoesNotMatch");
  // An access key is one on every connection, and acts for itself.
  const auto caller = verifier.verify(signed_request("{}"), "{}", session);
  ASSERT_TRUE(caller.has_value());
  EXPECT_EQ(caller->session, nullptr);
  // S3 checks by its own rules.
  const auto head = verifier.verify_head(request("the token"), nullptr);
  ASSERT_TRUE(head.has_error());
  EXPECT_EQ(head.error().code, "InvalidAccessKeyId");
}

TEST(Times, AllForms) {
  EXPECT_EQ(parse_basic_time("19700101T000001Z"), 1);
  EXPECT_EQ(parse_basic_time("20150230T000001Z"), std::nullopt);
  EXPECT_EQ(parse_basic_time("20150830T123600"), std::nullopt);
  EXPECT_EQ(basic_time(1440938160), "20150830T123600Z");
  EXPECT_EQ(parse_iso8601("2019-12-16T22:48:18-01:00"), 1576540098);
  EXPECT_EQ(parse_iso8601("2000-01-02T20:34:56.123Z"), 946845296.123);
  EXPECT_EQ(parse_iso8601("2000-01-02T20:34:56x"), std::nullopt);
  EXPECT_EQ(iso8601(1398796238), "2014-04-29T18:30:38Z");
  EXPECT_EQ(iso8601(946845296.123), "2000-01-02T20:34:56.123Z");
  EXPECT_EQ(parse_http_date("Tue, 29 Apr 2014 18:30:38 GMT"), 1398796238);
  EXPECT_EQ(http_date(1398796238), "Tue, 29 Apr 2014 18:30:38 GMT");
  EXPECT_EQ(parse_http_date("Tue, 29 Xyz 2014 18:30:38 GMT"), std::nullopt);
}

TEST(Digests, KnownAnswers) {
  EXPECT_EQ(hex_of(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of(md5("hello")), "5d41402abc4b2a76b9719d911017c592");
  // RFC 4231, cases 2 and 6 (a key longer than a block).
  EXPECT_EQ(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_of(hmac_sha256(std::string(131, '\xaa'),
                               "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace mayfly::aws
