#include "functions/projects/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace mayfly::functions::projects {
namespace {

// As AWS SAM writes them out, without what Mayfly does not have.
struct PolicyTemplate {
  std::string_view name, parameter, service;
  std::vector<std::string_view> actions;
};

const std::vector<PolicyTemplate>& policy_templates() {
  static const std::vector<PolicyTemplate> kTemplates = {
      {"SQSSendMessagePolicy", "QueueName", "sqs", {"sqs:SendMessage*"}},
      {"SQSPollerPolicy",
       "QueueName",
       "sqs",
       {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage"}},
      {"S3ReadPolicy",
       "BucketName",
       "s3",
       {"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"}},
      {"S3WritePolicy", "BucketName", "s3", {"s3:PutObject"}},
      {"S3CrudPolicy",
       "BucketName",
       "s3",
       {"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "s3:PutObject",
        "s3:DeleteObject"}},
      {"S3FullAccessPolicy",
       "BucketName",
       "s3",
       {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectTagging",
        "s3:PutObjectTagging", "s3:DeleteObjectTagging", "s3:ListBucket", "s3:GetBucketLocation"}},
      {"SNSPublishMessagePolicy", "TopicName", "sns", {"sns:Publish"}},
      {"LambdaInvokePolicy", "FunctionName", "lambda", {"lambda:InvokeFunction"}},
      {"EventBridgePutEventsPolicy", "EventBusName", "events", {"events:PutEvents"}},
  };
  return kTemplates;
}

// AWS's own policies that concern what Mayfly has.
struct ManagedPolicy {
  std::string_view name;
  std::vector<std::string_view> actions;
};

const std::vector<ManagedPolicy>& managed_policies() {
  static const std::vector<ManagedPolicy> kManaged = {
      {"AdministratorAccess", {"*"}},
      {"AmazonSQSFullAccess", {"sqs:*"}},
      {"AmazonSQSReadOnlyAccess", {"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*"}},
      {"AWSLambdaSQSQueueExecutionRole",
       {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}},
      {"AmazonSNSFullAccess", {"sns:*"}},
      {"AmazonS3FullAccess", {"s3:*"}},
      {"AmazonS3ReadOnlyAccess", {"s3:Get*", "s3:List*"}},
      {"AmazonEventBridgeFullAccess", {"events:*", "scheduler:*"}},
      {"AWSLambdaRole", {"lambda:InvokeFunction"}},
      {"AWSLambda_FullAccess", {"lambda:*", "logs:*"}},
      {"AWSLambda_ReadOnlyAccess",
       {"lambda:Get*", "lambda:List*", "logs:Describe*", "logs:Get*", "logs:FilterLogEvents"}},
      {"CloudWatchLogsReadOnlyAccess", {"logs:Describe*", "logs:Get*", "logs:FilterLogEvents"}},
      {"AmazonAPIGatewayInvokeFullAccess", {"execute-api:Invoke", "execute-api:ManageConnections"}},
      // Logs and metrics are Mayfly's own to write.
      {"AWSLambdaBasicExecutionRole", {}},
      {"AWSLambdaVPCAccessExecutionRole", {}},
      {"AWSXRayDaemonWriteAccess", {}},
      {"AWSXrayWriteOnlyAccess", {}},
  };
  return kManaged;
}

std::vector<std::string> texts_from(const std::vector<std::string_view>& texts) {
  return {texts.begin(), texts.end()};
}

}  // namespace

std::string PolicyReader::text(const Value& at) const {
  std::string text = Policy::text_of(statements_);
  if (text.size() > Policy::kBytesMax)
    wrong(at, fmt::format("the statements make a policy of {} bytes; {} are the most.", text.size(),
                          Policy::kBytesMax));
  return text;
}

void PolicyReader::add(const std::vector<Policy::Statement>& statements) {
  statements_.insert(statements_.end(), statements.begin(), statements.end());
}

void PolicyReader::read_policies(const Value& value) {
  if (!value.is_list()) return read_policy(value);
  for (const auto& one : value.items) read_policy(one);
}

void PolicyReader::read_policy(const Value& value) {
  if (value.is_unknown()) return report_.not_used(value, "nobody can say here what it names");
  if (value.is_scalar()) return read_managed(value, value.text);
  if (!value.is_map()) wrong(value, "must be the name of a policy, a template of one, or one.");
  if (const Value* statement = value.find("Statement")) return read_statements(*statement);
  if (value.members.size() != 1 || !value.members[0].second.is_map())
    return report_.not_used(value, "it is no policy that is known here");
  read_template(value.members[0].first, value.members[0].second);
}

void PolicyReader::read_managed(const Value& at, const std::string& text) {
  const auto slash = text.rfind('/');
  const std::string name = slash == std::string::npos ? text : text.substr(slash + 1);
  for (const auto& one : managed_policies()) {
    if (one.name != name) continue;
    if (one.actions.empty()) return report_.used(at, "functions of Mayfly need no right for that");
    statements_.push_back({true, false, false, texts_from(one.actions), {"*"}});
    return report_.used(at, "a statement of the function's policy");
  }
  report_.not_used(at, "kept as a note: Mayfly has no policy of this name");
}

void PolicyReader::read_template(const std::string& name, const Value& parameters) {
  for (const auto& one : policy_templates()) {
    if (one.name != name) continue;
    const Value* named = parameters.find(one.parameter);
    if (named == nullptr) wrong(parameters, fmt::format("it has no {}.", one.parameter));
    if (named->is_unknown())
      return report_.not_used(parameters, "nobody can say here what it names");
    const std::string resource = filled_text_of(*named);
    std::vector<std::string> resources;
    if (one.service == "s3")
      resources = {"arn:aws:s3:::" + resource, "arn:aws:s3:::" + resource + "/*"};
    else if (one.service == "lambda")
      resources = {builder_.arn("lambda", "function:" + resource + "*")};
    else if (one.service == "events")
      resources = {builder_.arn("events", "event-bus/" + resource)};
    else
      resources = {builder_.arn(std::string(one.service), resource)};
    statements_.push_back({true, false, false, texts_from(one.actions), std::move(resources)});
    return report_.used(parameters, "a statement of the function's policy");
  }
  report_.not_used(parameters, "kept as a note: Mayfly does not know this policy template");
}

void PolicyReader::read_statements(const Value& value) {
  if (value.is_unknown()) return report_.not_used(value, "nobody can say here what it is");
  if (!value.is_list()) return read_statement(value);
  for (const auto& one : value.items) read_statement(one);
}

// False: something of it is not known here, and was left out.
bool PolicyReader::read_list(const Value& value, bool resources, std::vector<std::string>& out) {
  const auto usable = [&](const Value& one) {
    if (!one.is_scalar() || one.text.empty()) return false;
    if (one.text == "*") return true;
    return resources ? one.text.starts_with("arn:") : one.text.find(':') != std::string::npos;
  };
  bool whole = true;
  const auto take = [&](const Value& one) {
    if (usable(one))
      out.push_back(one.text);
    else
      whole = false;
  };
  if (value.is_list())
    std::for_each(value.items.begin(), value.items.end(), take);
  else
    take(value);
  return whole;
}

// What is not known narrows an Allow and widens a Deny.
void PolicyReader::read_statement(const Value& value) {
  if (value.is_unknown()) return report_.not_used(value, "nobody can say here what it is");
  if (!value.is_map()) wrong(value, "a statement must have Effect, Action and Resource.");
  const Value* effect = value.find("Effect");
  Policy::Statement statement;
  statement.allow = effect == nullptr || !effect->is_scalar() || effect->text != "Deny";
  const auto list = [&](const char* key, bool& negated, std::vector<std::string>& out) {
    const Value* given = value.find(key);
    negated = given == nullptr;
    if (given == nullptr) given = value.find(std::string("Not") + key);
    if (given == nullptr) wrong(value, fmt::format("a statement has no {}.", key));
    return read_list(*given, std::string_view(key) == "Resource", out) ? 0 : 1;
  };
  const bool parts = list("Action", statement.not_actions, statement.actions) != 0;
  const bool others = list("Resource", statement.not_resources, statement.resources) != 0;
  const bool condition = value.find("Condition") != nullptr;
  if (statement.allow) {
    const bool negated = (parts && statement.not_actions) || (others && statement.not_resources);
    if (condition)
      return report_.not_used(value,
                              "Mayfly does not know conditions, so nothing is allowed by it");
    if (statement.actions.empty() || statement.resources.empty() || negated)
      return report_.not_used(value, "nobody can say here what it names");
  } else {
    if (others) {
      statement.not_resources = false;
      statement.resources = {"*"};
    }
    if (statement.actions.empty())
      return report_.not_used(value, "nobody can say here what it names");
  }
  statements_.push_back(std::move(statement));
  report_.used(value, parts || others
                          ? "a statement of the function's policy, as far as it is known here"
                      : condition ? "a statement of the function's policy, without its condition"
                                  : "a statement of the function's policy");
}

}  // namespace mayfly::functions::projects
