#include "aws/chunked.h"

#include <gtest/gtest.h>

#include "aws/xml.h"

namespace mayfly::aws {
namespace {

// The example of the documentation of chunked uploads, with its signatures.
struct ChunkedExample {
  SignatureClaim claim;
  std::optional<SignedHead> head;
  ChunkedExample() {
    claim.date = "20130524";
    claim.region = "us-east-1";
    claim.service = "s3";
    const Sha256 key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", claim);
    head.emplace(SignedHead{{},
                            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
                            "20130524T000000Z",
                            claim.scope(),
                            HmacKey(bytes_of(key))});
  }
  static std::string body() {
    return "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
           "\r\n" +
           std::string(65536, 'a') +
           "\r\n400;chunk-signature="
           "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
           "\r\n" +
           std::string(1024, 'a') +
           "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
           "\r\n\r\n";
  }
};

// What came out, or the code of the fault.
std::string decode_all(ChunkedDecoder& decoder, std::string_view body, std::size_t step) {
  std::string out;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    const auto fed = decoder.feed(piece, [&](std::string_view bytes) -> Outcome<void> {
      out += bytes;
      return boost::system::in_place_value;
    });
    if (fed.has_error()) return fed.error().code;
  }
  const auto done = decoder.finish();
  return done.has_error() ? done.error().code : out;
}

TEST(Chunked, SignedChunksOfTheDocumentation) {
  const ChunkedExample example;
  const auto form = PayloadForm::of(example.head->payload);
  ASSERT_TRUE(form.has_value());
  for (const std::size_t step : {1u, 7u, 4096u, 1u << 20}) {
    ChunkedDecoder decoder(*form, *example.head);
    EXPECT_EQ(decode_all(decoder, ChunkedExample::body(), step), std::string(66560, 'a')) << step;
  }
  std::string changed = ChunkedExample::body();
  changed[60'000] = 'b';
  ChunkedDecoder decoder(*form, *example.head);
  EXPECT_EQ(decode_all(decoder, changed, 4096), "SignatureDoesNotMatch");
  ChunkedDecoder cut(*form, *example.head);
  EXPECT_EQ(decode_all(cut, ChunkedExample::body().substr(0, 60'000), 4096), "IncompleteBody");
  ChunkedDecoder without_end(*form, *example.head);
  const std::string body = ChunkedExample::body();
  EXPECT_EQ(decode_all(without_end, body.substr(0, body.rfind("0;chunk")), 4096), "IncompleteBody");
}

TEST(Chunked, TrailersComeBehindTheLastChunk) {
  const ChunkedExample example;
  const auto form = PayloadForm::of("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  ASSERT_TRUE(form.has_value());
  for (const std::string end :
       {"0\r\nx-amz-checksum-crc32:AAAA==\r\n\r\n", "0\r\nX-Amz-Checksum-Crc32: AAAA== \r\n\r\n"}) {
    ChunkedDecoder decoder(*form, *example.head);
    EXPECT_EQ(decode_all(decoder, "5\r\nhello\r\n6\r\n world\r\n" + end, 3), "hello world");
    EXPECT_EQ(decoder.trailers().find("x-amz-checksum-crc32")->second, "AAAA==");
  }
}

TEST(Chunked, RefusesWhatIsNoChunk) {
  const ChunkedExample example;
  const auto form = PayloadForm::of("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  for (const std::string bad :
       {"x\r\n", "\r\n", "5\nhello\r\n", "5\r\nhello!\r\n0\r\n", "fffffffffffffffff\r\n",
        "0\r\na:b\r\n\r\nmore", "0\r\nnothing\r\n", "0\r\na:b\r\na:c\r\n\r\n", "0\r\n\r\n\r\n"}) {
    ChunkedDecoder decoder(*form, *example.head);
    EXPECT_EQ(decode_all(decoder, bad, 100), "InvalidRequest") << bad;
  }
  ChunkedDecoder long_line(*form, *example.head);
  EXPECT_EQ(decode_all(long_line, "5;" + std::string(2000, 'x'), 100), "InvalidRequest");
  ChunkedDecoder unsigned_chunk(*PayloadForm::of("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                                *example.head);
  EXPECT_EQ(decode_all(unsigned_chunk, "5\r\nhello\r\n", 100), "InvalidRequest");
}

TEST(Chunked, FormsOfPayloads) {
  EXPECT_FALSE(PayloadForm::of("UNSIGNED-PAYLOAD")->chunked);
  EXPECT_EQ(PayloadForm::of(std::string(64, 'a'))->sha256, std::string(64, 'a'));
  const auto both = PayloadForm::of("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
  EXPECT_TRUE(both->chunked && both->signed_chunks && both->trailer);
  for (const std::string bad : {"", "abc", "STREAMING-UNSIGNED-PAYLOAD", "STREAMING-X-TRAILER"})
    EXPECT_EQ(PayloadForm::of(bad).error().code, "InvalidArgument") << bad;
  EXPECT_EQ(PayloadForm::of("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD").error().code,
            "NotImplemented");
}

TEST(Xml, ReadsTreesAndNothingElse) {
  const auto root = parse_xml(
      "<?xml version='1.0'?><Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Object><Key>a&lt;b&amp;&#246;</Key></Object><Quiet>true</Quiet></Delete>");
  ASSERT_TRUE(root.has_value()) << root.error().message;
  EXPECT_EQ(root->name, "Delete");
  EXPECT_EQ(root->find("Object")->text_of("Key"), "a<b&\u00f6");
  EXPECT_EQ(root->text_of("Quiet"), "true");
  EXPECT_EQ(root->find("none"), nullptr);
  for (const std::string bad : {"", "<a>", "<a></b>", "<a/><b/>", "<a>&none;</a>", "\xff",
                                "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<!DOCTYPE a><a/>"})
    EXPECT_TRUE(parse_xml(bad).has_error()) << bad;
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_TRUE(parse_xml(deep).has_error());
  std::string many = "<a>";
  for (std::size_t i = 0; i <= kXmlNodesMax; ++i) many += "<b/>";
  EXPECT_TRUE(parse_xml(many + "</a>").has_error());
}

// "GET Object" of the documentation of Signature Version 4 for S3.
TEST(SignatureOfS3, SignsPathsAsTheyAre) {
  wire::RequestHead head;
  head.method = "GET";
  head.target = "/test.txt";
  head.headers.add("Host", "examplebucket.s3.amazonaws.com");
  head.headers.add("Range", "bytes=0-9");
  head.headers.add("x-amz-content-sha256",
                   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  head.headers.add("x-amz-date", "20130524T000000Z");
  head.headers.add("Authorization",
                   "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                   "aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                   "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  const auto claim = parse_claim(head);
  ASSERT_TRUE(claim.has_value());
  const std::string canonical =
      canonical_request(head, *claim, *head.headers.find("x-amz-content-sha256"), PathForm::once);
  const Sha256 key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", *claim);
  EXPECT_EQ(hex_of(hmac_sha256(bytes_of(key), string_to_sign(*claim, canonical))),
            claim->signature);
  head.target = "/b/a//../x%2Fy%20z+ü?b=2&a=1";
  const std::string odd = canonical_request(head, *claim, "UNSIGNED-PAYLOAD", PathForm::once);
  EXPECT_TRUE(odd.starts_with("GET\n/b/a//../x%2Fy%20z%2B%C3%BC\na=1&b=2\n")) << odd;
}

}  // namespace
}  // namespace mayfly::aws
