#include "aws/sigv4.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>

#include "aws/session.h"
#include "aws/times.h"
#include "base/hex.h"
#include "wire/query.h"

namespace mayfly::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr std::size_t kSignedHeadersMax = 256;
constexpr std::size_t kDerivedMax = 4096;

Fault missing() {
  return {"MissingAuthenticationToken",
          "Request is missing Authentication Token: sign it with an access key of `mayfly keys "
          "create`.",
          403};
}

Fault incomplete(std::string message) {
  return {"IncompleteSignature", std::move(message), 403};
}

Fault mismatch() {
  return {"SignatureDoesNotMatch",
          "The request signature we calculated does not match the signature you provided. Check "
          "your AWS Secret Access Key and signing method. Consult the service documentation for "
          "details.",
          403};
}

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void append_encoded(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += '%';
      out += kDigits[static_cast<std::uint8_t>(c) >> 4];
      out += kDigits[static_cast<std::uint8_t>(c) & 15];
    }
  }
}

// A broken escape stays as it is: then the signature is what decides.
std::string lenient_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<std::string> last_parameter(std::string_view query, std::string_view name) {
  std::optional<std::string> last;
  while (const auto one = wire::take_parameter(query))
    if (one->name == name) last = lenient_decode(one->value);
  return last;
}

// Segments . and .. and empty ones are resolved, then every byte but / is encoded once more: the
// path is signed as it travels.
void append_path(std::string& out, std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t from = 0; from <= path.size();) {
    const auto end = std::min(path.find('/', from), path.size());
    const std::string_view segment = path.substr(from, end - from);
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
    from = end + 1;
  }
  for (const auto segment : segments) {
    out += '/';
    append_encoded(out, segment);
  }
  if (segments.empty() || path.ends_with('/')) out += '/';
}

// Whatever a client encoded, every byte but / and the unreserved ones is encoded once.
void append_path_once(std::string& out, std::string_view path) {
  for (bool first = true;; first = false) {
    const auto end = path.find('/');
    if (!first) out += '/';
    append_encoded(out, lenient_decode(path.substr(0, end)));
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
}

void append_query(std::string& out, std::string_view query, bool presigned) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (const auto one = wire::take_parameter(query)) {
    if (presigned && one->name == "X-Amz-Signature") continue;
    std::string encoded_name, encoded_value;
    append_encoded(encoded_name, lenient_decode(one->name));
    append_encoded(encoded_value, lenient_decode(one->value));
    parameters.emplace_back(std::move(encoded_name), std::move(encoded_value));
  }
  std::sort(parameters.begin(), parameters.end());
  bool first = true;
  for (const auto& [name, value] : parameters) {
    if (!first) out += '&';
    first = false;
    out.append(name).append("=").append(value);
  }
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Without blanks at both ends; several in the middle count as one.
void append_value(std::string& out, std::string_view value) {
  while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
  if (value.find('\t') == std::string_view::npos && value.find("  ") == std::string_view::npos) {
    out.append(value);
    return;
  }
  bool blank = false;
  for (const char c : value) {
    if (!is_blank(c)) {
      if (blank) out += ' ';
      out += c;
    }
    blank = is_blank(c);
  }
}

Outcome<void> parse_credential(std::string_view text, SignatureClaim& claim) {
  std::string_view parts[5];
  for (int i = 4; i > 0; --i) {  // from the end: an id may hold slashes for all we know
    const auto slash = text.rfind('/');
    if (slash == std::string_view::npos)
      return incomplete("Credential must have five parts: KEY/DATE/REGION/SERVICE/aws4_request.");
    parts[i] = text.substr(slash + 1);
    text = text.substr(0, slash);
  }
  parts[0] = text;
  if (parts[0].empty() || parts[4] != "aws4_request" || parts[1].size() != 8)
    return incomplete("Credential must have five parts: KEY/DATE/REGION/SERVICE/aws4_request.");
  claim.access_key_id = parts[0];
  claim.date = parts[1];
  claim.region = parts[2];
  claim.service = parts[3];
  return {};
}

Outcome<void> parse_signed_headers(std::string_view text, SignatureClaim& claim) {
  claim.signed_headers.reserve(8);
  while (!text.empty()) {
    const auto end = text.find(';');
    const std::string_view name = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const bool lower =
        std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!wire::is_token(name) || !lower || claim.signed_headers.size() >= kSignedHeadersMax ||
        (!claim.signed_headers.empty() && name <= claim.signed_headers.back()))
      return incomplete("SignedHeaders must be names in lower case, sorted, separated by ;.");
    claim.signed_headers.emplace_back(name);
  }
  return {};
}

