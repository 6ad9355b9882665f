// What belongs to a function as a whole: tags, its policy, its reserved concurrency, and what is
// kept for clients that ask for it again.

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"
#include "dialects/lambda_api/policies.h"
#include "triggers/mapping.h"
#include "triggers/queue_trigger.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::Belongings;

namespace {

constexpr std::string_view kPolicyKey = "aws.policy";    // and :QUALIFIER
constexpr std::string_view kRuntimeKey = "aws.runtime";  // and :QUALIFIER
constexpr std::string_view kLoopKey = "aws.recursion";

std::string keyed(std::string_view what, const std::string& qualifier) {
  std::string key(what);
  if (!qualifier.empty() && qualifier != "$LATEST") key.append(":").append(qualifier);
  return key;
}

std::string text_kept(const Belongings& belongings, const std::string& key) {
  const auto found = belongings.other.find(key);
  return found == belongings.other.end() ? std::string() : found->second;
}

json::object object_kept(const Belongings& belongings, const std::string& key) {
  return policy_of(text_kept(belongings, key));
}

json::object statement_of(const json::object& input, const std::string& resource) {
  const std::string principal = text_member(input, "Principal");
  json::object statement{{"Sid", text_member(input, "StatementId")}, {"Effect", "Allow"}};
  if (principal == "*")
    statement["Principal"] = "*";
  else if (std::count(principal.begin(), principal.end(), '.') > 0 &&
           !principal.starts_with("arn:"))
    statement["Principal"] = json::object{{"Service", principal}};
  else if (principal.starts_with("arn:"))
    statement["Principal"] = json::object{{"AWS", principal}};
  else
    statement["Principal"] = json::object{{"AWS", "arn:aws:iam::" + principal + ":root"}};
  statement["Action"] = text_member(input, "Action");
  statement["Resource"] = resource;
  json::object condition;
  const auto add = [&](std::string_view how, std::string_view key, const std::string& value) {
    if (value.empty()) return;
    json::value& group = condition[how];
    if (!group.is_object()) group.emplace_object();
    group.get_object()[key] = value;
  };
  add("ArnLike", "AWS:SourceArn", text_member(input, "SourceArn"));
  add("StringEquals", "AWS:SourceAccount", text_member(input, "SourceAccount"));
  add("StringEquals", "lambda:EventSourceToken", text_member(input, "EventSourceToken"));
  add("StringEquals", "aws:PrincipalOrgID", text_member(input, "PrincipalOrgID"));
  add("StringEquals", "lambda:FunctionUrlAuthType", text_member(input, "FunctionUrlAuthType"));
  if (input.contains("InvokedViaFunctionUrl"))
    add("Bool", "lambda:InvokedViaFunctionUrl",
        flag_member(input, "InvokedViaFunctionUrl") ? "true" : "false");
  if (!condition.empty()) statement["Condition"] = std::move(condition);
  return statement;
}

}  // namespace

Outcome<void> check_tags(const std::map<std::string, std::string>& tags) {
  if (const Status good = triggers::check_tags(tags); good.has_error())
    return invalid_parameter(good.error().message);
  return boost::system::in_place_value;
}

namespace {

// By what input has of Tags and TagKeys.
void change_tags(const json::object& input, std::map<std::string, std::string>& tags) {
  for (const auto& [key, value] : map_member(input, "Tags")) tags[key] = value;
  for (const auto& key : texts_member(input, "TagKeys")) tags.erase(key);
}

json::object tags_info(const std::map<std::string, std::string>& tags) {
  json::object all;
  for (const auto& [key, value] : tags) all[key] = value;
  return {{"Tags", std::move(all)}};
}

}  // namespace

LambdaApi::Answer LambdaApi::mapping_tags(Call call, std::string id) {
  auto mapping = parts_.triggers.find(id);
  if (!mapping || mapping->id != id)
    co_return not_found("The resource you requested does not exist.");
  if (static_cast<Op>(call.operation->tag) == Op::list_tags) co_return tags_info(mapping->tags);
  change_tags(call.input, mapping->tags);
  if (auto good = check_tags(mapping->tags); good.has_error()) co_return std::move(good).error();
  auto updating = parts_.triggers.update(std::move(*mapping));
  auto updated = co_await std::move(updating);
  if (updated.has_error()) co_return lambda_fault(updated.error());
  co_return Object{};
}

