#pragma once
// Functions that say who may come in: what the gateway asks them, and what it makes of their word.
// The forms of questions and answers belong to a dialect.

#include <string>
#include <string_view>
#include <vector>

#include "engine/invocation.h"
#include "functions/api.h"
#include "gateway/identity.h"

namespace mayfly::gateway {

struct RouteMatch;

// The word of an authorizer; it may hold for many requests.
struct Grant {
  struct Statement {
    bool allow = false;
    std::vector<std::string> resources;  // ARNs with * and ?
  };
  bool simple = false;  // then allowed counts, else the statements
  bool allowed = false;
  std::vector<Statement> statements;
  std::string principal;
  std::string context;  // a JSON object, as events carry it
  std::string api_key;  // may be empty
};

enum class Word { allow, deny, silent };
// A deny beats an allow.
Word word_of(const Grant& grant, std::string_view arn);
// * stands for any text, ? for one character.
bool matches_pattern(std::string_view pattern, std::string_view text);

// Stateless.
class AuthorizerDialect {
 public:
  virtual ~AuthorizerDialect() = default;
  // What the request asks for, as policies name it.
  virtual std::string resource(const wire::RequestHead& head, const RouteMatch& match) const = 0;
  // The event for the function; identity: the values of the authorizer's identity sources.
  virtual std::string question(const functions::Authorizer& authorizer,
                               const wire::RequestHead& head, const RouteMatch& match,
                               const std::vector<std::string>& identity,
                               const std::string& request_id) const = 0;
  // function_error: an answer that is none.
  virtual Result<Grant> answer(const functions::Authorizer& authorizer,
                               std::string_view reply) const = 0;
  // The function failed on purpose: the caller is to hear 401.
  virtual bool says_unauthorized(const engine::Failure& failure) const = 0;
};

}  // namespace mayfly::gateway
