// Events of the functions of a serverless.yml.

#include <fmt/format.h>

#include "functions/checks.h"
#include "functions/projects/cloud_resources.h"
#include "functions/projects/serverless_reader.h"

namespace mayfly::functions::projects {
namespace {

std::string why_no_serverless_event(std::string_view type) {
  static constexpr std::pair<std::string_view, std::string_view> kWhy[] = {
      {"stream", "Mayfly has no streams of tables"},
      {"alb", "Mayfly has no load balancers"},
      {"kafka", "Mayfly reads no Kafka"},
      {"msk", "Mayfly reads no Kafka"},
      {"activemq", "Mayfly reads no message brokers"},
      {"rabbitmq", "Mayfly reads no message brokers"},
      {"cognitoUserPool", "Mayfly has no user pools"},
      {"alexaSkill", "Alexa does not call this server"},
      {"alexaSmartHome", "Alexa does not call this server"},
      {"iot", "Mayfly has no IoT"},
      {"iotFleetProvisioning", "Mayfly has no IoT"},
      {"cloudwatchLog", "logs of functions call nobody"},
      {"cloudFront", "Mayfly has no CDN in front"},
  };
  for (const auto& [name, why] : kWhy)
    if (name == type) return std::string(why);
  return fmt::format("Mayfly does not know events of the type {}", type.substr(0, 60));
}

// "GET /hello"; "*" is what no other route takes.
std::pair<std::string, std::string> method_and_path(const Value& value) {
  const std::string text = filled_text_of(value);
  if (text == "*") return {"ANY", "*"};
  const auto blank = text.find(' ');
  if (blank == std::string::npos) wrong(value, "must be like 'GET /hello'.");
  return {text.substr(0, blank), text.substr(text.find_last_of(' ') + 1)};
}

constexpr const char* kUnclear = "what it asks of callers cannot be known here";

}  // namespace

Cors cors_from(const Value& value, Report& report) {
  Cors cors;
  cors.allow_origins = {"*"};
  if (value.is_scalar()) {
    if (!boolean_of(value)) cors.allow_origins.clear();
    return cors;
  }
  Section s(value, report);
  const auto list = [&](const char* key, std::vector<std::string>& out) {
    s.take(key, [&](const Value& v) {
      out = texts_of(v);
      report.used(v);
    });
  };
  list("origin", cors.allow_origins);
  list("origins", cors.allow_origins);
  list("allowedOrigins", cors.allow_origins);
  list("headers", cors.allow_headers);
  list("allowedHeaders", cors.allow_headers);
  list("methods", cors.allow_methods);
  list("allowedMethods", cors.allow_methods);
  list("exposedResponseHeaders", cors.expose_headers);
  cors.allow_credentials = s.flag("allowCredentials", false);
  s.take("maxAge", [&](const Value& v) {
    cors.max_age_s = static_cast<std::uint32_t>(whole_of(v, 0, 86'400 * 365));
    report.used(v);
  });
  s.finish({{"cacheControl", "preflights have no Cache-Control here"}});
  return cors;
}

void ServerlessReader::read_event(const Value& event, const std::string& function) {
  if (event.is_scalar()) {  // "- httpApi" has no settings
    if (event.text == "httpApi") wrong(event, "must be like httpApi: 'GET /hello'.");
    return report_.not_used(event, why_no_serverless_event(event.text));
  }
  Section s(event, report_);
  for (const auto& [type, value] : event.members) {
    if (s.look(type) == nullptr) continue;
    if (type == "httpApi")
      read_http_api(value, function);
    else if (type == "http")
      read_http(value, function);
    else if (type == "websocket")
      read_websocket(value, function);
    else if (type == "sqs")
      read_sqs(value, function);
    else if (type == "s3")
      read_bucket_event(value, function);
    else if (type == "schedule")
      read_schedule(value, function);
    else if (type == "sns")
      read_sns(value, function);
    else if (type == "eventBridge" || type == "cloudwatchEvent")
      read_rule(value, function, type == "eventBridge");
    else
      report_.not_used(value, why_no_serverless_event(type));
  }
}

void ServerlessReader::read_http_api(const Value& value, const std::string& function) {
  std::string method, path;
  RouteRules rules;
  Builder::Entrance entrance;
  auto& why_not = entrance.why_not;
  if (provider_.payload == "1.0") rules.event = EventForm::v1;
  if (value.is_scalar()) {
    std::tie(method, path) = method_and_path(value);
  } else {
    Section s(value, report_);
    path = s.text("path");
    method = s.text("method", path == "*" ? "ANY" : "");
    if (path.empty() || method.empty()) wrong(value, "a route has a path and a method.");
    if (s.unknown("authorizer")) why_not = kUnclear;
    s.take("authorizer", [&](const Value& v) { guard_http_api(v, rules, why_not); });
    s.finish();
  }
  if (path == "*") {
    builder_.add_route(value, method, "/", function, rules, entrance);
    return builder_.add_route(value, method, "/{proxy+}", function, rules, entrance);
  }
  builder_.add_route(value, method, path, function, rules, entrance);
}

void ServerlessReader::read_http(const Value& value, const std::string& function) {
  std::string method, path;
  RouteRules rules;
  Builder::Entrance entrance;
  entrance.api = "ApiGatewayRestApi";
  if (provider_.policy)
    entrance.why_not = "a resource policy says who may call it, and Mayfly checks none";
  auto& why_not = entrance.why_not;
  rules.event = EventForm::v1;
  if (value.is_scalar()) {
    std::tie(method, path) = method_and_path(value);
  } else {
    Section s(value, report_);
    path = s.text("path");
    method = s.text("method");
    if (path.empty() || method.empty()) wrong(value, "a route has a path and a method.");
    s.take("cors", [&](const Value& v) {
      Cors cors = cors_from(v, report_);
      if (!cors.allow_origins.empty()) builder_.set_cors(v, std::move(cors), "CORS of all routes");
    });
    if (s.unknown("authorizer") || s.unknown("private")) why_not = kUnclear;
    s.take("authorizer", [&](const Value& v) { guard_http(v, rules, why_not); });
    rules.api_key = s.flag("private", false);
    const std::string integration = s.text("integration", "lambda-proxy");
    s.finish({{"request", "bodies and parameters are not checked"},
              {"response", "answers are those of the function"},
              {"async", "calls wait; send 'Prefer: respond-async' for the others"},
              {"timeoutInMillis", "the function's own timeout counts"},
              {"operationId", "routes have no names here"},
              {"connectionType", "Mayfly has no VPCs"},
              {"connectionId", "Mayfly has no VPCs"}});
    if (integration != "lambda-proxy" && integration != "lambda_proxy" &&
        integration != "aws_proxy")
      return report_.not_used(
          value, fmt::format("integrations are lambda-proxy, not {}", integration.substr(0, 40)));
  }
  builder_.add_route(value, method, path, function, rules, entrance);
}

void ServerlessReader::read_websocket(const Value& value, const std::string& function) {
  Sockets::Route route;
  route.place = value.place;
  route.function = function;
  Value whole;
  whole.place = value.place;
  Sockets::Api& api = builder_.sockets().api(whole, kSocketApi);
  api.stage = names_.stage;
  if (!selection_.empty()) api.selection = selection_;
  if (value.is_scalar()) {
    route.key = filled_text_of(value);
    report_.used(value);
  } else {
    Section s(value, report_);
    route.key = s.text("route");
    if (route.key.empty()) wrong(value, "it has no route, as in $connect or sendMessage.");
    if (s.unknown("authorizer")) route.why_not = kUnclear;
    s.take("authorizer", [&](const Value& v) { guard_websocket(v, api, route); });
    route.respond = s.has("routeResponseSelectionExpression");
    s.text("routeResponseSelectionExpression");
    s.finish();
  }
  const std::string key = route.key;
  if (!api.routes.emplace(key, std::move(route)).second)
    wrong(value, "there are two events with the route '" + key.substr(0, 100) + "'.");
}

// The framework makes the bucket, unless it is an existing one.
void ServerlessReader::read_bucket_event(const Value& value, const std::string& function) {
  Manifest::BucketEvent made;
  made.function = function;
  made.events = {"ObjectCreated:*"};
  made.make_bucket = true;
  if (value.is_scalar()) {
    made.bucket = filled_text_of(value);
  } else {
    Section s(value, report_);
    made.bucket = s.text("bucket");
    if (const std::string event = s.text("event"); !event.empty()) made.events = {event};
    made.make_bucket = !s.flag("existing", false);
    s.take("rules", [&](const Value& v) { made = bucket_event_of(v, std::move(made), report_); });
    s.finish({{"forceDeploy", "a deploy changes what differs"}});
  }
  if (made.bucket.empty()) return report_.not_used(value, "it names no bucket that can be known");
  builder_.add_bucket_event(value, std::move(made));
}

namespace {

// {min, max} as Lambda's ProvisionedPollerConfig; false: none.
std::optional<std::pair<std::string, Value>> pollers_of(const Value& theirs) {
  if (theirs.is_scalar() && text_of(theirs) == "false") return std::nullopt;
  if (!theirs.is_map()) wrong(theirs, "must be a mapping with min and max.");
  Value config;
  config.kind = Value::Kind::map;
  config.place = theirs.place;
  for (const auto& [key, value] : theirs.members) {
    const std::string known = key == "min"     ? "MinimumPollers"
                              : key == "max"   ? "MaximumPollers"
                              : key == "group" ? "PollerGroupName"
                                               : key;
    config.members.emplace_back(known, value);
  }
  return std::make_pair(std::string("ProvisionedPollerConfig"), std::move(config));
}

}  // namespace

void ServerlessReader::read_sqs(const Value& value, const std::string& function) {
  // The same as a mapping of Lambda, in other letters.
  static constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
      {"arn", "EventSourceArn"},
      {"batchSize", "BatchSize"},
      {"maximumBatchingWindow", "MaximumBatchingWindowInSeconds"},
      {"functionResponseType", "FunctionResponseTypes"},
      {"filterPatterns", "FilterCriteria"},
      {"enabled", "Enabled"}};
  Value mapping;
  mapping.kind = Value::Kind::map;
  mapping.place = value.place;
  if (value.is_scalar()) {
    mapping.members.emplace_back("EventSourceArn", value);
  } else {
    if (!value.is_map()) wrong(value, "must be an ARN, or a mapping with one.");
    for (const auto& [key, member] : value.members) {
      std::string_view known = key;
      for (const auto& [theirs, lambdas] : kKeys)
        if (theirs == key) known = lambdas;
      if (key == "maximumConcurrency") {
        Value scaling;
        scaling.kind = Value::Kind::map;
        scaling.place = member.place;
        scaling.members.emplace_back("MaximumConcurrency", member);
        mapping.members.emplace_back("ScalingConfig", std::move(scaling));
        continue;
      }
      if (key == "provisionedPollers") {
        if (auto pollers = pollers_of(member)) mapping.members.push_back(std::move(*pollers));
        continue;
      }
      mapping.members.emplace_back(std::string(known), member);
    }
  }
  Section s(mapping, report_);
  read_mapping(s, builder_, "EventSourceArn", function);
}

void ServerlessReader::read_schedule(const Value& value, const std::string& function) {
  Manifest::Schedule schedule;
  schedule.target = "function:" + function;
  if (value.is_scalar()) {
    schedule.expression = filled_text_of(value);
    return builder_.add_schedule(value, std::move(schedule));
  }
  Section s(value, report_);
  std::vector<std::string> rates;
  s.take("rate", [&](const Value& v) {
    rates = texts_of(v);
    report_.used(v);
  });
  if (rates.empty()) wrong(value, "it has no rate, as in rate(5 minutes) or cron(0 8 * * ? *).");
  schedule.name = s.text("name");
  schedule.description = s.text("description");
  schedule.enabled = s.flag("enabled", true);
  schedule.timezone = s.text("timezone");
  s.take("input", [&](const Value& v) {
    schedule.input = json_text_of(v);
    report_.used(v);
  });
  s.text("method");
  s.finish({{"inputPath", "schedules give their input as it is"},
            {"inputTransformer", "schedules give their input as it is"}});
  for (const auto& rate : rates) {
    Manifest::Schedule one = schedule;
    one.expression = rate;
    if (rates.size() > 1 && !one.name.empty())
      one.name += "-" + std::to_string(&rate - &rates[0] + 1);
    builder_.add_schedule(value, std::move(one));
  }
}

void ServerlessReader::read_sns(const Value& value, const std::string& function) {
  Manifest::Subscription subscription;
  subscription.target = "function:" + function;
  subscription.filter_scope = "attributes";
  bool make = false;
  if (value.is_scalar()) {
    make = !value.text.starts_with("arn:");
    subscription.topic = builder_.name_in(value, "sns");
  } else {
    Section s(value, report_);
    if (const Value* arn = s.look("arn"))
      subscription.topic = builder_.name_in(*arn, "sns");
    else
      make = true;
    const std::string name = s.text("topicName");
    if (subscription.topic.empty()) subscription.topic = name;
    if (subscription.topic.empty()) wrong(value, "it names no topic: arn or topicName.");
    s.take("filterPolicy", [&](const Value& v) {
      subscription.filter = json_text_of(v);
      report_.used(v);
    });
    s.take("filterPolicyScope", [&](const Value& v) {
      subscription.filter_scope = text_of(v) == "MessageBody" ? "body" : "attributes";
      report_.used(v);
    });
    s.take("redrivePolicy", [&](const Value& v) {
      Section redrive(v, report_);
      for (const char* key : {"deadLetterTargetArn", "deadLetterTargetRef"})
        redrive.take(key, [&](const Value& q) {
          if (key == std::string_view("deadLetterTargetArn")) {
            subscription.dead_letter = builder_.name_in(q, "sqs");
          } else if (const auto* queue = intrinsics_.resource(text_of(q)); queue && queue->ref) {
            subscription.dead_letter = queue->attributes.at("QueueName");
          }
          report_.used(q);
        });
      redrive.finish({{"deadLetterTargetImport", "Mayfly has no exports of other stacks"}});
    });
    s.finish({{"displayName", "it is for mails and text messages"},
              {"kmsMasterKeyId", "Mayfly does not encrypt topics with keys of KMS"}});
  }
  if (make) {
    bool there = false;
    for (const auto& topic : builder_.manifest().topics) there |= topic.name == subscription.topic;
    if (!there) {
      report_.made(value, "topic " + subscription.topic);
      builder_.manifest().topics.push_back(
          {subscription.topic, subscription.topic.ends_with(".fifo"), false});
    }
  }
  builder_.add_subscription(value, std::move(subscription));
}

void ServerlessReader::read_rule(const Value& value, const std::string& function, bool bridge) {
  Manifest::Rule rule;
  rule.target = "function:" + function;
  Section s(value, report_);
  s.take(bridge ? "pattern" : "event", [&](const Value& v) {
    rule.pattern = json_text_of(v);
    report_.used(v);
  });
  const std::string expression = bridge ? s.text("schedule") : "";
  if (rule.pattern.empty() && expression.empty()) wrong(value, "it has no pattern.");
  rule.name = s.text("name");
  rule.description = s.text("description");
  rule.enabled = s.flag("enabled", true);
  s.take("eventBus", [&](const Value& v) {
    rule.bus = builder_.name_in(v, "events");
    report_.used(v);
  });
  s.take("input", [&](const Value& v) {
    rule.input = json_text_of(v);
    report_.used(v);
  });
  rule.input_path = s.text("inputPath");
  s.take("inputTransformer", [&](const Value& v) {
    const Value* text = v.find("inputTemplate");
    if (text == nullptr) wrong(v, "it has no inputTemplate.");
    rule.transform = transform_of(v.find("inputPathsMap"), *text);
    report_.used(v);
  });
  s.take("retryPolicy",
         [&](const Value& v) { read_retry_policy(v, report_, rule.retries, rule.max_age_s); });
  s.take("deadLetterQueueArn",
         [&](const Value& v) { rule.dead_letter = builder_.name_in(v, "sqs"); });
  s.finish();
  if (!expression.empty()) {
    Manifest::Schedule schedule;
    schedule.target = rule.target;
    schedule.expression = expression;
    schedule.input = rule.input;
    schedule.enabled = rule.enabled;
    builder_.add_schedule(value, std::move(schedule));
  }
  if (!rule.pattern.empty()) builder_.add_rule(value, std::move(rule));
}

}  // namespace mayfly::functions::projects