bool signs(const SignatureClaim& claim, std::string_view name) {
  return std::binary_search(claim.signed_headers.begin(), claim.signed_headers.end(), name);
}

Outcome<void> parse_header(std::string_view text, SignatureClaim& claim) {
  text.remove_prefix(std::min(text.size(), kAlgorithm.size()));
  int seen = 0;
  while (!text.empty()) {
    const auto end = text.find(',');
    std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!part.empty() && (part.front() == ' ' || part.front() == '\t')) part.remove_prefix(1);
    while (!part.empty() && (part.back() == ' ' || part.back() == '\t')) part.remove_suffix(1);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = part.substr(0, equals), value = part.substr(equals + 1);
    if (name == "Credential") {
      AWS_TRY(parse_credential(value, claim));
      seen |= 1;
    } else if (name == "SignedHeaders") {
      claim.signed_headers.clear();
      AWS_TRY(parse_signed_headers(value, claim));
      seen |= 2;
    } else if (name == "Signature") {
      claim.signature = value;
      seen |= 4;
    }
  }
  if (seen != 7)
    return incomplete(std::string("Authorization header requires ") +
                      (!(seen & 1)   ? "'Credential'"
                       : !(seen & 2) ? "'SignedHeaders'"
                                     : "'Signature'") +
                      " parameter.");
  return {};
}

Outcome<void> parse_presigned(std::string_view query, SignatureClaim& claim) {
  claim.presigned = true;
  std::map<std::string, std::string, std::less<>> given;
  while (const auto one = wire::take_parameter(query))
    if (one->name.starts_with("X-Amz-")) given.emplace(one->name, lenient_decode(one->value));
  for (const auto name : {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
                          "X-Amz-SignedHeaders", "X-Amz-Signature"})
    if (!given.contains(name))
      return incomplete(std::string("A presigned request requires the parameter ") + name + ".");
  if (given["X-Amz-Algorithm"] != kAlgorithm)
    return incomplete("X-Amz-Algorithm must be AWS4-HMAC-SHA256.");
  AWS_TRY(parse_credential(given["X-Amz-Credential"], claim));
  AWS_TRY(parse_signed_headers(given["X-Amz-SignedHeaders"], claim));
  claim.time = given["X-Amz-Date"];
  claim.signature = given["X-Amz-Signature"];
  const std::string& expires = given["X-Amz-Expires"];
  const auto [end, failed] =
      std::from_chars(expires.data(), expires.data() + expires.size(), claim.expires_s);
  if (failed != std::errc() || end != expires.data() + expires.size() || claim.expires_s < 0 ||
      claim.expires_s > Verifier::kPresignedMax)
    return incomplete("X-Amz-Expires must be a number of seconds, 604800 at most.");
  return {};
}

// X-Amz-Date, else Date, in either form.
Outcome<void> find_time(const wire::RequestHead& head, SignatureClaim& claim) {
  const auto amz = head.headers.find("X-Amz-Date");
  const auto date = amz ? amz : head.headers.find("Date");
  if (!date)
    return incomplete(
        "Authorization header requires existence of either a 'X-Amz-Date' or a "
        "'Date' header.");
  if (!signs(claim, amz ? "x-amz-date" : "date"))
    return incomplete("The date must be one of the signed headers.");
  claim.time = *date;
  if (claim.time.find(' ') != std::string::npos)
    if (const auto other = parse_http_date(claim.time))
      claim.time = basic_time(static_cast<std::int64_t>(*other));
  return {};
}

}  // namespace

std::string SignatureClaim::scope() const {
  std::string out;
  out.reserve(64);
  out.append(date).append("/").append(region).append("/").append(service);
  return out.append("/aws4_request");
}

bool bears_signature(const wire::RequestHead& head) {
  const auto field = head.headers.find("Authorization");
  if (field && field->starts_with(kAlgorithm)) return true;
  return head.query().find("X-Amz-Signature=") != std::string_view::npos ||
         head.query().find("X-Amz-Algorithm=") != std::string_view::npos;
}

bool bears_old_s3_signature(const wire::RequestHead& head) {
  const auto field = head.headers.find("Authorization");
  if (field && field->starts_with("AWS ")) return true;
  return head.query().find("AWSAccessKeyId=") != std::string_view::npos &&
         head.query().find("Signature=") != std::string_view::npos;
}

