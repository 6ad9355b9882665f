#include "dialects/lambda_api/faults.h"

#include "dialects/aws_values.h"
#include "triggers/mapping.h"

namespace mayfly::dialects::lambda_api {

namespace {

// Lambda's shapes spell the member in two ways; clients look for either.
aws::Fault typed(std::string code, std::string message, int status, bool sender = true) {
  aws::Fault fault{std::move(code), std::move(message), status, "", sender};
  fault.detail["Type"] = sender ? "User" : "Service";
  fault.detail["Message"] = fault.message;
  return fault;
}

}  // namespace

aws::Fault invalid_parameter(std::string message) {
  return typed("InvalidParameterValueException", std::move(message), 400);
}

aws::Fault validation(const std::string& value, std::string_view member, std::string_view rule) {
  return typed("ValidationException",
               "1 validation error detected: Value '" + value + "' at '" + std::string(member) +
                   "' failed to satisfy constraint: " + std::string(rule),
               400);
}

aws::Fault not_found(std::string message) {
  return typed("ResourceNotFoundException", std::move(message), 404);
}

aws::Fault no_function(const std::string& arn) {
  return not_found("Function not found: " + arn);
}

aws::Fault conflict(std::string message) {
  return typed("ResourceConflictException", std::move(message), 409);
}

aws::Fault wrong_revision() {
  return typed("PreconditionFailedException",
               "The Revision Id provided does not match the latest Revision Id. Call the "
               "GetFunction/GetAlias API to retrieve the latest Revision Id",
               412);
}

aws::Fault not_implemented(std::string_view operation) {
  return typed("NotImplementedException",
               "Mayfly does not serve " + std::string(operation) +
                   " of the Lambda API; docs/reference/lambda.md lists what it does.",
               501);
}

aws::Fault too_many(std::string message, std::string_view reason, std::uint32_t retry_after_s) {
  aws::Fault fault = typed("TooManyRequestsException", std::move(message), 429);
  fault.detail["Reason"] = reason;
  if (retry_after_s > 0) fault.detail["retryAfterSeconds"] = std::to_string(retry_after_s);
  fault.retry_after_s = retry_after_s;
  return fault;
}

aws::Outcome<void> refuse_unserved(const boost::json::object& input) {
  constexpr std::pair<std::string_view, std::string_view> kUnserved[] = {
      {"CapacityProviderConfig", "it has no capacity providers"},
      {"CodeSigningConfigArn", "it checks no signatures of code"},
      {"DurableConfig", "it has no durable functions"},
      {"DurableExecutionName", "it has no durable functions"},
      {"PublishTo", "it has no capacity providers"},
      {"TenancyConfig", "it does not keep the tenants of a function apart"},
  };
  for (const auto& [member, why] : kUnserved) {
    const auto* value = input.if_contains(member);
    if (value == nullptr || (value->is_string() && value->get_string().empty())) continue;
    return invalid_parameter(std::string(member) +
                             " is not served by this server: " + std::string(why) + ".");
  }
  if (input.contains("TenantId"))
    return invalid_parameter(
        "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from "
        "your request and try again.");
  return boost::system::in_place_value;
}

aws::Outcome<void> check_kms_key(const boost::json::object& input, std::string_view member) {
  const std::string arn = text_member(input, member);
  if (triggers::check_kms_key(arn).has_value()) return boost::system::in_place_value;
  std::string path(member);
  path[0] = static_cast<char>(path[0] | 0x20);
  return validation(arn.substr(0, 300), path,
                    "Member must satisfy regular expression pattern: "
                    "(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()");
}

aws::Fault lambda_fault(const Error& error) {
  switch (error.code) {
    case Code::invalid_argument:
    case Code::unsupported:
    case Code::too_large:
      return invalid_parameter(error.message);
    case Code::not_found:
      return not_found(error.message);
    case Code::already_exists:
    case Code::conflict:
      return conflict(error.message);
    case Code::resource_exhausted:
      return too_many(error.message, "ConcurrentInvocationLimitExceeded", 1);
    case Code::unavailable:
    case Code::cancelled:
    case Code::deadline_exceeded:
      return typed("ServiceException", error.describe(), 503, false);
    default:
      return typed("ServiceException", error.describe(), 500, false);
  }
}

}  // namespace mayfly::dialects::lambda_api
