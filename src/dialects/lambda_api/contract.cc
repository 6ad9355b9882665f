#include "dialects/lambda_api/contract.h"

#include "aws/tables.h"

namespace mayfly::dialects::lambda_api {
namespace {

using aws::in_path;
using aws::in_query;
using aws::kBlob;
using aws::kBoolean;
using aws::kDocument;
using aws::Kind;
using aws::kInteger;
using aws::kString;
using aws::kStringMap;
using aws::kStrings;
using aws::kTimestamp;
using aws::Member;
using aws::Place;
using aws::required;
using aws::Shape;

constexpr Member field(std::string_view name, std::string_view wire) {
  return {name, &kString, wire, Place::header};
}

#define FUNCTION in_path("FunctionName"), in_query("Qualifier")
#define PAGE in_query("Marker"), in_query("MaxItems", kInteger)

AWS_SHAPE(Named, {FUNCTION});
AWS_SHAPE(NamedPage, {FUNCTION, PAGE});

AWS_SHAPE(Environment, {{"Variables", &kStringMap}});
AWS_SHAPE(DeadLetter, {{"TargetArn", &kString}});
AWS_SHAPE(VpcConfig, {{"SubnetIds", &kStrings},
                      {"SecurityGroupIds", &kStrings},
                      {"Ipv6AllowedForDualStack", &kBoolean}});
AWS_SHAPE(Tracing, {{"Mode", &kString}});
AWS_SHAPE(FileSystem, {required("Arn"), required("LocalMountPath")});
constexpr Shape kFileSystems{Kind::list, {}, &kFileSystem};
AWS_SHAPE(ImageConfig,
          {{"EntryPoint", &kStrings}, {"Command", &kStrings}, {"WorkingDirectory", &kString}});
AWS_SHAPE(Storage, {required("Size", kInteger)});
AWS_SHAPE(SnapStart, {{"ApplyOn", &kString}});
AWS_SHAPE(Logging, {{"LogFormat", &kString},
                    {"ApplicationLogLevel", &kString},
                    {"SystemLogLevel", &kString},
                    {"LogGroup", &kString}});
AWS_SHAPE(Code, {{"ZipFile", &kBlob},
                 {"S3Bucket", &kString},
                 {"S3Key", &kString},
                 {"S3ObjectVersion", &kString},
                 {"ImageUri", &kString},
                 {"SourceKMSKeyArn", &kString}});

// What Create and UpdateFunctionConfiguration share.
#define CONFIGURATION                                                                              \
  {"Runtime", &kString}, {"Handler", &kString}, {"Description", &kString}, {"Timeout", &kInteger}, \
      {"MemorySize", &kInteger}, {"VpcConfig", &kVpcConfig}, {"DeadLetterConfig", &kDeadLetter},   \
      {"Environment", &kEnvironment}, {"KMSKeyArn", &kString}, {"TracingConfig", &kTracing},       \
      {"Layers", &kStrings}, {"FileSystemConfigs", &kFileSystems}, {"ImageConfig", &kImageConfig}, \
      {"EphemeralStorage", &kStorage}, {"SnapStart", &kSnapStart}, {"LoggingConfig", &kLogging},   \
      {"CapacityProviderConfig", &kDocument}, {                                                    \
    "DurableConfig", &kDocument                                                                    \
  }

AWS_SHAPE(CreateFunction, {required("FunctionName"),
                           required("Role"),
                           required("Code", kCode),
                           CONFIGURATION,
                           {"Publish", &kBoolean},
                           {"PackageType", &kString},
                           {"Tags", &kStringMap},
                           {"Architectures", &kStrings},
                           {"CodeSigningConfigArn", &kString},
                           {"PublishTo", &kString},
                           {"TenancyConfig", &kDocument}});
AWS_SHAPE(UpdateFunctionConfiguration,
          {in_path("FunctionName"), CONFIGURATION, {"Role", &kString}, {"RevisionId", &kString}});
AWS_SHAPE(UpdateFunctionCode, {in_path("FunctionName"),
                               {"ZipFile", &kBlob},
                               {"S3Bucket", &kString},
                               {"S3Key", &kString},
                               {"S3ObjectVersion", &kString},
                               {"ImageUri", &kString},
                               {"Publish", &kBoolean},
                               {"DryRun", &kBoolean},
                               {"RevisionId", &kString},
                               {"Architectures", &kStrings},
                               {"SourceKMSKeyArn", &kString},
                               {"PublishTo", &kString}});
AWS_SHAPE(ListFunctions, {in_query("MasterRegion"), in_query("FunctionVersion"), PAGE});
AWS_SHAPE(Package, {in_path("Sha256")});

AWS_SHAPE(Invoke,
          {FUNCTION, field("InvocationType", "X-Amz-Invocation-Type"),
           field("LogType", "X-Amz-Log-Type"), field("ClientContext", "X-Amz-Client-Context"),
           field("TraceId", "X-Amzn-Trace-Id"),
           field("DurableExecutionName", "X-Amz-Durable-Execution-Name"),
           field("TenantId", "X-Amz-Tenant-Id")});

AWS_SHAPE(PublishVersion, {in_path("FunctionName"),
                           {"CodeSha256", &kString},
                           {"Description", &kString},
                           {"RevisionId", &kString},
                           {"PublishTo", &kString}});
AWS_SHAPE(Routing, {{"AdditionalVersionWeights", &kDocument}});
AWS_SHAPE(CreateAlias, {in_path("FunctionName"),
                        required("Name"),
                        required("FunctionVersion"),
                        {"Description", &kString},
                        {"RoutingConfig", &kRouting}});
AWS_SHAPE(NamedAlias, {in_path("FunctionName"), in_path("Name")});
AWS_SHAPE(ListAliases, {in_path("FunctionName"), in_query("FunctionVersion"), PAGE});
AWS_SHAPE(UpdateAlias, {in_path("FunctionName"),
                        in_path("Name"),
                        {"FunctionVersion", &kString},
                        {"Description", &kString},
                        {"RoutingConfig", &kRouting},
                        {"RevisionId", &kString}});

AWS_SHAPE(PutConcurrency,
          {in_path("FunctionName"), required("ReservedConcurrentExecutions", kInteger)});
AWS_SHAPE(Resource, {in_path("Resource")});
AWS_SHAPE(TagResource, {in_path("Resource"), required("Tags", kStringMap)});
AWS_SHAPE(UntagResource,
          {in_path("Resource"), {"TagKeys", &kStrings, "tagKeys", Place::query, true}});
AWS_SHAPE(AddPermission, {FUNCTION,
                          required("StatementId"),
                          required("Action"),
                          required("Principal"),
                          {"SourceArn", &kString},
                          {"SourceAccount", &kString},
                          {"EventSourceToken", &kString},
                          {"PrincipalOrgID", &kString},
                          {"FunctionUrlAuthType", &kString},
                          {"InvokedViaFunctionUrl", &kBoolean},
                          {"RevisionId", &kString}});
AWS_SHAPE(RemovePermission, {FUNCTION, in_path("StatementId"), in_query("RevisionId")});

AWS_SHAPE(Filter, {{"Pattern", &kString}});
constexpr Shape kFilters{Kind::list, {}, &kFilter};
AWS_SHAPE(FilterCriteria, {{"Filters", &kFilters}});
AWS_SHAPE(OneDestination, {{"Destination", &kString}});
AWS_SHAPE(Destinations, {{"OnSuccess", &kOneDestination}, {"OnFailure", &kOneDestination}});
AWS_SHAPE(Scaling, {{"MaximumConcurrency", &kInteger}});
AWS_SHAPE(MappingMetrics, {{"Metrics", &kStrings}});
AWS_SHAPE(Pollers, {{"MinimumPollers", &kInteger},
                    {"MaximumPollers", &kInteger},
                    {"PollerGroupName", &kString}});
#define MAPPING                                                                             \
  {"Enabled", &kBoolean}, {"BatchSize", &kInteger}, {"FilterCriteria", &kFilterCriteria},   \
      {"MaximumBatchingWindowInSeconds", &kInteger}, {"DestinationConfig", &kDestinations}, \
      {"MaximumRecordAgeInSeconds", &kInteger}, {"BisectBatchOnFunctionError", &kBoolean},  \
      {"MaximumRetryAttempts", &kInteger}, {"TumblingWindowInSeconds", &kInteger},          \
      {"ParallelizationFactor", &kInteger}, {"FunctionResponseTypes", &kStrings},           \
      {"ScalingConfig", &kScaling}, {"KMSKeyArn", &kString}, {"Tags", &kStringMap},         \
      {"MetricsConfig", &kMappingMetrics}, {"ProvisionedPollerConfig", &kPollers},          \
      {"LoggingConfig", &kDocument}, {"AmazonManagedKafkaEventSourceConfig", &kDocument},   \
      {"SelfManagedKafkaEventSourceConfig", &kDocument},                                    \
      {"DocumentDBEventSourceConfig", &kDocument}, {                                        \
    "SourceAccessConfigurations", &kDocument                                                \
  }
AWS_SHAPE(CreateMapping, {{"EventSourceArn", &kString},
                          required("FunctionName"),
                          MAPPING,
                          {"StartingPosition", &kString},
                          {"StartingPositionTimestamp", &kTimestamp},
                          {"Topics", &kStrings},
                          {"Queues", &kStrings},
                          {"SelfManagedEventSource", &kDocument}});
AWS_SHAPE(UpdateMapping, {in_path("UUID"), {"FunctionName", &kString}, MAPPING});
AWS_SHAPE(OneMapping, {in_path("UUID")});
AWS_SHAPE(ListMappings, {in_query("EventSourceArn"), in_query("FunctionName"), PAGE});

AWS_SHAPE(EventInvoke, {FUNCTION,
                        {"MaximumRetryAttempts", &kInteger},
                        {"MaximumEventAgeInSeconds", &kInteger},
                        {"DestinationConfig", &kDestinations}});
AWS_SHAPE(RuntimeManagement,
          {FUNCTION, required("UpdateRuntimeOn"), {"RuntimeVersionArn", &kString}});
AWS_SHAPE(Recursion, {in_path("FunctionName"), required("RecursiveLoop")});
AWS_SHAPE(PutProvisioned, {FUNCTION, required("ProvisionedConcurrentExecutions", kInteger)});
AWS_SHAPE(ScalingConfig,
          {{"MinExecutionEnvironments", &kInteger}, {"MaxExecutionEnvironments", &kInteger}});
AWS_SHAPE(PutScaling, {FUNCTION, {"FunctionScalingConfig", &kScalingConfig}});

AWS_SHAPE(PublishLayer, {in_path("LayerName"),
                         {"Description", &kString},
                         required("Content", kCode),
                         {"CompatibleRuntimes", &kStrings},
                         {"LicenseInfo", &kString},
                         {"CompatibleArchitectures", &kStrings}});
AWS_SHAPE(OneLayer, {in_path("LayerName"), in_path("VersionNumber")});
AWS_SHAPE(LayerByArn, {in_query("Arn")});
#define COMPATIBLE in_query("CompatibleRuntime"), in_query("CompatibleArchitecture")
AWS_SHAPE(ListLayers, {COMPATIBLE, PAGE});
AWS_SHAPE(ListLayerVersions, {in_path("LayerName"), COMPATIBLE, PAGE});
#undef COMPATIBLE
AWS_SHAPE(AddLayerPermission, {in_path("LayerName"),
                               in_path("VersionNumber"),
                               required("StatementId"),
                               required("Action"),
                               required("Principal"),
                               {"OrganizationId", &kString},
                               in_query("RevisionId")});
AWS_SHAPE(RemoveLayerPermission, {in_path("LayerName"), in_path("VersionNumber"),
                                  in_path("StatementId"), in_query("RevisionId")});

AWS_SHAPE(UrlCors, {{"AllowCredentials", &kBoolean},
                    {"AllowHeaders", &kStrings},
                    {"AllowMethods", &kStrings},
                    {"AllowOrigins", &kStrings},
                    {"ExposeHeaders", &kStrings},
                    {"MaxAge", &kInteger}});
AWS_SHAPE(CreateUrl,
          {FUNCTION, required("AuthType"), {"Cors", &kUrlCors}, {"InvokeMode", &kString}});
AWS_SHAPE(UpdateUrl,
          {FUNCTION, {"AuthType", &kString}, {"Cors", &kUrlCors}, {"InvokeMode", &kString}});
#undef MAPPING
#undef CONFIGURATION
#undef PAGE
#undef FUNCTION

constexpr aws::Operation served(std::string_view name, Op op, std::string_view method,
                                std::string_view path, const Shape& input, int status) {
  return {name, &input, &kDocument, static_cast<int>(op), method, path, status};
}
constexpr aws::Operation served_raw(std::string_view name, Op op, std::string_view method,
                                    std::string_view path, const Shape& input, int status) {
  return {name, &input, &kDocument, static_cast<int>(op), method, path, status, true};
}
// Raw, so that a body of any form gets the answer that says what it is about.
constexpr aws::Operation refused(std::string_view name, std::string_view method,
                                 std::string_view path, int status) {
  return {name,   &aws::kEmpty, &aws::kEmpty, static_cast<int>(Op::not_served),
          method, path,         status,       true};
}

// Every operation of botocore's model; docs/reference/lambda.md has the same table for people.
constexpr aws::Operation kOperations[] = {
    served_raw("Invoke", Op::invoke, "POST", "/2015-03-31/functions/{FunctionName}/invocations",
               kInvoke, 200),
    served("AddLayerVersionPermission", Op::add_layer_permission, "POST",
           "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", kAddLayerPermission,
           201),
    served("AddPermission", Op::add_permission, "POST",
           "/2015-03-31/functions/{FunctionName}/policy", kAddPermission, 201),
    refused("CheckpointDurableExecution", "POST",
            "/2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint", 200),
    served("CreateAlias", Op::create_alias, "POST", "/2015-03-31/functions/{FunctionName}/aliases",
           kCreateAlias, 201),
    refused("CreateCapacityProvider", "POST", "/2025-11-30/capacity-providers", 202),
    refused("CreateCodeSigningConfig", "POST", "/2020-04-22/code-signing-configs", 201),
    served("CreateEventSourceMapping", Op::create_mapping, "POST",
           "/2015-03-31/event-source-mappings", kCreateMapping, 202),
    served("CreateFunction", Op::create_function, "POST", "/2015-03-31/functions", kCreateFunction,
           201),
    served("CreateFunctionUrlConfig", Op::create_url, "POST",
           "/2021-10-31/functions/{FunctionName}/url", kCreateUrl, 201),
    served("DeleteAlias", Op::delete_alias, "DELETE",
           "/2015-03-31/functions/{FunctionName}/aliases/{Name}", kNamedAlias, 204),
    refused("DeleteCapacityProvider", "DELETE",
            "/2025-11-30/capacity-providers/{CapacityProviderName}", 202),
    refused("DeleteCodeSigningConfig", "DELETE",
            "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", 204),
    served("DeleteEventSourceMapping", Op::delete_mapping, "DELETE",
           "/2015-03-31/event-source-mappings/{UUID}", kOneMapping, 202),
    served("DeleteFunction", Op::delete_function, "DELETE", "/2015-03-31/functions/{FunctionName}",
           kNamed, 204),
    refused("DeleteFunctionCodeSigningConfig", "DELETE",
            "/2020-06-30/functions/{FunctionName}/code-signing-config", 204),
    served("DeleteFunctionConcurrency", Op::delete_concurrency, "DELETE",
           "/2017-10-31/functions/{FunctionName}/concurrency", kNamed, 204),
    served("DeleteFunctionEventInvokeConfig", Op::delete_event_invoke, "DELETE",
           "/2019-09-25/functions/{FunctionName}/event-invoke-config", kNamed, 204),
    served("DeleteFunctionUrlConfig", Op::delete_url, "DELETE",
           "/2021-10-31/functions/{FunctionName}/url", kNamed, 204),
    served("DeleteLayerVersion", Op::delete_layer, "DELETE",
           "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", kOneLayer, 204),
    served("DeleteProvisionedConcurrencyConfig", Op::delete_provisioned, "DELETE",
           "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", kNamed, 204),
    served("GetAccountSettings", Op::get_account_settings, "GET", "/2016-08-19/account-settings",
           aws::kEmpty, 200),
    served("GetAlias", Op::get_alias, "GET", "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
           kNamedAlias, 200),
    refused("GetCapacityProvider", "GET", "/2025-11-30/capacity-providers/{CapacityProviderName}",
            200),
    refused("GetCodeSigningConfig", "GET",
            "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", 200),
    refused("GetDurableExecution", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}",
            200),
    refused("GetDurableExecutionHistory", "GET",
            "/2025-12-01/durable-executions/{DurableExecutionArn}/history", 200),
    refused("GetDurableExecutionState", "GET",
            "/2025-12-01/durable-executions/{DurableExecutionArn}/state", 200),
    served("GetEventSourceMapping", Op::get_mapping, "GET",
           "/2015-03-31/event-source-mappings/{UUID}", kOneMapping, 200),
    served("GetFunction", Op::get_function, "GET", "/2015-03-31/functions/{FunctionName}", kNamed,
           200),
    served("GetFunctionCodeSigningConfig", Op::get_code_signing, "GET",
           "/2020-06-30/functions/{FunctionName}/code-signing-config", kNamed, 200),
    served("GetFunctionConcurrency", Op::get_concurrency, "GET",
           "/2019-09-30/functions/{FunctionName}/concurrency", kNamed, 200),
    served("GetFunctionConfiguration", Op::get_function_configuration, "GET",
           "/2015-03-31/functions/{FunctionName}/configuration", kNamed, 200),
    served("GetFunctionEventInvokeConfig", Op::get_event_invoke, "GET",
           "/2019-09-25/functions/{FunctionName}/event-invoke-config", kNamed, 200),
    served("GetFunctionRecursionConfig", Op::get_recursion, "GET",
           "/2024-08-31/functions/{FunctionName}/recursion-config", kNamed, 200),
    served("GetFunctionScalingConfig", Op::get_scaling, "GET",
           "/2025-11-30/functions/{FunctionName}/function-scaling-config", kNamed, 200),
    served("GetFunctionUrlConfig", Op::get_url, "GET", "/2021-10-31/functions/{FunctionName}/url",
           kNamed, 200),
    served("GetLayerVersion", Op::get_layer, "GET",
           "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", kOneLayer, 200),
    served("GetLayerVersionByArn", Op::get_layer_by_arn, "GET",
           "/2018-10-31/layers?find=LayerVersion", kLayerByArn, 200),
    served("GetLayerVersionPolicy", Op::get_layer_policy, "GET",
           "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", kOneLayer, 200),
    served("GetPolicy", Op::get_policy, "GET", "/2015-03-31/functions/{FunctionName}/policy",
           kNamed, 200),
    served("GetProvisionedConcurrencyConfig", Op::get_provisioned, "GET",
           "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", kNamed, 200),
    served("GetRuntimeManagementConfig", Op::get_runtime_management, "GET",
           "/2021-07-20/functions/{FunctionName}/runtime-management-config", kNamed, 200),
    served_raw("InvokeAsync", Op::invoke_async, "POST",
               "/2014-11-13/functions/{FunctionName}/invoke-async", kNamed, 202),
    served_raw("InvokeWithResponseStream", Op::invoke_with_response_stream, "POST",
               "/2021-11-15/functions/{FunctionName}/response-streaming-invocations", kInvoke, 200),
    served("ListAliases", Op::list_aliases, "GET", "/2015-03-31/functions/{FunctionName}/aliases",
           kListAliases, 200),
    refused("ListCapacityProviders", "GET", "/2025-11-30/capacity-providers", 200),
    refused("ListCodeSigningConfigs", "GET", "/2020-04-22/code-signing-configs", 200),
    refused("ListDurableExecutionsByFunction", "GET",
            "/2025-12-01/functions/{FunctionName}/durable-executions", 200),
    served("ListEventSourceMappings", Op::list_mappings, "GET", "/2015-03-31/event-source-mappings",
           kListMappings, 200),
    served("ListFunctionEventInvokeConfigs", Op::list_event_invokes, "GET",
           "/2019-09-25/functions/{FunctionName}/event-invoke-config/list", kNamedPage, 200),
    served("ListFunctionUrlConfigs", Op::list_urls, "GET",
           "/2021-10-31/functions/{FunctionName}/urls", kNamedPage, 200),
    refused("ListFunctionVersionsByCapacityProvider", "GET",
            "/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions", 200),
    served("ListFunctions", Op::list_functions, "GET", "/2015-03-31/functions", kListFunctions,
           200),
    refused("ListFunctionsByCodeSigningConfig", "GET",
            "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions", 200),
    served("ListLayerVersions", Op::list_layer_versions, "GET",
           "/2018-10-31/layers/{LayerName}/versions", kListLayerVersions, 200),
    served("ListLayers", Op::list_layers, "GET", "/2018-10-31/layers", kListLayers, 200),
    served("ListProvisionedConcurrencyConfigs", Op::list_provisioned, "GET",
           "/2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL", kNamedPage,
           200),
    served("ListTags", Op::list_tags, "GET", "/2017-03-31/tags/{Resource}", kResource, 200),
    served("ListVersionsByFunction", Op::list_versions, "GET",
           "/2015-03-31/functions/{FunctionName}/versions", kNamedPage, 200),
    served("PublishLayerVersion", Op::publish_layer, "POST",
           "/2018-10-31/layers/{LayerName}/versions", kPublishLayer, 201),
    served("PublishVersion", Op::publish_version, "POST",
           "/2015-03-31/functions/{FunctionName}/versions", kPublishVersion, 201),
    refused("PutFunctionCodeSigningConfig", "PUT",
            "/2020-06-30/functions/{FunctionName}/code-signing-config", 200),
    served("PutFunctionConcurrency", Op::put_concurrency, "PUT",
           "/2017-10-31/functions/{FunctionName}/concurrency", kPutConcurrency, 200),
    served("PutFunctionEventInvokeConfig", Op::put_event_invoke, "PUT",
           "/2019-09-25/functions/{FunctionName}/event-invoke-config", kEventInvoke, 200),
    served("PutFunctionRecursionConfig", Op::put_recursion, "PUT",
           "/2024-08-31/functions/{FunctionName}/recursion-config", kRecursion, 200),
    served("PutFunctionScalingConfig", Op::put_scaling, "PUT",
           "/2025-11-30/functions/{FunctionName}/function-scaling-config", kPutScaling, 202),
    served("PutProvisionedConcurrencyConfig", Op::put_provisioned, "PUT",
           "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", kPutProvisioned, 202),
    served("PutRuntimeManagementConfig", Op::put_runtime_management, "PUT",
           "/2021-07-20/functions/{FunctionName}/runtime-management-config", kRuntimeManagement,
           200),
    served("RemoveLayerVersionPermission", Op::remove_layer_permission, "DELETE",
           "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}",
           kRemoveLayerPermission, 204),
    served("RemovePermission", Op::remove_permission, "DELETE",
           "/2015-03-31/functions/{FunctionName}/policy/{StatementId}", kRemovePermission, 204),
    refused("SendDurableExecutionCallbackFailure", "POST",
            "/2025-12-01/durable-execution-callbacks/{CallbackId}/fail", 200),
    refused("SendDurableExecutionCallbackHeartbeat", "POST",
            "/2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat", 200),
    refused("SendDurableExecutionCallbackSuccess", "POST",
            "/2025-12-01/durable-execution-callbacks/{CallbackId}/succeed", 200),
    refused("StopDurableExecution", "POST",
            "/2025-12-01/durable-executions/{DurableExecutionArn}/stop", 200),
    served("TagResource", Op::tag, "POST", "/2017-03-31/tags/{Resource}", kTagResource, 204),
    served("UntagResource", Op::untag, "DELETE", "/2017-03-31/tags/{Resource}", kUntagResource,
           204),
    served("UpdateAlias", Op::update_alias, "PUT",
           "/2015-03-31/functions/{FunctionName}/aliases/{Name}", kUpdateAlias, 200),
    refused("UpdateCapacityProvider", "PUT",
            "/2025-11-30/capacity-providers/{CapacityProviderName}", 202),
    refused("UpdateCodeSigningConfig", "PUT",
            "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", 200),
    served("UpdateEventSourceMapping", Op::update_mapping, "PUT",
           "/2015-03-31/event-source-mappings/{UUID}", kUpdateMapping, 202),
    served("UpdateFunctionCode", Op::update_function_code, "PUT",
           "/2015-03-31/functions/{FunctionName}/code", kUpdateFunctionCode, 200),
    served("UpdateFunctionConfiguration", Op::update_function_configuration, "PUT",
           "/2015-03-31/functions/{FunctionName}/configuration", kUpdateFunctionConfiguration, 200),
    served("UpdateFunctionEventInvokeConfig", Op::update_event_invoke, "POST",
           "/2019-09-25/functions/{FunctionName}/event-invoke-config", kEventInvoke, 200),
    served("UpdateFunctionUrlConfig", Op::update_url, "PUT",
           "/2021-10-31/functions/{FunctionName}/url", kUpdateUrl, 200),
    served_raw("MayflyGetPackage", Op::get_package, "GET", "/2015-03-31/mayfly-packages/{Sha256}",
               kPackage, 200),
};

constexpr aws::Contract make_contract() {
  aws::Contract made;
  made.name = "lambda";
  made.api_version = "2015-03-31";
  made.operations = kOperations;
  made.rest_json = true;
  // A zip of 50 MB in base64, as Lambda takes it inline.
  made.body_bytes_max = 70u << 20;
  return made;
}

constexpr aws::Contract kContract = make_contract();

}  // namespace

const aws::Contract& lambda_contract() {
  return kContract;
}

}  // namespace mayfly::dialects::lambda_api