Outcome<SignatureClaim> parse_claim(const wire::RequestHead& head) {
  SignatureClaim claim;
  const auto field = head.headers.find("Authorization");
  if (field && field->starts_with(kAlgorithm)) {
    AWS_TRY(parse_header(*field, claim));
    AWS_TRY(find_time(head, claim));
  } else if (field && (field->starts_with("AWS4-") || field->starts_with("AWS "))) {
    return incomplete("The only algorithm here is AWS4-HMAC-SHA256.");
  } else if (bears_signature(head)) {
    AWS_TRY(parse_presigned(head.query(), claim));
  } else {
    return missing();
  }
  const auto time = parse_basic_time(claim.time);
  if (!time)
    return incomplete("Date must be in ISO-8601 'basic format', not '" + claim.time + "'.");
  claim.time_s = *time;
  if (!claim.time.starts_with(claim.date))
    return Fault{"SignatureDoesNotMatch",
                 "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                 "from HTTP: '" +
                     claim.date + "' != '" + claim.time.substr(0, 8) + "'.",
                 403};
  // What a proxy could bend otherwise: where the request goes and which operation it names.
  if (!signs(claim, "host") ||
      (head.headers.contains("X-Amz-Target") && !signs(claim, "x-amz-target")))
    return Fault{"SignatureDoesNotMatch",
                 "'Host' and, where there is one, 'X-Amz-Target' must be signed headers.", 403};
  return claim;
}

std::string canonical_request(const wire::RequestHead& head, const SignatureClaim& claim,
                              std::string_view payload_hash, PathForm form) {
  std::string out;
  out.reserve(1024);
  out.append(head.method).append("\n");
  if (form == PathForm::once)
    append_path_once(out, head.path());
  else
    append_path(out, head.path());
  out += '\n';
  append_query(out, head.query(), claim.presigned);
  out += '\n';
  for (const auto& name : claim.signed_headers) {
    out.append(name).append(":");
    bool first = true;
    for (const auto field : head.headers) {
      if (field.name.size() != name.size() || !wire::equal_ignoring_case(field.name, name))
        continue;
      if (!first) out += ',';
      first = false;
      append_value(out, field.value);
    }
    out += '\n';
  }
  out += '\n';
  bool first = true;
  for (const auto& name : claim.signed_headers) {
    if (!first) out += ';';
    first = false;
    out += name;
  }
  out.append("\n").append(payload_hash);
  return out;
}

std::string string_to_sign(const SignatureClaim& claim, std::string_view canonical) {
  std::string out;
  out.reserve(256);
  out.append(kAlgorithm).append("\n").append(claim.time).append("\n").append(claim.scope());
  return out.append("\n").append(hex_of(sha256(canonical)));
}

Sha256 signing_key(std::string_view secret, const SignatureClaim& claim) {
  Sha256 key = hmac_sha256("AWS4" + std::string(secret), claim.date);
  key = hmac_sha256(bytes_of(key), claim.region);
  key = hmac_sha256(bytes_of(key), claim.service);
  return hmac_sha256(bytes_of(key), "aws4_request");
}

Outcome<void> Verifier::check_time(const SignatureClaim& claim) const {
  const std::int64_t now = to_epoch_ms(clock_.wall_now()) / 1000;
  const std::int64_t valid_s = claim.presigned ? claim.expires_s : kSkewMax;
  if (claim.time_s > now + kSkewMax)
    return Fault{"RequestExpired",
                 "Signature not yet current: " + claim.time + " is still later than " +
                     basic_time(now + kSkewMax) + " (" + basic_time(now) + " + 15 min.)",
                 400};
  if (claim.time_s + valid_s < now)
    return Fault{"RequestExpired",
                 "Signature expired: " + claim.time + " is now earlier than " +
                     basic_time(now - valid_s) + " (" + basic_time(now) + " - " +
                     std::to_string(valid_s / 60) + " min.)",
                 400};
  return {};
}

const HmacKey& Verifier::derived(const identity::AccessKey& key, const SignatureClaim& claim) {
  // The secret is part of the look-up only through the id: ids are never used again.
  std::string name;
  name.reserve(128);
  name.append(key.id).append("/").append(claim.date).append("/").append(claim.region);
  name.append("/").append(claim.service);
  if (const auto found = derived_.find(name); found != derived_.end()) return found->second;
  if (derived_.size() >= kDerivedMax) derived_.clear();
  return derived_.emplace(std::move(name), bytes_of(signing_key(key.secret, claim))).first->second;
}

