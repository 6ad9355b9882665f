// Tags, and the statements of a queue's policy. Policies are kept for clients that manage them;
// who may call is decided by access keys alone.

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "dialects/sqs/contract.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using queues::QueueInfo;

namespace {

constexpr std::size_t kTagsMax = 50;
constexpr std::size_t kTagKeyMax = 128;
constexpr std::size_t kTagValueMax = 256;
constexpr std::string_view kActions[] = {"*",
                                         "SendMessage",
                                         "ReceiveMessage",
                                         "DeleteMessage",
                                         "ChangeMessageVisibility",
                                         "GetQueueAttributes",
                                         "GetQueueUrl",
                                         "ListDeadLetterSourceQueues",
                                         "PurgeQueue"};

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > 80) return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

json::object policy_of(const QueueInfo& info, const std::string& arn) {
  const auto kept = info.settings.other.find("Policy");
  if (kept != info.settings.other.end()) {
    boost::system::error_code failed;
    json::value value = json::parse(kept->second, failed);
    if (!failed && value.is_object()) return std::move(value.get_object());
  }
  return json::object{{"Version", "2012-10-17"}, {"Id", arn + "/SQSDefaultPolicy"}};
}

json::array statements_of(const json::object& policy) {
  const json::value* found = policy.if_contains("Statement");
  if (!found) return {};
  if (found->is_array()) return found->get_array();
  return json::array{*found};
}

bool has_label(const json::value& statement, std::string_view label) {
  return statement.is_object() && text_of(statement.get_object(), "Sid") == label;
}

json::value one_or_many(json::array values) {
  if (values.size() == 1) return values.front();
  return values;
}

}  // namespace

Outcome<json::object> Sqs::list_tags(const Call& call) const {
  auto queue = queue_of(call);
  if (queue.has_error()) return std::move(queue).error();
  json::object tags;
  for (const auto& [key, value] : (*queue)->tags) tags[key] = value;
  json::object answer;
  if (!tags.empty()) answer["Tags"] = std::move(tags);
  return answer;
}

Outcome<void> Sqs::edit_tags(const Call& call, QueueInfo& info) const {
  if (static_cast<Op>(call.operation->tag) == Op::untag_queue) {
    for (const auto key : texts_of(call.input, "TagKeys")) info.tags.erase(std::string(key));
  } else {
    for (const auto& tag : call.input.at("Tags").get_object()) {
      if (tag.key().empty() || tag.key().size() > kTagKeyMax || !tag.value().is_string() ||
          tag.value().get_string().size() > kTagValueMax)
        return invalid_parameter(
            "A tag has a key of 1 to 128 and a value of up to 256 characters.");
      info.tags[std::string(tag.key())] = std::string(tag.value().get_string());
    }
    if (info.tags.size() > kTagsMax)
      return invalid_parameter("Too many tags added for queue " + info.name + ".");
  }
  return {};
}

Outcome<void> Sqs::edit_permissions(const Call& call, QueueInfo& info) const {
  const std::string arn = arn_of(info.name);
  const std::string_view label = text_of(call.input, "Label");
  if (!is_label(label)) return bad_value("Label", label, "Must be 1 to 80 of A-Z a-z 0-9 - _.");
  json::object policy = policy_of(info, arn);
  json::array statements = statements_of(policy);
  const auto same = std::find_if(statements.begin(), statements.end(), [&](const auto& statement) {
    return has_label(statement, label);
  });
  if (static_cast<Op>(call.operation->tag) == Op::remove_permission) {
    if (same == statements.end())
      return bad_value("Label", label, "can't find label on existing policy.");
    statements.erase(same);
  } else {
    if (same != statements.end()) return bad_value("Label", label, "Already exists.");
    json::array principals, actions;
    for (const auto account : texts_of(call.input, "AWSAccountIds"))
      principals.emplace_back("arn:aws:iam::" + std::string(account) + ":root");
    for (const auto action : texts_of(call.input, "Actions")) {
      if (std::find(std::begin(kActions), std::end(kActions), action) == std::end(kActions))
        return bad_value("ActionName", action,
                         "Please refer to the appropriate WSDL for a "
                         "list of valid actions.");
      actions.emplace_back("SQS:" + std::string(action));
    }
    if (principals.empty()) return missing_parameter("AWSAccountIds");
    if (actions.empty()) return missing_parameter("Actions");
    statements.push_back(
        json::object{{"Sid", json::string_view(label)},
                     {"Effect", "Allow"},
                     {"Principal", json::object{{"AWS", one_or_many(std::move(principals))}}},
                     {"Action", one_or_many(std::move(actions))},
                     {"Resource", arn}});
  }
  if (statements.empty()) {
    info.settings.other.erase("Policy");
  } else {
    policy["Statement"] = std::move(statements);
    info.settings.other["Policy"] = json::serialize(policy);
  }
  return {};
}

}  // namespace mayfly::dialects::sqs
