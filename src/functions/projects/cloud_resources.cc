#include "functions/projects/cloud_resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "functions/checks.h"
#include "functions/pollers.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::uint32_t kDaySeconds = 86'400;

// The property that names a resource of that type, and how many letters a name may have.
struct Naming {
  std::string_view type, property;
  std::size_t max;
};
constexpr std::array<Naming, 25> kNamings = {{
    {"AWS::Serverless::Function", "FunctionName", 64},
    {"AWS::Lambda::Function", "FunctionName", 64},
    {"AWS::SQS::Queue", "QueueName", 80},
    {"AWS::SNS::Topic", "TopicName", 256},
    {"AWS::DynamoDB::Table", "TableName", 255},
    {"AWS::Serverless::SimpleTable", "TableName", 255},
    {"AWS::S3::Bucket", "BucketName", 63},
    {"AWS::Events::Rule", "Name", 64},
    {"AWS::Events::EventBus", "Name", 256},
    {"AWS::Serverless::LayerVersion", "LayerName", 140},
    {"AWS::Lambda::LayerVersion", "LayerName", 140},
    {"AWS::Serverless::Api", "", 64},
    {"AWS::Serverless::HttpApi", "", 64},
    {"AWS::ApiGateway::RestApi", "", 64},
    {"AWS::ApiGatewayV2::Api", "", 64},
    {"AWS::ApiGatewayV2::Route", "", 64},
    {"AWS::ApiGatewayV2::RouteResponse", "", 64},
    {"AWS::ApiGatewayV2::Integration", "", 64},
    {"AWS::ApiGatewayV2::Deployment", "", 64},
    {"AWS::ApiGatewayV2::Authorizer", "", 64},
    {"AWS::ApiGatewayV2::Stage", "StageName", 128},
    {"AWS::ApiGateway::ApiKey", "", 64},
    {"AWS::ApiGateway::UsagePlan", "", 64},
    {"AWS::Logs::LogGroup", "LogGroupName", 512},
    {"AWS::Kinesis::Stream", "Name", 128},
}};

const Naming* naming_of(std::string_view type) {
  for (const auto& one : kNamings)
    if (one.type == type) return &one;
  return nullptr;
}

CloudResource described(Builder& b, const std::string& logical, const std::string& type,
                        const std::string& name) {
  CloudResource made;
  made.type = type;
  auto& attributes = made.attributes;
  if (type == "AWS::SQS::Queue") {
    made.ref = b.queue_url(name);
    attributes = {{"Arn", b.arn("sqs", name)}, {"QueueName", name}, {"QueueUrl", *made.ref}};
  } else if (type == "AWS::SNS::Topic") {
    made.ref = b.arn("sns", name);
    attributes = {{"TopicName", name}, {"TopicArn", *made.ref}};
  } else if (type.ends_with("::Function")) {
    made.ref = name;
    attributes = {{"Arn", b.function_arn(name)}};
  } else if (type.ends_with("::LayerVersion")) {
    made.ref = b.layer_arn(name);
    attributes = {{"LayerVersionArn", *made.ref}};
  } else if (type.ends_with("::EventBus")) {
    made.ref = name;
    attributes = {{"Arn", b.arn("events", "event-bus/" + name)}, {"Name", name}};
  } else if (type.ends_with("::Table") || type.ends_with("::SimpleTable")) {
    made.ref = name;
    attributes = {{"Arn", b.arn("dynamodb", "table/" + name)}};
  } else if (type.ends_with("::Bucket")) {
    made.ref = name;
    attributes = {{"Arn", "arn:aws:s3:::" + name}};
  } else if (type.ends_with("Api")) {
    made.ref = logical;
    const bool socket = b.is_socket_api(logical);
    if (!socket) b.add_api(logical);
    attributes = {{"ApiEndpoint", socket ? b.socket_url() : b.around().gateway},
                  {"ApiId", logical},
                  {"RestApiId", logical}};
  } else {
    const bool id = type.starts_with("AWS::ApiGateway") && type != "AWS::ApiGatewayV2::Stage";
    made.ref = id ? logical : name;
  }
  return made;
}

