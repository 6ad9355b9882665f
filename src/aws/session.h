#pragma once
// Who a connection itself says that it comes from: a program that the platform runs, with
// temporary credentials that are good on that connection alone, and with rights of its own.

#include <span>
#include <string>
#include <string_view>

#include "aws/service.h"
#include "identity/access_keys.h"

namespace mayfly::aws {

// What a call takes: an action on a resource.
struct Need {
  std::string action;    // "sqs:SendMessage"
  std::string resource;  // ARN; "*" where the call names none
};

// Belongs to the loop of the endpoint.
class Session {
 public:
  virtual ~Session() = default;

  virtual const identity::AccessKey& key() const = 0;
  virtual const std::string& token() const = 0;  // X-Amz-Security-Token

  // As GetCallerIdentity answers.
  virtual const std::string& arn() const = 0;
  virtual const std::string& user_id() const = 0;

  // Why not: AccessDeniedException, 403, with a message that names what would allow it.
  virtual Outcome<void> check(std::span<const Need> needs) const = 0;
};

}  // namespace mayfly::aws
