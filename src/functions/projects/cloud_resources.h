#pragma once
// Internal: resources as CloudFormation has them, in a SAM template or under the resources of a
// serverless.yml: queues, topics, subscriptions, rules, mappings; and the names that others refer
// to them by.

#include <string>
#include <string_view>

#include "functions/projects/builder.h"

namespace mayfly::functions::projects {

// Makes a resource of the template known to !Ref and !GetAtt; raw: its mapping as it is written.
// Names may refer to other resources: call it for all of them twice.
void name_resource(Builder& builder, const std::string& logical, const Value& raw);

// Whether read_cloud_resource knows the type.
bool is_made(std::string_view type);
// One resource that is not about functions or APIs, its properties resolved; reports what is not
// used.
void read_cloud_resource(Builder& builder, const std::string& logical, const std::string& type,
                         const Value& at, const Value& properties);

// AWS::ApiGateway::ApiKey, UsagePlan, UsagePlanKey.
void read_usage_resource(Builder& builder, const std::string& logical, const std::string& type,
                         const Value& at, const Value& properties);
// Quota and Throttle of a usage plan; upper: their keys begin with a capital letter.
void read_plan_limits(Section& section, bool upper, UsagePlan& plan);

// Cors of AWS::Serverless::Api ("AllowOrigin"), of HttpApi and of function URLs ("AllowOrigins").
Cors cloud_cors_of(const Value& value, Report& report);
// AuthType, Cors and InvokeMode of a function URL.
Manifest::Url read_url_config(Section& section);
// AWS::Serverless::LayerVersion, AWS::Lambda::LayerVersion and AWS::Lambda::Url; at: the resource.
void read_layer_resource(Builder& builder, const std::string& logical, const Value& at,
                         const Value& properties);
void read_url_resource(Builder& builder, const Value& at, const Value& properties);

// AWS::S3::Bucket.
void read_bucket_resource(Builder& builder, const std::string& logical, const Value& at,
                          const Value& properties);
// Where code or a layer is: a path of the project, or s3://BUCKET/KEY, which {Bucket, Key} and
// {S3Bucket, S3Key} become.
std::string code_place(const Value& value);
bool is_in_bucket(std::string_view path);
// A list of {Name, Value}, or of {prefix} and {suffix}, into event.
Manifest::BucketEvent bucket_event_of(const Value& rules, Manifest::BucketEvent event,
                                      Report& report);
// Entry point, command and folder of an image; upper: their keys begin with a capital letter.
ImageProgram image_program_of(const Value& config, Report& report, bool upper);
void set_image(const Value& at, const std::string& uri, Settings& settings);

// Why Mayfly does not make resources of a type.
std::string why_not_made(std::string_view type);

// Parts that events and resources share.
std::vector<std::string> filters_of(const Value& criteria, Report& report);
bool reports_failures(const Value& response_types);
void read_redrive(const Value& policy, Builder& builder, std::string& dead_letter,
                  std::uint32_t* max_receives);
std::map<std::string, std::string> tags_of(
    const Value& tags);  // a mapping, or a list of Key, Value
// Members MaximumRetryAttempts and MaximumEventAgeInSeconds, whatever their first letter's case.
void read_retry_policy(const Value& policy, Report& report, std::optional<std::uint32_t>& retries,
                       std::optional<std::uint32_t>& max_age_s);
// {"paths", "template"} as rules of this server have it.
std::string transform_of(const Value* paths, const Value& text);
// The properties of an event source mapping for a queue, as SAM's SQS event has them too; queue_key
// names the queue.
void read_mapping(Section& section, Builder& builder, std::string_view queue_key,
                  const std::string& function);

}  // namespace mayfly::functions::projects