LambdaApi::Answer LambdaApi::tags(Call call) {
  const std::string resource = text_member(call.input, "Resource");
  if (const auto at = resource.find(kMappingArn); at != std::string::npos) {
    auto tagging = mapping_tags(std::move(call), resource.substr(at + kMappingArn.size()));
    co_return co_await std::move(tagging);
  }
  auto ref = parse_function(resource);
  if (ref.has_error()) co_return std::move(ref).error();
  if (!parts_.catalogue.find(ref->name, "")) co_return no_function(home_.arn(ref->name));
  if (!ref->qualifier.empty())
    co_return invalid_parameter(
        "Tags on function aliases and versions are not supported. Please "
        "specify either a function ARN or an event source mapping ARN.");
  const Op op = static_cast<Op>(call.operation->tag);
  if (op != Op::list_tags) {
    auto changed = parts_.catalogue.belongings(ref->name).tags;
    change_tags(call.input, changed);
    if (auto good = check_tags(changed); good.has_error()) co_return std::move(good).error();
    auto changing = parts_.catalogue.change_belongings(ref->name, [&call](Belongings& belongings) {
      change_tags(call.input, belongings.tags);
      return ok();
    });
    const Status done = co_await std::move(changing);
    if (done.has_error()) co_return lambda_fault(done.error());
    co_return Object{};
  }
  co_return tags_info(parts_.catalogue.belongings(ref->name).tags);
}

LambdaApi::Answer LambdaApi::concurrency(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (!ref.qualifier.empty())
    co_return invalid_parameter("Reserved concurrency is of a function, not of a version.");
  const Op op = static_cast<Op>(call.operation->tag);
  if (op != Op::get_concurrency) {
    std::optional<std::uint32_t> limit;
    if (op == Op::put_concurrency) {
      const std::int64_t asked = number_member(call.input, "ReservedConcurrentExecutions", -1);
      if (asked < 0)
        co_return validation(std::to_string(asked), "reservedConcurrentExecutions",
                             "Member must have value greater than or equal to 0");
      if (asked > parts_.settings.concurrency_max)
        co_return invalid_parameter(
            "ReservedConcurrentExecutions is over the setting "
            "lambda.concurrency_max.");
      limit = static_cast<std::uint32_t>(asked);
    }
    auto changing = parts_.catalogue.change_belongings(ref.name, [limit](Belongings& belongings) {
      belongings.reserved_concurrency = limit;
      return ok();
    });
    const Status done = co_await std::move(changing);
    if (done.has_error()) co_return lambda_fault(done.error());
  }
  Object out;
  const auto& limit = parts_.catalogue.belongings(ref.name).reserved_concurrency;
  if (limit && op != Op::delete_concurrency) out["ReservedConcurrentExecutions"] = *limit;
  co_return out;
}

LambdaApi::Answer LambdaApi::add_permission(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const std::string key = keyed(kPolicyKey, ref.qualifier);
  const auto now = object_kept(parts_.catalogue.belongings(ref.name), key);
  if (auto good = check_revision(call.input, text_member(now, "RevisionId")); good.has_error())
    co_return std::move(good).error();
  const json::object statement = statement_of(
      call.input, home_.arn(ref.name, ref.qualifier == "$LATEST" ? "" : ref.qualifier));
  auto changing = parts_.catalogue.change_belongings(
      ref.name, [key, statement](Belongings& belongings) -> Status {
        auto policy = with_statement(text_kept(belongings, key), statement);
        if (policy.has_error()) return std::move(policy).error();
        belongings.other[key] = std::move(*policy);
        return ok();
      });
  const Status done = co_await std::move(changing);
  if (done.has_error()) {
    aws::Fault fault = lambda_fault(done.error());
    if (done.error().code == Code::too_large) fault.code = "PolicyLengthExceededException";
    co_return fault;
  }
  co_return Object{{"Statement", json::serialize(statement)}};
}