void read_queue(Builder& b, const std::string& logical, const Value& at, const Value& properties) {
  Report& report = b.report();
  Section s(properties, report);
  Manifest::Queue q;
  const auto* known = b.intrinsics().resource(logical);
  q.name = known->attributes.at("QueueName");
  s.text("QueueName");
  q.fifo = s.flag("FifoQueue", false);
  if (q.fifo != q.name.ends_with(".fifo"))
    wrong(at, fmt::format(
                  "the name of a fifo queue ends with .fifo, and no other's does; this is '{}'.",
                  q.name));
  q.content_deduplication = s.flag("ContentBasedDeduplication", false);
  s.take("DeduplicationScope", [&](const Value& v) {
    q.deduplicate_by_group = text_of(v) == "messageGroup";
    report.used(v);
  });
  const auto number = [&](const char* key, std::optional<std::uint32_t>& out, std::int64_t min,
                          std::int64_t max) {
    s.take(key, [&](const Value& v) {
      out = static_cast<std::uint32_t>(whole_of(v, min, max));
      report.used(v);
    });
  };
  number("DelaySeconds", q.delay_s, 0, 900);
  number("MaximumMessageSize", q.message_bytes_max, 1'024, 1'048'576);
  number("MessageRetentionPeriod", q.retention_s, 60, 14 * kDaySeconds);
  number("ReceiveMessageWaitTimeSeconds", q.receive_wait_s, 0, 20);
  number("VisibilityTimeout", q.visibility_timeout_s, 0, kDaySeconds / 2);
  s.take("RedrivePolicy",
         [&](const Value& v) { read_redrive(v, b, q.dead_letter, &q.max_receives); });
  if (!q.dead_letter.empty() && q.fifo != q.dead_letter.ends_with(".fifo"))
    wrong(at, fmt::format("its dead letter queue must be {}.",
                          q.fifo ? "a fifo queue too" : "no fifo queue"));
  s.take("Tags", [&](const Value& v) {
    q.tags = tags_of(v);
    report.used(v);
  });
  s.finish({{"KmsMasterKeyId", "Mayfly does not encrypt queues with keys of KMS"},
            {"KmsDataKeyReusePeriodSeconds", "Mayfly does not encrypt queues with keys of KMS"},
            {"SqsManagedSseEnabled", "Mayfly does not encrypt queues by itself"},
            {"RedriveAllowPolicy", "every queue of this server may be a dead letter queue"},
            {"FifoThroughputLimit", "fifo queues have no such limit"}});
  for (const auto& other : b.manifest().queues)
    if (other.name == q.name) wrong(at, "there are two queues with the name '" + q.name + "'.");
  report.made(at, "queue " + q.name);
  b.manifest().queues.push_back(std::move(q));
}

// "lambda" and "sqs" by their ARN, "https" by its URL; nothing (and a line in the report) for
// others.
std::string endpoint_of(Section& s, Builder& b) {
  const Value* endpoint = s.look("Endpoint");
  const Value* protocol = s.look("Protocol");
  if (endpoint == nullptr || protocol == nullptr) return "";
  const std::string kind = filled_text_of(*protocol);
  if (kind == "lambda") return "function:" + b.name_in(*endpoint, "lambda");
  if (kind == "sqs") return "queue:" + b.name_in(*endpoint, "sqs");
  if (kind == "https" || kind == "http") return filled_text_of(*endpoint);
  b.report().not_used(*protocol, "topics lead to functions, queues and web addresses");
  return "";
}

void read_subscription_resource(Builder& b, const Value& at, const Value& properties,
                                const std::string& topic) {
  Report& report = b.report();
  Section s(properties, report);
  Manifest::Subscription subscription;
  subscription.topic = topic;
  s.take("TopicArn", [&](const Value& v) { subscription.topic = b.name_in(v, "sns"); });
  subscription.target = endpoint_of(s, b);
  s.take("FilterPolicy", [&](const Value& v) {
    subscription.filter = json_text_of(v);
    subscription.filter_scope = "attributes";
    report.used(v);
  });
  s.take("FilterPolicyScope", [&](const Value& v) {
    subscription.filter_scope = text_of(v) == "MessageBody" ? "body" : "attributes";
    report.used(v);
  });
  subscription.raw = s.flag("RawMessageDelivery", false);
  s.take("RedrivePolicy",
         [&](const Value& v) { read_redrive(v, b, subscription.dead_letter, nullptr); });
  s.finish({{"Region", "topics of this server are in one region"},
            {"DeliveryPolicy", "Mayfly's own retries are used"},
            {"SubscriptionRoleArn", "Mayfly has no IAM"}});
  if (subscription.target.empty() || subscription.topic.empty())
    return report.not_used(at, "it does not say which topic leads where");
  b.add_subscription(at, std::move(subscription));
}

void read_topic(Builder& b, const std::string& logical, const Value& at, const Value& properties) {
  Section s(properties, b.report());
  Manifest::Topic topic;
  topic.name = b.intrinsics().resource(logical)->attributes.at("TopicName");
  s.text("TopicName");
  topic.fifo = s.flag("FifoTopic", false);
  if (topic.fifo != topic.name.ends_with(".fifo"))
    wrong(at, fmt::format(
                  "the name of a fifo topic ends with .fifo, and no other's does; this is '{}'.",
                  topic.name));
  topic.content_deduplication = s.flag("ContentBasedDeduplication", false);
  for (const auto& other : b.manifest().topics)
    if (other.name == topic.name)
      wrong(at, "there are two topics with the name '" + topic.name + "'.");
  b.report().made(at, "topic " + topic.name);
  b.manifest().topics.push_back(topic);
  s.take("Subscription", [&](const Value& v) {
    if (!v.is_list()) wrong(v, "must be a list of subscriptions.");
    for (const auto& item : v.items) read_subscription_resource(b, item, item, topic.name);
  });
  s.finish({{"DisplayName", "it is for mails and text messages"},
            {"KmsMasterKeyId", "Mayfly does not encrypt topics with keys of KMS"},
            {"Tags", "topics have no tags here"},
            {"SignatureVersion", "notifications are not signed"},
            {"TracingConfig", "Mayfly has no X-Ray"}});
}

void read_rule_resource(Builder& b, const std::string& logical, const Value& at,
                        const Value& properties) {
  Report& report = b.report();
  Section s(properties, report);
  std::string pattern, schedule;
  s.take("EventPattern", [&](const Value& v) {
    pattern = json_text_of(v);
    report.used(v);
  });
  schedule = s.text("ScheduleExpression");
  const std::string name = s.text("Name", b.made_up_name(at, logical));
  const std::string description = s.text("Description");
  std::string bus;
  s.take("EventBusName", [&](const Value& v) { bus = b.name_in(v, "events"); });
  bool enabled = true;
  s.take("State", [&](const Value& v) {
    enabled = text_of(v) != "DISABLED";
    report.used(v);
  });
  const auto one = [&](const Value& target, bool first) {
    Section t(target, report);
    const std::string arn = t.text("Arn");
    t.text("Id");
    std::string input, input_path, dead_letter;
    std::optional<std::uint32_t> retries, max_age_s;
    input = t.text("Input");
    input_path = t.text("InputPath");
    t.take("RetryPolicy",
           [&](const Value& v) { read_retry_policy(v, report, retries, max_age_s); });
    t.take("DeadLetterConfig", [&](const Value& v) {
      Section letter(v, report);
      letter.take("Arn", [&](const Value& q) { dead_letter = b.name_in(q, "sqs"); });
      letter.finish();
    });
    t.finish({{"RoleArn", "Mayfly has no IAM"},
              {"InputTransformer", "write it as a rule of its own: mayfly rule put"}});
    if (arn.empty()) return report.not_used(target, "it has no Arn");
    const std::string own = first ? name : "";
    if (!schedule.empty()) {
      Manifest::Schedule made;
      made.name = own;
      made.expression = schedule;
      made.target = arn;
      made.input = input;
      made.description = description;
      made.dead_letter = dead_letter;
      made.retries = retries;
      made.max_age_s = max_age_s;
      made.enabled = enabled;
      b.add_schedule(at, std::move(made));
    }
    if (pattern.empty()) return;
    Manifest::Rule made;
    made.name = own;
    made.bus = bus;
    made.pattern = pattern;
    made.target = arn;
    made.input = input;
    made.input_path = input_path;
    made.description = description;
    made.dead_letter = dead_letter;
    made.retries = retries;
    made.max_age_s = max_age_s;
    made.enabled = enabled;
    b.add_rule(at, std::move(made));
  };
  s.take("Targets", [&](const Value& v) {
    if (!v.is_list()) wrong(v, "must be a list of targets.");
    for (std::size_t i = 0; i < v.items.size(); ++i) one(v.items[i], i == 0);
  });
  s.finish({{"RoleArn", "Mayfly has no IAM"}});
}

}  // namespace

