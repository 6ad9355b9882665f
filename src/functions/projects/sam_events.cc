// Events of AWS::Serverless::Function, and the APIs whose routes some of them are.

#include <fmt/format.h>

#include "functions/checks.h"
#include "functions/projects/cloud_resources.h"
#include "functions/projects/sam_reader.h"

namespace mayfly::functions::projects {
namespace {

// API Gateway's CORS values stand in quotes of their own: "'GET,POST'".
std::string unquoted(std::string text) {
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'')
    text = text.substr(1, text.size() - 2);
  return text;
}

std::vector<std::string> comma_list(const Value& value) {
  if (value.is_list()) return texts_of(value);
  std::vector<std::string> out;
  const std::string text = unquoted(filled_text_of(value));
  for (std::size_t i = 0; i <= text.size();) {
    const auto end = std::min(text.find(',', i), text.size());
    std::string item = text.substr(i, end - i);
    item.erase(0, std::min(item.find_first_not_of(' '), item.size()));
    item.erase(item.find_last_not_of(' ') + 1);
    if (!item.empty()) out.push_back(std::move(item));
    i = end + 1;
  }
  return out;
}

Cors open_cors() {
  Cors cors;
  cors.allow_origins = {"*"};
  return cors;
}

}  // namespace

Cors cloud_cors_of(const Value& value, Report& report) {
  Cors cors;
  if (value.is_scalar()) {
    if (value.text == "true") return open_cors();
    if (value.text != "false") cors.allow_origins = {unquoted(value.text)};
    return cors;
  }
  Section s(value, report);
  const auto list = [&](const char* key, std::vector<std::string>& out) {
    s.take(key, [&](const Value& v) {
      out = comma_list(v);
      report.used(v);
    });
  };
  list("AllowOrigin", cors.allow_origins);
  list("AllowOrigins", cors.allow_origins);
  list("AllowMethods", cors.allow_methods);
  list("AllowHeaders", cors.allow_headers);
  list("ExposeHeaders", cors.expose_headers);
  s.take("MaxAge", [&](const Value& v) {
    Value bare = v;
    bare.text = unquoted(v.text);
    cors.max_age_s = static_cast<std::uint32_t>(whole_of(bare, 0, 86'400 * 365));
    report.used(v);
  });
  cors.allow_credentials = s.flag("AllowCredentials", false);
  if (cors.allow_origins.empty()) cors.allow_origins = {"*"};
  s.finish();
  return cors;
}

namespace {

std::string why_no_event(std::string_view type) {
  static constexpr std::pair<std::string_view, std::string_view> kWhy[] = {
      {"DynamoDB", "Mayfly has no streams of tables"},
      {"Kinesis", "Mayfly has no streams"},
      {"MSK", "Mayfly reads no Kafka"},
      {"SelfManagedKafka", "Mayfly reads no Kafka"},
      {"MQ", "Mayfly reads no message brokers"},
      {"DocumentDB", "Mayfly reads no DocumentDB"},
      {"Cognito", "Mayfly has no user pools"},
      {"AlexaSkill", "Alexa does not call this server"},
      {"IoTRule", "Mayfly has no IoT"},
      {"CloudWatchLogs", "logs of functions call nobody"},
  };
  for (const auto& [name, why] : kWhy)
    if (name == type) return std::string(why);
  return fmt::format("Mayfly does not know events of the type {}", type.substr(0, 60));
}

}  // namespace

void SamReader::read_api(const std::string& id, const Value& at, const Value& properties,
                         bool http) {
  Api& api = apis_[id];
  api.http = http;
  Section s(properties, report_);
  s.take("StageName", [&](const Value& v) {
    builder_.add_stage(filled_text_of(v));
    report_.used(v, "paths have no stage in front here");
  });
  s.take(http ? "CorsConfiguration" : "Cors", [&](const Value& v) {
    const Cors cors = cloud_cors_of(v, report_);
    if (!cors.allow_origins.empty()) builder_.set_cors(v, cors, "CORS of all routes");
  });
  if (s.unknown("Auth")) api.unclear = "what its API asks of callers cannot be known here";
  s.take("Auth", [&](const Value& v) { read_api_auth(v, id, api); });
  s.text("Name");
  s.text("Description");
  const char* routes = "routes come from the events of functions";
  s.finish({{"DefinitionBody", routes},
            {"DefinitionUri", routes},
            {"EndpointConfiguration", "the gateway listens where the server says"},
            {"Domain", "the gateway answers to every name"},
            {"DisableExecuteApiEndpoint", "the gateway answers to every name"},
            {"BinaryMediaTypes",
             "bodies that are not text arrive in base64, and isBase64Encoded "
             "answers are decoded"},
            {"TracingEnabled", "Mayfly has no X-Ray"},
            {"AccessLogSetting", "mayfly invocations lists the calls"},
            {"AccessLogSettings", "mayfly invocations lists the calls"},
            {"MethodSettings", "stages have no settings of methods here"},
            {"DefaultRouteSettings", "routes are not throttled"},
            {"RouteSettings", "routes are not throttled"},
            {"OpenApiVersion", routes},
            {"FailOnWarnings", routes},
            {"CacheClusterEnabled", "answers are not cached"},
            {"CacheClusterSize", "answers are not cached"},
            {"Tags", "routes have no tags here"},
            {"PropagateTags", "routes have no tags here"}});
  if (at.find("Type") != nullptr)
    report_.made(at, "routes of the gateway " + builder_.around().gateway);
}

void SamReader::read_event(const Value& event, const std::string& function) {
  Section outer(event, report_);
  const std::string type = outer.text("Type");
  if (type.empty()) wrong(event, "it has no Type, as in Api, HttpApi, SQS or Schedule.");
  Value none;
  none.kind = Value::Kind::map;
  none.place = event.place;
  const Value* given = outer.look("Properties");
  outer.finish();
  const Value& properties = given == nullptr ? none : *given;
  Section s(properties, report_);
  if (type == "Api" || type == "HttpApi") return read_route(s, event, function, type == "HttpApi");
  if (type == "SQS") return read_mapping(s, builder_, "Queue", function);
  if (type == "Schedule" || type == "ScheduleV2")
    return read_schedule(s, event, function, type == "ScheduleV2");
  if (type == "SNS") return read_topic_event(s, event, function);
  if (type == "EventBridgeRule" || type == "CloudWatchEvent")
    return read_rule_event(s, event, function);
  if (type == "S3") return read_bucket_event(s, event, function);
  report_.not_used(event, why_no_event(type));
}

void SamReader::read_bucket_event(Section& s, const Value& event, const std::string& function) {
  Manifest::BucketEvent made;
  made.function = function;
  made.bucket = s.text("Bucket");
  s.take("Events", [&](const Value& v) {
    made.events = v.is_scalar() ? std::vector<std::string>{text_of(v)} : texts_of(v);
    report_.used(v);
  });
  s.take("Filter", [&](const Value& v) {
    Section filter(v, report_);
    filter.take("S3Key", [&](const Value& key) {
      Section rules(key, report_);
      rules.take("Rules", [&](const Value& list) {
        made = bucket_event_of(list, std::move(made), report_);
      });
      rules.finish();
    });
    filter.finish();
  });
  s.finish();
  if (made.bucket.empty() || made.events.empty())
    return report_.not_used(event, "it names no Bucket that can be known, or no Events");
  builder_.add_bucket_event(event, std::move(made));
}

void SamReader::read_route(Section& s, const Value& event, const std::string& function, bool http) {
  const char* api_key = http ? "ApiId" : "RestApiId";
  const std::string api = s.text(api_key);
  const std::string path = s.text("Path", http ? "$default" : "");
  const std::string method = s.text("Method", http ? "ANY" : "");
  if (path.empty() || method.empty()) wrong(event, "a route has a Path and a Method.");
  RouteRules rules;
  Builder::Entrance entrance;
  guard(s, api, http, rules, entrance);
  if (s.text("PayloadFormatVersion", http ? "2.0" : "1.0") == "1.0") rules.event = EventForm::v1;
  s.finish({{"TimeoutInMillis", "the function's own timeout counts"},
            {"RouteSettings", "routes are not throttled"},
            {"RequestModel", "bodies are not checked"},
            {"RequestParameters", "parameters are not checked"}});
  if (path == "$default") {  // what no other route takes
    builder_.add_route(event, "ANY", "/", function, rules, entrance);
    return builder_.add_route(event, "ANY", "/{proxy+}", function, rules, entrance);
  }
  builder_.add_route(event, method, path, function, rules, entrance);
}

void SamReader::read_schedule(Section& s, const Value& event, const std::string& function,
                              bool second) {
  Manifest::Schedule schedule;
  schedule.target = "function:" + function;
  schedule.expression = s.text(second ? "ScheduleExpression" : "Schedule");
  if (schedule.expression.empty())
    wrong(event, "it has no schedule, as in rate(5 minutes) or cron(0 8 * * ? *).");
  schedule.name = s.text("Name");
  schedule.description = s.text("Description");
  schedule.enabled = s.flag("Enabled", true);
  s.take("State", [&](const Value& v) {
    schedule.enabled = text_of(v) != "DISABLED";
    report_.used(v);
  });
  s.take("Input", [&](const Value& v) {
    schedule.input = json_text_of(v);
    report_.used(v);
  });
  schedule.timezone = s.text("ScheduleExpressionTimezone");
  schedule.start = s.text("StartDate");
  schedule.end = s.text("EndDate");
  s.take("FlexibleTimeWindow", [&](const Value& v) {
    Section window(v, report_);
    const bool flexible = window.text("Mode") == "FLEXIBLE";
    window.take("MaximumWindowInMinutes", [&](const Value& n) {
      const auto minutes = whole_of(n, 1, 1'440);
      if (flexible) schedule.flexible_s = static_cast<std::uint32_t>(minutes * 60);
      report_.used(n);
    });
    window.finish();
  });
  s.take("RetryPolicy", [&](const Value& v) {
    read_retry_policy(v, report_, schedule.retries, schedule.max_age_s);
  });
  s.take("DeadLetterConfig", [&](const Value& v) {
    Section letter(v, report_);
    letter.take("Arn", [&](const Value& q) { schedule.dead_letter = builder_.name_in(q, "sqs"); });
    letter.finish({{"Type", "Mayfly makes no queue by itself: name its Arn"},
                   {"QueueLogicalId", "Mayfly makes no queue by itself: name its Arn"}});
  });
  s.finish({{"RoleArn", "Mayfly has no IAM"},
            {"PermissionsBoundary", "Mayfly has no IAM"},
            {"KmsKeyArn", "Mayfly has no keys of KMS"},
            {"GroupName", "its schedules are in the group default"},
            {"OmitName", "it is for CloudFormation"}});
  builder_.add_schedule(event, std::move(schedule));
}

void SamReader::read_topic_event(Section& s, const Value& event, const std::string& function) {
  Manifest::Subscription subscription;
  subscription.target = "function:" + function;
  const Value* topic = s.look("Topic");
  if (topic == nullptr) wrong(event, "it has no Topic.");
  subscription.topic = builder_.name_in(*topic, "sns");
  subscription.filter_scope = "attributes";
  s.take("FilterPolicy", [&](const Value& v) {
    subscription.filter = json_text_of(v);
    report_.used(v);
  });
  s.take("FilterPolicyScope", [&](const Value& v) {
    subscription.filter_scope = text_of(v) == "MessageBody" ? "body" : "attributes";
    report_.used(v);
  });
  s.take("RedrivePolicy",
         [&](const Value& v) { read_redrive(v, builder_, subscription.dead_letter, nullptr); });
  s.finish({{"SqsSubscription", "the function is called without a queue between"},
            {"Region", "topics of this server are in one region"}});
  builder_.add_subscription(event, std::move(subscription));
}

void SamReader::read_rule_event(Section& s, const Value& event, const std::string& function) {
  Manifest::Rule rule;
  rule.target = "function:" + function;
  s.take("Pattern", [&](const Value& v) {
    rule.pattern = json_text_of(v);
    report_.used(v);
  });
  if (rule.pattern.empty()) wrong(event, "it has no Pattern.");
  rule.name = s.text("RuleName");
  s.take("EventBusName", [&](const Value& v) {
    rule.bus = builder_.name_in(v, "events");
    report_.used(v);
  });
  s.take("Input", [&](const Value& v) {
    rule.input = json_text_of(v);
    report_.used(v);
  });
  rule.input_path = s.text("InputPath");
  rule.enabled = s.flag("Enabled", true);
  s.take("State", [&](const Value& v) {
    rule.enabled = text_of(v) != "DISABLED";
    report_.used(v);
  });
  s.take("InputTransformer", [&](const Value& v) {
    Section transformer(v, report_);
    const Value* paths = transformer.look("InputPathsMap");
    const Value* text = transformer.look("InputTemplate");
    transformer.finish();
    if (text == nullptr) wrong(v, "it has no InputTemplate.");
    rule.transform = transform_of(paths, *text);
    report_.used(v);
  });
  s.take("RetryPolicy",
         [&](const Value& v) { read_retry_policy(v, report_, rule.retries, rule.max_age_s); });
  s.take("DeadLetterConfig", [&](const Value& v) {
    Section letter(v, report_);
    letter.take("Arn", [&](const Value& q) { rule.dead_letter = builder_.name_in(q, "sqs"); });
    letter.finish({{"Type", "Mayfly makes no queue by itself: name its Arn"},
                   {"QueueLogicalId", "Mayfly makes no queue by itself: name its Arn"}});
  });
  s.finish({{"Target", "it is for CloudFormation"}});
  builder_.add_rule(event, std::move(rule));
}

}  // namespace mayfly::functions::projects
