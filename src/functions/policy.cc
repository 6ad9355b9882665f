#include "functions/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace mayfly::functions {
namespace {

namespace json = boost::json;

// The data plane. What makes, changes or removes functions, queues, buckets, keys is not in it.
constexpr std::string_view kStandard = R"({"Statement": [{
  "Effect": "Allow",
  "Action": [
    "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
    "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueues",
    "sns:Publish", "sns:GetTopicAttributes", "sns:ListTopics",
    "events:PutEvents",
    "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:ListAllMyBuckets",
    "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:GetObjectTagging",
    "s3:PutObjectTagging", "s3:DeleteObjectTagging", "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads",
    "lambda:InvokeFunction", "lambda:InvokeAsync",
    "execute-api:ManageConnections",
    "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:GetLogEvents",
    "logs:FilterLogEvents",
    "sts:GetCallerIdentity"],
  "Resource": "*"}]})";

constexpr std::size_t kPolicyStatementsMax = 100;
constexpr std::size_t kPolicyDepthMax = 8;

Error bad_policy(std::string text) {
  return Error{Code::invalid_argument, "policy: " + std::move(text), "read the policy", 0};
}

char folded(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

Status read_policy_texts(const json::value& value, const std::string& where,
                         std::vector<std::string>& out) {
  const auto add = [&](const json::value& one) {
    const auto* text = one.if_string();
    if (text == nullptr || text->empty()) return false;
    out.emplace_back(*text);
    return true;
  };
  if (const auto* list = value.if_array()) {
    for (const auto& one : *list)
      if (!add(one)) return bad_policy(where + " must be a text or a list of texts.");
    if (list->empty()) return bad_policy(where + " is an empty list.");
    return ok();
  }
  if (!add(value)) return bad_policy(where + " must be a text or a list of texts.");
  return ok();
}

Status check_action(const std::string& action, const std::string& where) {
  if (action == "*") return ok();
  const auto colon = action.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == action.size())
    return bad_policy(fmt::format("{}: '{}' must be SERVICE:ACTION, as in sqs:SendMessage.", where,
                                  action.substr(0, 100)));
  return ok();
}

Status check_resource(const std::string& resource, const std::string& where) {
  if (resource == "*" || resource.starts_with("arn:")) return ok();
  return bad_policy(fmt::format("{}: '{}' must be an ARN or *.", where, resource.substr(0, 200)));
}

Result<Policy::Statement> read_statement(const json::value& value, const std::string& where) {
  const auto* object = value.if_object();
  if (object == nullptr)
    return bad_policy(where + " must be an object with Effect, Action, Resource.");
  Policy::Statement statement;
  bool effect = false;
  for (const auto& entry : *object) {
    const std::string_view key = entry.key();
    const std::string name = where + "." + std::string(key.substr(0, 60));
    if (key == "Effect") {
      const auto* text = entry.value().if_string();
      if (text == nullptr || (*text != "Allow" && *text != "Deny"))
        return bad_policy(name + " must be Allow or Deny.");
      statement.allow = *text == "Allow";
      effect = true;
    } else if (key == "Action" || key == "NotAction") {
      if (!statement.actions.empty()) return bad_policy(where + " has both Action and NotAction.");
      statement.not_actions = key == "NotAction";
      MAYFLY_TRY(read_policy_texts(entry.value(), name, statement.actions));
      for (const auto& action : statement.actions) MAYFLY_TRY(check_action(action, name));
    } else if (key == "Resource" || key == "NotResource") {
      if (!statement.resources.empty())
        return bad_policy(where + " has both Resource and NotResource.");
      statement.not_resources = key == "NotResource";
      MAYFLY_TRY(read_policy_texts(entry.value(), name, statement.resources));
      for (const auto& resource : statement.resources) MAYFLY_TRY(check_resource(resource, name));
    } else if (key == "Condition") {
      return bad_policy(name +
                        " is not supported: write the statement without it, or leave it out.");
    } else if (key != "Sid") {
      return bad_policy(name + " is unknown; a statement has Effect, Action and Resource.");
    }
  }
  if (!effect) return bad_policy(where + ".Effect is missing.");
  if (statement.actions.empty()) return bad_policy(where + ".Action is missing.");
  if (statement.resources.empty()) return bad_policy(where + ".Resource is missing.");
  return statement;
}

bool any_pattern_matches(const std::vector<std::string>& patterns, std::string_view text,
                         bool ignore_case) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return matches_wildcard(pattern, text, ignore_case);
  });
}

}  // namespace

bool matches_wildcard(std::string_view pattern, std::string_view text, bool ignore_case) {
  // The last star is the only one to go back to: what stood before it has matched as early as can
  // be.
  std::size_t p = 0, t = 0, star = std::string_view::npos, after = 0;
  while (t < text.size()) {
    const bool fits = p < pattern.size() && pattern[p] != '*' &&
                      (pattern[p] == '?' || pattern[p] == text[t] ||
                       (ignore_case && folded(pattern[p]) == folded(text[t])));
    if (fits) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<Policy> Policy::parse(std::string_view text) {
  if (text.size() > kBytesMax)
    return bad_policy(fmt::format("it has {} bytes; {} are the most.", text.size(), kBytesMax));
  json::parse_options options;
  options.max_depth = kPolicyDepthMax;
  boost::system::error_code problem;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), problem,
                                        json::storage_ptr(), options);
  if (problem) return bad_policy("it is no JSON: " + problem.message() + ".");
  const json::value* list = &value;
  if (const auto* object = value.if_object(); object && object->contains("Statement")) {
    for (const auto& entry : *object)
      if (entry.key() != "Statement" && entry.key() != "Version" && entry.key() != "Id")
        return bad_policy(std::string(entry.key()).substr(0, 60) + " is unknown beside Statement.");
    list = &object->at("Statement");
  }
  Policy policy;
  if (const auto* statements = list->if_array()) {
    if (statements->size() > kPolicyStatementsMax)
      return bad_policy(fmt::format("more than {} statements.", kPolicyStatementsMax));
    for (std::size_t i = 0; i < statements->size(); ++i) {
      auto statement = read_statement((*statements)[i], fmt::format("Statement[{}]", i));
      if (statement.has_error()) return std::move(statement).error();
      policy.statements_.push_back(std::move(*statement));
    }
    return policy;
  }
  auto statement = read_statement(*list, "Statement");
  if (statement.has_error()) return std::move(statement).error();
  policy.statements_.push_back(std::move(*statement));
  return policy;
}

const Policy& Policy::standard() {
  static const Policy kPolicy = parse(kStandard).value();
  return kPolicy;
}

bool Policy::allows(std::string_view action, std::string_view resource) const {
  bool allowed = false;
  for (const auto& statement : statements_) {
    if (any_pattern_matches(statement.actions, action, true) == statement.not_actions) continue;
    if (any_pattern_matches(statement.resources, resource, false) == statement.not_resources)
      continue;
    if (!statement.allow) return false;
    allowed = true;
  }
  return allowed;
}

std::string Policy::text_of(const std::vector<Statement>& statements) {
  json::array list;
  for (const auto& statement : statements)
    list.push_back(
        json::object{{"Effect", statement.allow ? "Allow" : "Deny"},
                     {statement.not_actions ? "NotAction" : "Action",
                      json::array(statement.actions.begin(), statement.actions.end())},
                     {statement.not_resources ? "NotResource" : "Resource",
                      json::array(statement.resources.begin(), statement.resources.end())}});
  return json::serialize(json::object{{"Statement", std::move(list)}});
}

}  // namespace mayfly::functions
