#pragma once
// Internal: the operations of AWS Lambda with their shapes.

#include "aws/service.h"

namespace mayfly::dialects::lambda_api {

enum class Op : int {
  not_served,  // answers a typed error that says so
  create_function,
  get_function,
  get_function_configuration,
  list_functions,
  update_function_code,
  update_function_configuration,
  delete_function,
  get_package,  // no operation of Lambda: what Code.Location of GetFunction leads to
  invoke,
  invoke_async,
  invoke_with_response_stream,
  publish_version,
  list_versions,
  create_alias,
  get_alias,
  list_aliases,
  update_alias,
  delete_alias,
  put_concurrency,
  get_concurrency,
  delete_concurrency,
  list_tags,
  tag,
  untag,
  add_permission,
  get_policy,
  remove_permission,
  get_account_settings,
  create_mapping,
  get_mapping,
  list_mappings,
  update_mapping,
  delete_mapping,
  put_event_invoke,
  update_event_invoke,
  get_event_invoke,
  list_event_invokes,
  delete_event_invoke,
  get_code_signing,
  get_runtime_management,
  put_runtime_management,
  get_recursion,
  put_recursion,
  put_provisioned,
  get_provisioned,
  list_provisioned,
  delete_provisioned,
  put_scaling,
  get_scaling,
  publish_layer,
  get_layer,
  get_layer_by_arn,
  list_layers,
  list_layer_versions,
  delete_layer,
  add_layer_permission,
  get_layer_policy,
  remove_layer_permission,
  create_url,
  get_url,
  update_url,
  delete_url,
  list_urls,
};

const aws::Contract& lambda_contract();

// The path of Op::get_package, in front of the SHA-256 of a package.
inline constexpr std::string_view kPackagePath = "/2015-03-31/mayfly-packages/";

}  // namespace mayfly::dialects::lambda_api