void name_resource(Builder& b, const std::string& logical, const Value& raw) {
  CloudResource made;
  const Value* type = raw.find("Type");
  made.type = type != nullptr && type->is_scalar() ? type->text : "no type";
  const Naming* naming = naming_of(made.type);
  const Value* properties = raw.find("Properties");
  if (made.type == "AWS::Lambda::Url" && properties != nullptr) {
    const Value* target = properties->find("TargetFunctionArn");
    const Value* alias = properties->find("Qualifier");
    const Value function = target == nullptr ? Value() : b.intrinsics().resolve(*target);
    const Value qualifier = alias == nullptr ? Value() : b.intrinsics().resolve(*alias);
    if (function.is_scalar() && !function.text.empty()) {
      const std::string name = b.name_in(function, "lambda");
      made.ref = b.function_arn(name);
      made.attributes = {{"FunctionArn", *made.ref},
                         {"FunctionUrl", b.function_url(name, qualifier.text)}};
    }
  }
  if (made.type == "AWS::ApiGatewayV2::Api" && properties != nullptr) {
    const Value* protocol = properties->find("ProtocolType");
    if (protocol != nullptr && protocol->text == "WEBSOCKET") b.add_socket_api(logical);
  }
  if (naming == nullptr) return b.intrinsics().set_resource(logical, std::move(made));
  const Value* given = properties != nullptr && !naming->property.empty()
                           ? properties->find(naming->property)
                           : nullptr;
  std::string name;
  if (given != nullptr && !given->is_null()) {
    const Value value = b.intrinsics().resolve(*given);
    // It names what is not known yet, or not to be known at all: then it is not made either.
    if (value.is_unknown()) return b.intrinsics().set_resource(logical, std::move(made));
    if (!value.is_null()) name = filled_text_of(value);
  }
  if (name.empty() && made.type == "AWS::Serverless::LayerVersion")
    name = logical;  // as SAM has it
  if (name.empty()) {
    const Value* fifo = properties == nullptr ? nullptr : properties->find("FifoQueue");
    if (fifo == nullptr && properties != nullptr) fifo = properties->find("FifoTopic");
    const bool ends = fifo != nullptr && fifo->is_scalar() && fifo->text == "true";
    name = b.made_up_name(raw, logical, std::min<std::size_t>(naming->max, 80) - (ends ? 5 : 0));
    if (ends) name += ".fifo";
    if (made.type == "AWS::S3::Bucket")  // as CloudFormation does
      std::transform(name.begin(), name.end(), name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c == '_' ? '-' : c;
      });
  }
  b.intrinsics().set_resource(logical, described(b, logical, made.type, name));
}