LambdaApi::Answer LambdaApi::get_policy(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const auto policy =
      object_kept(parts_.catalogue.belongings(ref.name), keyed(kPolicyKey, ref.qualifier));
  if (statements_of(policy).empty())
    co_return not_found("The resource you requested does not exist.");
  co_return shown_policy(policy);
}

LambdaApi::Answer LambdaApi::remove_permission(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const std::string key = keyed(kPolicyKey, ref.qualifier);
  const auto now = object_kept(parts_.catalogue.belongings(ref.name), key);
  if (auto good = check_revision(call.input, text_member(now, "RevisionId")); good.has_error())
    co_return std::move(good).error();
  const std::string id = text_member(call.input, "StatementId");
  auto changing =
      parts_.catalogue.change_belongings(ref.name, [key, id](Belongings& belongings) -> Status {
        auto policy = without_statement(text_kept(belongings, key), id);
        if (policy.has_error()) return std::move(policy).error();
        if (policy->empty())
          belongings.other.erase(key);
        else
          belongings.other[key] = std::move(*policy);
        return ok();
      });
  const Status done = co_await std::move(changing);
  if (done.has_error()) co_return lambda_fault(done.error());
  co_return Object{};
}

// What has no effect here, and what clients look at all the same.
LambdaApi::Answer LambdaApi::kept(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const Op op = static_cast<Op>(call.operation->tag);
  if (op == Op::get_code_signing)
    co_return Object{{"CodeSigningConfigArn", ""}, {"FunctionName", ref.name}};
  const bool recursion = op == Op::get_recursion || op == Op::put_recursion;
  const std::string key = recursion ? std::string(kLoopKey) : keyed(kRuntimeKey, ref.qualifier);
  if (op == Op::put_recursion || op == Op::put_runtime_management) {
    Object value;
    for (const std::string_view member : {"RecursiveLoop", "UpdateRuntimeOn", "RuntimeVersionArn"})
      if (call.input.contains(member)) value[member] = text_member(call.input, member);
    std::string text = json::serialize(value);
    if (text.size() > 4096) co_return invalid_parameter("The request is too long.");
    auto changing = parts_.catalogue.change_belongings(ref.name, [key, text](Belongings& b) {
      b.other[key] = text;
      return ok();
    });
    const Status done = co_await std::move(changing);
    if (done.has_error()) co_return lambda_fault(done.error());
  }
  Object out = object_kept(parts_.catalogue.belongings(ref.name), key);
  if (recursion) {
    if (!out.contains("RecursiveLoop")) out["RecursiveLoop"] = "Terminate";
  } else {
    if (!out.contains("UpdateRuntimeOn")) out["UpdateRuntimeOn"] = "Auto";
    out["FunctionArn"] = home_.arn(ref.name, ref.qualifier);
  }
  co_return out;
}

LambdaApi::Answer LambdaApi::account_settings() {
  std::uint64_t code_bytes = 0, reserved = 0;
  const auto all = parts_.catalogue.list();
  for (const auto& latest : all) {
    reserved += parts_.catalogue.belongings(latest->function).reserved_concurrency.value_or(0);
    for (const auto& version : parts_.catalogue.versions(latest->function)) {
      auto measuring = archive_bytes(version->package);
      const std::uint64_t bytes = co_await std::move(measuring);
      code_bytes += bytes;
    }
  }
  const std::uint64_t most = parts_.settings.concurrency_max;
  co_return Object{
      {"AccountLimit", Object{{"TotalCodeSize", std::int64_t{80'530'636'800}},
                              {"CodeSizeUnzipped", 262'144'000},
                              {"CodeSizeZipped", 52'428'800},
                              {"ConcurrentExecutions", most},
                              {"UnreservedConcurrentExecutions", most - std::min(most, reserved)}}},
      {"AccountUsage", Object{{"TotalCodeSize", code_bytes}, {"FunctionCount", all.size()}}}};
}

}  // namespace mayfly::dialects::lambda_api
