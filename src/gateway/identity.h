#pragma once
// Who sends a request, as a signature, a token or an authorizer said. Plain values; what they look
// like in an event belongs to the dialects.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "functions/app.h"
#include "io/http.h"

namespace mayfly::gateway {

struct Identity {
  enum class Kind { none, jwt, lambda, iam };
  Kind kind = Kind::none;
  std::string claims;                 // jwt: a JSON object, values as the token has them
  std::vector<std::string> scopes;    // jwt: those of the token that the route asks for
  std::string principal;              // lambda: may be empty
  std::string context;                // lambda: a JSON object
  std::string access_key;             // iam: its id
  std::string api_key, api_key_name;  // value and name of the key; empty: none was asked for
};

// An address of one function: https://ID.lambda-url... and /url/ID.
struct UrlTarget {
  std::string id;
  std::string function;    // name, or name:qualifier
  bool iam = false;        // requests must be signed
  bool streaming = false;  // answers go out as they come
  functions::Cors cors;
};
using FindUrl = std::function<std::shared_ptr<const UrlTarget>(std::string_view id)>;

// A signature that does not hold, as clients are told.
struct SignatureRefusal {
  std::string type;  // "InvalidSignatureException"
  std::string message;
  int status = 403;
};
struct SignatureVerdict {
  std::string access_key;  // empty: refused
  SignatureRefusal refusal;
};
// service: of the signature's scope.
using CheckSignature = std::function<SignatureVerdict(
    const wire::RequestHead& head, std::string_view body, std::string_view service)>;

}  // namespace mayfly::gateway