bool is_made(std::string_view type) {
  static constexpr std::string_view kTypes[] = {"AWS::SQS::Queue",
                                                "AWS::SNS::Topic",
                                                "AWS::SNS::Subscription",
                                                "AWS::S3::Bucket",
                                                "AWS::Events::Rule",
                                                "AWS::Lambda::EventSourceMapping",
                                                "AWS::Lambda::LayerVersion",
                                                "AWS::Serverless::LayerVersion",
                                                "AWS::Lambda::Url",
                                                "AWS::ApiGateway::ApiKey",
                                                "AWS::ApiGateway::UsagePlan",
                                                "AWS::ApiGateway::UsagePlanKey"};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes) ||
         is_socket_resource(type);
}

void read_cloud_resource(Builder& b, const std::string& logical, const std::string& type,
                         const Value& at, const Value& properties) {
  if (type == "AWS::SNS::Subscription") return read_subscription_resource(b, at, properties, "");
  if (type == "AWS::Events::Rule") return read_rule_resource(b, logical, at, properties);
  if (is_socket_resource(type)) return read_socket_resource(b, logical, type, at, properties);
  if (type == "AWS::Lambda::EventSourceMapping") {
    Section s(properties, b.report());
    std::string function;
    s.take("FunctionName", [&](const Value& v) { function = b.name_in(v, "lambda"); });
    return read_mapping(s, b, "EventSourceArn", function);
  }
  if (type.starts_with("AWS::ApiGateway::"))
    return read_usage_resource(b, logical, type, at, properties);
  if (type == "AWS::Lambda::Url") return read_url_resource(b, at, properties);
  const auto* known = b.intrinsics().resource(logical);
  if (known == nullptr || !known->ref)
    wrong(at, "its name is made of something that Mayfly does not have; give it a plain name.");
  if (type.ends_with("::LayerVersion")) return read_layer_resource(b, logical, at, properties);
  if (type == "AWS::S3::Bucket") return read_bucket_resource(b, logical, at, properties);
  type == "AWS::SQS::Queue" ? read_queue(b, logical, at, properties)
                            : read_topic(b, logical, at, properties);
}