Outcome<void> Verifier::check_signature(const identity::AccessKey& key, const SignatureClaim& claim,
                                        const std::string& canonical) {
  const std::string wanted = hex_of(derived(key, claim).sign(string_to_sign(claim, canonical)));
  if (claim.signature.size() != wanted.size() ||
      CRYPTO_memcmp(claim.signature.data(), wanted.data(), wanted.size()) != 0)
    return mismatch();
  return boost::system::in_place_value;
}

namespace {

Fault s3_named(Fault fault, bool presigned) {
  if (fault.code == "RequestExpired" && presigned) {
    fault.code = "AccessDenied";
    fault.message = "Request has expired. " + fault.message;
  } else if (fault.code == "RequestExpired") {
    fault.code = "RequestTimeTooSkewed";
  } else if (fault.code == "IncompleteSignature") {
    fault.code = presigned ? "AuthorizationQueryParametersError" : "AuthorizationHeaderMalformed";
    fault.status = 400;
    return fault;
  } else if (fault.code == "MissingAuthenticationToken") {
    fault.code = "AccessDenied";
  }
  fault.status = 403;
  return fault;
}

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() &&
         wire::equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

}  // namespace

identity::AccessKeyPtr Verifier::key_of(const wire::RequestHead& head, const SignatureClaim& claim,
                                        SessionPtr& session) const {
  if (!session || session->key().id != claim.access_key_id) {
    session.reset();
    return keys_.find(claim.access_key_id);
  }
  std::string token;
  if (const auto field = head.headers.find("X-Amz-Security-Token"))
    token = *field;
  else
    token = last_parameter(head.query(), "X-Amz-Security-Token").value_or("");
  const std::string& wanted = session->token();
  if (token.size() != wanted.size() ||
      CRYPTO_memcmp(token.data(), wanted.data(), wanted.size()) != 0)
    return nullptr;
  return {session, &session->key()};
}

Outcome<SignedHead> Verifier::verify_head(const wire::RequestHead& head,
                                          const SessionPtr& of_connection) {
  const bool presigned = !head.headers.contains("Authorization");
  auto claim = parse_claim(head);
  if (claim.has_error()) return s3_named(std::move(claim).error(), presigned);
  SessionPtr session = of_connection;
  const identity::AccessKeyPtr key = key_of(head, *claim, session);
  if (!key)
    return Fault{"InvalidAccessKeyId",
                 "The AWS Access Key Id you provided does not exist in our records.", 403};
  if (auto in_time = check_time(*claim); in_time.has_error())
    return s3_named(std::move(in_time).error(), presigned);
  const auto named = head.headers.find("X-Amz-Content-Sha256");
  if (!named && !presigned)
    return Fault{"InvalidRequest", "Missing required header for this request: x-amz-content-sha256",
                 400};
  for (const auto field : head.headers) {
    std::string name(field.name);
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (has_prefix(name, "x-amz-") && name != "x-amz-content-sha256" && !signs(*claim, name))
      return Fault{"AccessDenied",
                   "There were headers present in the request which were not signed: " + name, 403};
  }
  std::string payload =
      named ? std::string(*named)
            : last_parameter(head.query(), "X-Amz-Content-Sha256").value_or(std::string(kUnsigned));
  AWS_TRY(check_signature(*key, *claim, canonical_request(head, *claim, payload, PathForm::once)));
  const HmacKey& derived_key = derived(*key, *claim);
  std::string scope = claim->scope();
  return SignedHead{Caller{std::move(claim->access_key_id), std::move(claim->region),
                           std::move(claim->service), std::move(session)},
                    std::move(payload),
                    std::move(claim->signature),
                    std::move(claim->time),
                    std::move(scope),
                    derived_key};
}

Outcome<Caller> Verifier::verify(const wire::RequestHead& head, std::string_view body,
                                 const SessionPtr& of_connection) {
  auto claim = parse_claim(head);
  if (claim.has_error()) return std::move(claim).error();
  SessionPtr session = of_connection;
  const identity::AccessKeyPtr key = key_of(head, *claim, session);
  if (!key)
    return Fault{"InvalidClientTokenId", "The security token included in the request is invalid.",
                 403};
  AWS_TRY(check_time(*claim));

  std::string payload_hash;
  const auto named = head.headers.find("X-Amz-Content-Sha256");
  if (named && *named == kUnsigned) {
    payload_hash = kUnsigned;
  } else {
    payload_hash = hex_of(sha256(body));
    if (named && *named != payload_hash) return mismatch();
  }
  AWS_TRY(check_signature(*key, *claim, canonical_request(head, *claim, payload_hash)));
  return Caller{std::move(claim->access_key_id), std::move(claim->region),
                std::move(claim->service), std::move(session)};
}

}  // namespace mayfly::aws
