#pragma once
// AWS Signature Version 4, the server's side: who signed a request, and whether the signature is
// right. Pure but for Verifier's cache of derived keys. Every byte of a request is hostile.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aws/digest.h"
#include "aws/service.h"
#include "base/clock.h"
#include "identity/access_keys.h"
#include "wire/http_message.h"

namespace mayfly::aws {

// What a request says about its signature, before anything is checked.
struct SignatureClaim {
  std::string access_key_id;
  std::string date;                         // 20150830
  std::string region;                       // any
  std::string service;                      // any
  std::vector<std::string> signed_headers;  // lower case, sorted, as named by the client
  std::string signature;                    // 64 hex digits
  std::string time;                         // 20150830T123600Z
  std::int64_t time_s = 0;
  std::int64_t expires_s = 0;  // presigned: valid so long after time
  bool presigned = false;      // in the query; else in the Authorization field

  std::string scope() const;  // 20150830/us-east-1/sqs/aws4_request
};

// True when the request is signed in either way, well or badly.
bool bears_signature(const wire::RequestHead& head);

// Signed as S3 was before version 4, which no bucket made today takes.
bool bears_old_s3_signature(const wire::RequestHead& head);

// MissingAuthenticationToken, IncompleteSignature.
Outcome<SignatureClaim> parse_claim(const wire::RequestHead& head);

// How a path is signed: resolved and encoded once more, or (S3) encoded once, and nothing else.
enum class PathForm { resolved, once };

// Task 1 and 2 of the signing process.
std::string canonical_request(const wire::RequestHead& head, const SignatureClaim& claim,
                              std::string_view payload_hash, PathForm form = PathForm::resolved);
std::string string_to_sign(const SignatureClaim& claim, std::string_view canonical);
Sha256 signing_key(std::string_view secret, const SignatureClaim& claim);

// What a checked signature tells.
struct Caller {
  std::string access_key_id, region, service;
  SessionPtr session = {};  // whose key it is; null: one of the access keys
};

// A request of S3 whose head is right. Its body is checked while it comes.
struct SignedHead {
  Caller caller;
  std::string payload;  // what was signed for the body: a SHA-256 in hex, or what stands for one
  std::string signature, time, scope;
  HmacKey key;  // of signed chunks
};

// Belongs to one loop.
class Verifier {
 public:
  Verifier(const identity::AccessKeys& keys, const Clock& clock) : keys_(keys), clock_(clock) {}

  // The faults of parse_claim, InvalidClientTokenId, RequestExpired, SignatureDoesNotMatch.
  // session: of the connection; its key is good here and nowhere else.
  Outcome<Caller> verify(const wire::RequestHead& head, std::string_view body,
                         const SessionPtr& session = {});

  // The same with S3's rules and S3's codes, for the head alone.
  Outcome<SignedHead> verify_head(const wire::RequestHead& head, const SessionPtr& session = {});

  static constexpr std::int64_t kSkewMax = 15 * 60;             // seconds
  static constexpr std::int64_t kPresignedMax = 7 * 24 * 3600;  // seconds

 private:
  // Null: nobody's. session stays set when the key is its own.
  identity::AccessKeyPtr key_of(const wire::RequestHead& head, const SignatureClaim& claim,
                                SessionPtr& session) const;
  Outcome<void> check_signature(const identity::AccessKey& key, const SignatureClaim& claim,
                                const std::string& canonical);
  Outcome<void> check_time(const SignatureClaim& claim) const;
  const HmacKey& derived(const identity::AccessKey& key, const SignatureClaim& claim);

  const identity::AccessKeys& keys_;
  const Clock& clock_;
  // Deriving a key takes four HMACs, and clients sign with one key all day.
  std::map<std::string, HmacKey, std::less<>> derived_;
};

}  // namespace mayfly::aws