std::string why_not_made(std::string_view type) {
  static constexpr std::pair<std::string_view, std::string_view> kWhy[] = {
      {"AWS::Serverless::SimpleTable", "Mayfly does not make tables of DynamoDB"},
      {"AWS::DynamoDB::", "Mayfly does not make tables of DynamoDB"},
      {"AWS::S3::BucketPolicy", "buckets have no policies: a key may do everything"},
      {"AWS::S3::", "Mayfly knows of S3 only buckets"},
      {"AWS::IAM::", "Mayfly has no IAM: what a function may do is its sandbox's to say"},
      {"AWS::Lambda::Permission",
       "Mayfly has no policies for callers: its own routes, queues and "
       "schedules may call every function"},
      {"AWS::SQS::QueuePolicy", "topics and rules of this server may send to every queue"},
      {"AWS::SNS::TopicPolicy", "every access key may publish"},
      {"AWS::Logs::", "logs are kept without being asked for: mayfly logs"},
      {"AWS::CloudWatch::", "Mayfly has no alarms or dashboards; /metrics has the figures"},
      {"AWS::Cognito::", "Mayfly has no user pools"},
      {"AWS::ApiGateway", "routes come from the events of functions"},
      {"AWS::Serverless::StateMachine", "Mayfly does not run state machines"},
      {"AWS::StepFunctions::", "Mayfly does not run state machines"},
      {"AWS::Serverless::Application", "nested applications are not read: deploy theirs by itself"},
      {"AWS::EC2::", "Mayfly has no VPCs"},
      {"AWS::KMS::", "Mayfly has no keys of KMS"},
      {"AWS::SecretsManager::",
       "Mayfly has no Secrets Manager: give secrets as environment variables"},
      {"AWS::SSM::", "Mayfly has no Parameter Store"},
      {"AWS::Kinesis::", "Mayfly has no streams"},
      {"AWS::CloudFront::", "Mayfly has no CDN in front"},
      {"AWS::Events::EventBus",
       "make the bus before: mayfly event put and rules take it by its name"},
  };
  for (const auto& [prefix, why] : kWhy)
    if (type.starts_with(prefix)) return std::string(why);
  return fmt::format("Mayfly does not make resources of the type {}", type.substr(0, 100));
}

std::vector<std::string> filters_of(const Value& criteria, Report& report) {
  std::vector<std::string> filters;
  const auto add = [&](const Value& pattern) {
    const std::string text = json_text_of(pattern);
    boost::system::error_code failed;
    const auto value = boost::json::parse(text, failed);
    if (failed || !value.is_object())
      wrong(pattern, "must be a pattern: a JSON object (field: [conditions]).");
    filters.push_back(boost::json::serialize(value));
    report.used(pattern);
  };
  const Value* list = criteria.is_map() ? criteria.find("Filters") : &criteria;
  if (list == nullptr || !list->is_list()) wrong(criteria, "must have a list of patterns.");
  for (const auto& item : list->items) {
    const Value* pattern = item.is_map() ? item.find("Pattern") : nullptr;
    add(pattern != nullptr ? *pattern : item);
  }
  return filters;
}

bool reports_failures(const Value& types) {
  const auto texts = texts_of(types);
  for (const auto& text : texts)
    if (text != "ReportBatchItemFailures")
      wrong(types, "'" + text.substr(0, 60) + "' is not known: ReportBatchItemFailures.");
  return !texts.empty();
}

