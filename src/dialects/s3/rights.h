#pragma once
// What a session needs for a request of S3, in IAM's words, and whether it has it. Requests that
// are signed with an access key need nothing.

#include <string_view>

#include "dialects/s3/request.h"

namespace mayfly::dialects::s3 {

// AccessDenied. The signature is checked, and operation, address and parameters are known. A copy
// needs to read its source as well.
aws::Outcome<void> check_rights(const Request& request);
// Of one key of the request's bucket that is named in its body.
aws::Outcome<void> check_right(const Request& request, std::string_view action,
                               std::string_view key);

}  // namespace mayfly::dialects::s3
