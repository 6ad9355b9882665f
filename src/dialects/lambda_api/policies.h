#pragma once
// Resource policies as they are kept: {"Statement":[...],"RevisionId":"..."}, of functions and of
// versions of layers. They are given back and do nothing: every access key may do everything. Pure.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::dialects::lambda_api {

inline constexpr std::size_t kPolicyBytesMax = 20'480;

// {} when kept is empty or no JSON.
boost::json::object policy_of(std::string_view kept);
boost::json::array statements_of(const boost::json::object& policy);
// {"Policy": text, "RevisionId"} for clients.
boost::json::object shown_policy(const boost::json::object& policy);

// The policy with one more statement, under a new revision; conflict when its Sid is there already,
// too_large.
Result<std::string> with_statement(std::string_view kept, const boost::json::object& statement);
// "" when none is left; not_found.
Result<std::string> without_statement(std::string_view kept, const std::string& id);

}  // namespace mayfly::dialects::lambda_api
