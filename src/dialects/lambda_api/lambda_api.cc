#include "dialects/lambda_api/lambda_api.h"

#include "aws/session.h"
#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"

namespace mayfly::dialects::lambda_api {

using aws::Call;
using aws::Outcome;

LambdaApi::LambdaApi(Parts parts)
    : parts_(std::move(parts)), home_{parts_.region, parts_.account} {}

const aws::Contract& LambdaApi::contract() const {
  return lambda_contract();
}

// Every way to invoke is InvokeFunction. A name with a qualifier is a resource of its own.
std::vector<aws::Need> LambdaApi::needs(const Call& call) const {
  std::string action = "lambda:" + std::string(call.operation->name);
  const Op op = static_cast<Op>(call.operation->tag);
  if (op == Op::invoke || op == Op::invoke_async || op == Op::invoke_with_response_stream)
    action = "lambda:InvokeFunction";
  if (const std::string name = text_member(call.input, "FunctionName"); !name.empty()) {
    const auto ref = parse_function(name, text_member(call.input, "Qualifier"));
    if (ref.has_value()) return {{std::move(action), home_.arn(ref->name, ref->qualifier)}};
  }
  for (const auto member : {"Resource", "Arn", "LayerName"})
    if (std::string named = text_member(call.input, member); !named.empty())
      return {{std::move(action), std::move(named)}};
  return {{std::move(action), "*"}};
}

io::Task<Outcome<boost::json::object>> LambdaApi::call(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::create_function:
      return create_function(std::move(call));
    case Op::get_function:
      return get_function(std::move(call));
    case Op::get_function_configuration:
      return get_configuration(std::move(call));
    case Op::list_functions:
      return list_functions(std::move(call));
    case Op::update_function_code:
      return update_code(std::move(call));
    case Op::update_function_configuration:
      return update_configuration(std::move(call));
    case Op::delete_function:
      return delete_function(std::move(call));
    case Op::publish_version:
      return publish_version(std::move(call));
    case Op::list_versions:
      return list_versions(std::move(call));
    case Op::create_alias:
    case Op::update_alias:
      return put_alias(std::move(call));
    case Op::get_alias:
      return get_alias(std::move(call));
    case Op::list_aliases:
      return list_aliases(std::move(call));
    case Op::delete_alias:
      return delete_alias(std::move(call));
    default:
      return call_more(std::move(call));
  }
}

io::Task<Outcome<boost::json::object>> LambdaApi::call_more(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::put_concurrency:
    case Op::get_concurrency:
    case Op::delete_concurrency:
      return concurrency(std::move(call));
    case Op::list_tags:
    case Op::tag:
    case Op::untag:
      return tags(std::move(call));
    case Op::add_permission:
      return add_permission(std::move(call));
    case Op::get_policy:
      return get_policy(std::move(call));
    case Op::remove_permission:
      return remove_permission(std::move(call));
    case Op::get_account_settings:
      return account_settings();
    case Op::create_mapping:
      return create_mapping(std::move(call));
    case Op::update_mapping:
      return update_mapping(std::move(call));
    case Op::delete_mapping:
      return delete_mapping(std::move(call));
    case Op::get_mapping:
      return get_mapping(std::move(call));
    case Op::list_mappings:
      return list_mappings(std::move(call));
    case Op::put_event_invoke:
    case Op::update_event_invoke:
      return put_event_invoke(std::move(call));
    case Op::get_event_invoke:
      return get_event_invoke(std::move(call));
    case Op::list_event_invokes:
      return list_event_invokes(std::move(call));
    case Op::delete_event_invoke:
      return delete_event_invoke(std::move(call));
    case Op::create_url:
    case Op::update_url:
      return put_url(std::move(call));
    case Op::get_url:
    case Op::delete_url:
      return get_url(std::move(call));
    case Op::list_urls:
      return list_urls(std::move(call));
    case Op::get_code_signing:
    case Op::get_runtime_management:
    case Op::put_runtime_management:
    case Op::get_recursion:
    case Op::put_recursion:
      return kept(std::move(call));
    case Op::put_provisioned:
      return put_provisioned(std::move(call));
    case Op::get_provisioned:
      return get_provisioned(std::move(call));
    case Op::list_provisioned:
      return list_provisioned(std::move(call));
    case Op::delete_provisioned:
      return delete_provisioned(std::move(call));
    case Op::put_scaling:
    case Op::get_scaling:
      return scaling_config(std::move(call));
    default:
      return call_layers(std::move(call));
  }
}

io::Task<Outcome<io::HttpResponse>> LambdaApi::answer(Call call, std::string body) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::invoke:
    case Op::invoke_async:
    case Op::invoke_with_response_stream:
      return invoke(std::move(call), std::move(body));
    case Op::get_package:
      return get_package(std::move(call));
    default:
      break;
  }
  const auto refuse = [](aws::Fault fault) -> io::Task<Outcome<io::HttpResponse>> {
    co_return fault;
  };
  return refuse(not_implemented(call.operation->name));
}

}  // namespace mayfly::dialects::lambda_api
