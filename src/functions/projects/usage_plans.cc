// API keys and usage plans: resources of API Gateway, what SAM makes beside an API, and those of a
// serverless.yml.

#include <fmt/format.h>

#include <charconv>

#include "functions/projects/cloud_resources.h"
#include "functions/projects/serverless_reader.h"

namespace mayfly::functions::projects {
namespace {

constexpr const char* kNoOffset = "periods begin with the day, the week (Monday) or the month";
constexpr const char* kNoTags = "plans and keys have no tags here";
constexpr const char* kOneLimit = "limits of single methods are not read";

std::string cased(std::string_view key, bool upper) {
  std::string out(key);
  if (upper) out[0] = static_cast<char>(out[0] - 32);
  return out;
}

void read_quota(const Value& value, bool upper, UsagePlan& plan, Report& report) {
  Section s(value, report);
  s.take(cased("limit", upper), [&](const Value& v) {
    plan.quota = static_cast<std::uint64_t>(whole_of(v, 1, 2'000'000'000));
    report.used(v);
  });
  const std::string key = cased("period", upper);
  const std::string period = s.text(key, "MONTH");
  if (period != "DAY" && period != "WEEK" && period != "MONTH")
    wrong(*value.find(key), "must be DAY, WEEK or MONTH.");
  plan.period = period == "DAY"    ? QuotaPeriod::day
                : period == "WEEK" ? QuotaPeriod::week
                                   : QuotaPeriod::month;
  s.finish({{cased("offset", upper), kNoOffset}});
}

void read_pace(const Value& value, bool upper, UsagePlan& plan, Report& report) {
  Section s(value, report);
  s.take(cased("rateLimit", upper), [&](const Value& v) {
    const std::string text = filled_text_of(v);
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), plan.throttle.rate);
    if (error != std::errc() || end != text.data() + text.size() ||
        !(plan.throttle.rate > 0 && plan.throttle.rate <= 1e6))
      wrong(v, "must be a number of requests a second, over 0 and up to 1000000.");
    report.used(v);
  });
  s.take(cased("burstLimit", upper), [&](const Value& v) {
    const auto burst = whole_of(v, 0, 1'000'000);
    if (plan.throttle.rate == 0) return report.not_used(v, "a burst wants a rate");
    plan.throttle.burst = static_cast<std::uint32_t>(burst);
    report.used(v);
  });
  s.finish();
}

void read_key(Builder& b, const std::string& logical, const Value& at, const Value& properties) {
  Section s(properties, b.report());
  Guards::Key key;
  key.name = s.text("Name", logical);
  key.value = s.text("Value");
  key.enabled = s.flag("Enabled", false);  // CloudFormation's own default
  s.text("Description");
  s.finish({{"StageKeys", "usage plans say what a key opens"},
            {"GenerateDistinctId", "keys have no ids beside their names here"},
            {"CustomerId", "Mayfly has no marketplace"},
            {"Tags", kNoTags}});
  b.guards().add_key(at, logical, std::move(key));
}

void read_plan(Builder& b, const std::string& logical, const Value& at, const Value& properties) {
  Section s(properties, b.report());
  auto& plan = b.guards().plan(at, logical);
  plan.plan.name = plain_name(s.text("UsagePlanName", logical));
  s.text("Description");
  read_plan_limits(s, true, plan.plan);
  s.take("ApiStages", [&](const Value& v) {
    if (!v.is_list()) wrong(v, "must be a list of stages.");
    for (const auto& item : v.items) {
      Section stage(item, b.report());
      const std::string api = stage.text("ApiId");
      if (!api.empty()) plan.apis.insert(api);
      stage.text("Stage");
      stage.finish({{"Throttle", kOneLimit}});
    }
  });
  s.finish({{"Tags", kNoTags}});
}

}  // namespace

void read_plan_limits(Section& s, bool upper, UsagePlan& plan) {
  s.take(cased("quota", upper), [&](const Value& v) { read_quota(v, upper, plan, s.report()); });
  s.take(cased("throttle", upper), [&](const Value& v) { read_pace(v, upper, plan, s.report()); });
}

void read_usage_resource(Builder& b, const std::string& logical, const std::string& type,
                         const Value& at, const Value& properties) {
  if (type == "AWS::ApiGateway::ApiKey") return read_key(b, logical, at, properties);
  if (type == "AWS::ApiGateway::UsagePlan") return read_plan(b, logical, at, properties);
  Section s(properties, b.report());
  const std::string key = s.text("KeyId"), plan = s.text("UsagePlanId");
  s.text("KeyType");
  s.finish();
  if (!key.empty() && !plan.empty()) b.guards().link(at, plan, key);
}

// A name, {name, value}, or {PLAN: list of those}.
void ServerlessReader::read_api_key(const Value& one, const std::string& plan) {
  Guards::Key key;
  if (one.is_unknown()) return report_.not_used(one, one.text);
  if (one.is_scalar()) {
    key.name = filled_text_of(one);
  } else {
    if (one.is_map() && one.members.size() == 1 && one.members[0].second.is_list()) {
      for (const auto& item : one.members[0].second.items) read_api_key(item, one.members[0].first);
      return;
    }
    Section s(one, report_);
    key.value = s.text("value");
    key.name = s.text("name", "key-" + std::to_string(one.line()));
    key.enabled = s.flag("enabled", true);
    s.text("description");
    s.finish({{"customerId", "Mayfly has no marketplace"}});
  }
  const std::string id = "key " + key.name + " of " + plan;
  builder_.guards().add_key(one, id, std::move(key));
  serverless_plan(one, plan);
  builder_.guards().link(one, plan, id);
}

Guards::Plan& ServerlessReader::serverless_plan(const Value& at, const std::string& name) {
  auto& plan = builder_.guards().plan(at, name);
  plan.plan.name = plain_name(name);
  plan.apis.insert("ApiGatewayRestApi");
  return plan;
}

void ServerlessReader::read_usage(Section& api) {
  api.take("usagePlan", [&](const Value& v) {
    if (!v.is_list()) {
      Section s(v, report_);
      read_plan_limits(s, false, serverless_plan(v, "default").plan);
      return s.finish();
    }
    for (const auto& item : v.items) {
      if (!item.is_map()) wrong(item, "must be a mapping (PLAN: limits).");
      for (const auto& [name, limits] : item.members) {
        Section s(limits, report_);
        read_plan_limits(s, false, serverless_plan(limits, name).plan);
        s.finish();
      }
    }
  });
  api.take("apiKeys", [&](const Value& v) {
    if (!v.is_list()) wrong(v, "must be a list of keys.");
    for (const auto& one : v.items) read_api_key(one, "default");
  });
}

}  // namespace mayfly::functions::projects
