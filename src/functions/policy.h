#pragma once
// What a function may do with the platform's own services: statements in the form of IAM, and
// whether they let an action on a resource pass. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::functions {

// "*" for any text, "?" for any one byte; takes size(pattern) * size(text) steps at most.
bool matches_wildcard(std::string_view pattern, std::string_view text, bool ignore_case = false);

class Policy {
 public:
  struct Statement {
    bool allow = true;
    bool not_actions = false, not_resources = false;  // meant is all but these
    std::vector<std::string> actions, resources;
  };

  // {"Statement": ...}, or what would stand behind it: one statement, or a list of them. Strict: an
  // unknown key, a Principal or a Condition is an invalid_argument that names it.
  static Result<Policy> parse(std::string_view json);
  // Of functions that have none: to use the services, and not to manage them.
  static const Policy& standard();

  // Denied explicitly, or not allowed: false.
  bool allows(std::string_view action, std::string_view resource) const;

  const std::vector<Statement>& statements() const { return statements_; }
  // As parse() reads it.
  static std::string text_of(const std::vector<Statement>& statements);

  static constexpr std::size_t kBytesMax = 10'240;  // as IAM has it for a role's own policies

 private:
  std::vector<Statement> statements_;
};

}  // namespace mayfly::functions
