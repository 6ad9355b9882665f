#include "dialects/lambda_api/policies.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "dialects/aws_values.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;

namespace {

std::string sid_of(const json::value& statement) {
  return statement.is_object() ? text_member(statement.get_object(), "Sid") : std::string();
}

std::string policy_text(json::array statements) {
  return json::serialize(
      json::object{{"Statement", std::move(statements)}, {"RevisionId", new_uuid()}});
}

}  // namespace

json::object policy_of(std::string_view kept) {
  boost::system::error_code failed;
  json::value value = json::parse({kept.data(), kept.size()}, failed);
  return failed || !value.is_object() ? json::object() : std::move(value.get_object());
}

json::array statements_of(const json::object& policy) {
  const json::value* list = policy.if_contains("Statement");
  return list && list->is_array() ? list->get_array() : json::array();
}

json::object shown_policy(const json::object& policy) {
  const json::object shown{
      {"Version", "2012-10-17"}, {"Id", "default"}, {"Statement", statements_of(policy)}};
  return {{"Policy", json::serialize(shown)}, {"RevisionId", text_member(policy, "RevisionId")}};
}

Result<std::string> with_statement(std::string_view kept, const json::object& statement) {
  json::array statements = statements_of(policy_of(kept));
  const std::string id = text_member(statement, "Sid");
  for (const auto& one : statements)
    if (sid_of(one) == id)
      return Error{Code::conflict, "The statement id (" + id.substr(0, 100) +
                                       ") provided already exists. Please provide a new "
                                       "statement id, or remove the existing statement."};
  statements.push_back(statement);
  std::string text = policy_text(std::move(statements));
  if (text.size() > kPolicyBytesMax)
    return Error{Code::too_large, "The final policy size is bigger than the limit (20480)."};
  return text;
}

Result<std::string> without_statement(std::string_view kept, const std::string& id) {
  json::array left;
  bool found = false;
  for (const auto& one : statements_of(policy_of(kept))) {
    if (sid_of(one) == id)
      found = true;
    else
      left.push_back(one);
  }
  if (!found)
    return Error{Code::not_found,
                 "Statement " + id.substr(0, 100) + " is not found in resource policy."};
  return left.empty() ? std::string() : policy_text(std::move(left));
}

}  // namespace mayfly::dialects::lambda_api