void read_redrive(const Value& policy, Builder& b, std::string& dead_letter,
                  std::uint32_t* max_receives) {
  Section s(policy, b.report());
  s.take("deadLetterTargetArn", [&](const Value& v) {
    dead_letter = b.name_in(v, "sqs");
    b.report().used(v);
  });
  if (max_receives != nullptr) {
    *max_receives = 10;
    s.take("maxReceiveCount", [&](const Value& v) {
      *max_receives = static_cast<std::uint32_t>(whole_of(v, 1, 1'000));
      b.report().used(v);
    });
    if (dead_letter.empty()) *max_receives = 0;
  }
  s.finish();
}

std::map<std::string, std::string> tags_of(const Value& tags) {
  std::map<std::string, std::string> out;
  if (tags.is_map()) {
    for (const auto& [key, value] : tags.members)
      if (!value.is_unknown()) out[key] = text_of(value);
    return out;
  }
  if (!tags.is_list()) wrong(tags, "must be a mapping, or a list of Key and Value.");
  for (const auto& item : tags.items) {
    const Value* key = item.find("Key");
    const Value* value = item.find("Value");
    if (key == nullptr || value == nullptr) wrong(item, "a tag has a Key and a Value.");
    out[text_of(*key)] = text_of(*value);
  }
  return out;
}

void read_retry_policy(const Value& policy, Report& report, std::optional<std::uint32_t>& retries,
                       std::optional<std::uint32_t>& max_age_s) {
  Section s(policy, report);
  for (const char* key : {"MaximumRetryAttempts", "maximumRetryAttempts"})
    s.take(key, [&](const Value& v) {
      retries = static_cast<std::uint32_t>(whole_of(v, 0, 185));
      report.used(v);
    });
  for (const char* key : {"MaximumEventAgeInSeconds", "maximumEventAge"})
    s.take(key, [&](const Value& v) {
      max_age_s = static_cast<std::uint32_t>(whole_of(v, 60, kDaySeconds));
      report.used(v);
    });
  s.finish();
}

std::string transform_of(const Value* paths, const Value& text) {
  boost::json::object names;
  if (paths != nullptr) {
    if (!paths->is_map()) wrong(*paths, "must be a mapping (name: $.path).");
    for (const auto& [name, path] : paths->members) names[name] = text_of(path);
  }
  return boost::json::serialize(
      boost::json::object{{"paths", std::move(names)}, {"template", text_of(text)}});
}

namespace {

void read_pollers(const Value& v, Report& report, Manifest::QueueTrigger& t) {
  Section pollers(v, report);
  const auto number = [&](const char* key, std::uint32_t most, std::uint32_t otherwise) {
    std::uint32_t out = otherwise;
    pollers.take(key, [&](const Value& n) {
      out = static_cast<std::uint32_t>(whole_of(n, kMinimumPollers, most));
      report.used(n);
    });
    return out;
  };
  t.minimum_pollers = number("MinimumPollers", kMinimumPollersMax, kMinimumPollers);
  t.maximum_pollers = number("MaximumPollers", kMaximumPollersMax, kMaximumPollersDefault);
  if (t.minimum_pollers > t.maximum_pollers)
    wrong(v, "MinimumPollers must not be more than MaximumPollers.");
  pollers.finish({{"PollerGroupName", "it is for brokers"}});
}

}  // namespace

void read_mapping(Section& s, Builder& b, std::string_view queue_key, const std::string& function) {
  Report& report = b.report();
  const Value& at = s.value();
  const Value* queue = s.look(queue_key);
  if (queue == nullptr) {
    s.finish();
    return report.not_used(at, fmt::format("it has no {}", queue_key));
  }
  const std::string text = filled_text_of(*queue);
  if (text.starts_with("arn:") && text.find(":sqs:") == std::string::npos)
    return report.not_used(at, "Mayfly polls queues only, no streams or brokers");
  Manifest::QueueTrigger t;
  t.queue = b.name_in(*queue, "sqs");
  t.partial = false;
  const auto number = [&](const char* key, std::uint32_t& out, std::int64_t min, std::int64_t max) {
    s.take(key, [&](const Value& v) {
      out = static_cast<std::uint32_t>(whole_of(v, min, max));
      report.used(v);
    });
  };
  number("BatchSize", t.batch, 1, t.queue.ends_with(".fifo") ? 10 : 10'000);
  number("MaximumBatchingWindowInSeconds", t.window_s, 0, 300);
  s.take("FilterCriteria", [&](const Value& v) { t.filters = filters_of(v, report); });
  s.take("FunctionResponseTypes", [&](const Value& v) {
    t.partial = reports_failures(v);
    report.used(v);
  });
  s.take("ScalingConfig", [&](const Value& v) {
    Section scaling(v, report);
    scaling.take("MaximumConcurrency", [&](const Value& n) {
      t.concurrency = static_cast<std::uint32_t>(whole_of(n, 2, 1'000));
      report.used(n);
    });
    scaling.finish();
  });
  s.take("ProvisionedPollerConfig", [&](const Value& v) { read_pollers(v, report, t); });
  s.take("Tags", [&](const Value& v) {
    t.tags = tags_of(v);
    report.used(v);
  });
  if (t.maximum_pollers != 0 && t.concurrency != 0)
    wrong(at, "ScalingConfig.MaximumConcurrency and ProvisionedPollerConfig exclude each other.");
  t.enabled = s.flag("Enabled", true);
  s.finish({{"KmsKeyArn", "Mayfly has no keys of KMS"},
            {"MetricsConfig", "/metrics has the figures of every trigger"},
            {"LoggingConfig", "it is for brokers"}});
  b.add_trigger(at, function, std::move(t));
}

}  // namespace mayfly::functions::projects
