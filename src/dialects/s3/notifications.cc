// Get and PutBucketNotificationConfiguration.

#include <algorithm>
#include <set>

#include "base/ids.h"
#include "dialects/s3/attributes.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/pages.h"
#include "dialects/s3/s3.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;
using buckets::Notification;

namespace {

constexpr std::string_view kEventPrefix = "s3:";

// By the service of the target's ARN.
struct Kind {
  std::string_view configuration, arn, service;
};
constexpr Kind kKinds[] = {{"TopicConfiguration", "Topic", "sns"},
                           {"QueueConfiguration", "Queue", "sqs"},
                           {"CloudFunctionConfiguration", "CloudFunction", "lambda"}};

const Kind* kind_named(std::string_view configuration) {
  for (const auto& kind : kKinds)
    if (kind.configuration == configuration) return &kind;
  return nullptr;
}

const Kind& kind_of(std::string_view arn) {
  for (const auto& kind : kKinds)
    if (arn.find(":" + std::string(kind.service) + ":") != std::string_view::npos) return kind;
  return kKinds[2];
}

Outcome<void> read_filter(const aws::XmlNode& filter, Notification& out) {
  const aws::XmlNode* key = filter.find("S3Key");
  if (!key) return boost::system::in_place_value;
  std::set<std::string> seen;
  for (const auto& rule : key->children) {
    if (rule.name != "FilterRule") continue;
    std::string name(rule.text_of("Name").value_or(""));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if ((name != "prefix" && name != "suffix") || !seen.insert(name).second)
      return invalid_argument(
          "filter rule name must be either prefix or suffix, and each of them may be there once");
    (name == "prefix" ? out.prefix : out.suffix) = rule.text_of("Value").value_or("");
  }
  return boost::system::in_place_value;
}

Outcome<Notification> read_notification(const aws::XmlNode& node, const Kind& kind) {
  Notification out;
  out.id = node.text_of("Id").value_or("");
  if (out.id.empty()) out.id = new_uuid();
  out.target = node.text_of(kind.arn).value_or("");
  if (!out.target.starts_with("arn:") ||
      out.target.find(":" + std::string(kind.service) + ":") == std::string::npos)
    return invalid_argument("The ARN could not be parsed: " + out.target.substr(0, 200));
  for (const auto& child : node.children) {
    if (child.name != "Event") continue;
    std::string_view event = child.text;
    if (event.starts_with(kEventPrefix)) event.remove_prefix(kEventPrefix.size());
    out.events.emplace_back(event);
  }
  if (out.events.empty()) return malformed_xml("Every configuration needs an Event.");
  if (const auto* filter = node.find("Filter"))
    if (auto good = read_filter(*filter, out); good.has_error()) return std::move(good).error();
  return out;
}

Outcome<std::vector<Notification>> read_notifications(const aws::XmlNode& root) {
  if (root.name != "NotificationConfiguration")
    return malformed_xml("The root must be NotificationConfiguration.");
  std::vector<Notification> out;
  for (const auto& child : root.children) {
    if (child.name == "EventBridgeConfiguration")
      return not_implemented("EventBridgeConfiguration (put events of a bucket on a bus)");
    const Kind* kind = kind_named(child.name);
    if (!kind) continue;
    auto one = read_notification(child, *kind);
    if (one.has_error()) return std::move(one).error();
    out.push_back(std::move(*one));
  }
  const Status good = buckets::check_notifications(out);
  if (good.has_error()) return invalid_argument(good.error().message);
  return out;
}

void add_rule(XmlOut& out, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  out.open("FilterRule");
  out.add("Name", name);
  out.add("Value", value);
  out.close("FilterRule");
}

}  // namespace

S3::Answer S3::get_notification(RequestPtr request) {
  const buckets::Bucket* bucket = parts_.buckets.find(request->address.bucket);
  if (!bucket) co_return fault_of(buckets::Failure{buckets::Why::no_such_bucket, {}});
  XmlOut out("NotificationConfiguration");
  for (const auto& one : bucket->notifications) {
    const Kind& kind = kind_of(one.target);
    out.open(kind.configuration);
    out.add("Id", one.id);
    out.add(kind.arn, one.target);
    for (const auto& event : one.events) out.add("Event", std::string(kEventPrefix) + event);
    if (!one.prefix.empty() || !one.suffix.empty()) {
      out.open("Filter");
      out.open("S3Key");
      add_rule(out, "Prefix", one.prefix);
      add_rule(out, "Suffix", one.suffix);
      out.close("S3Key");
      out.close("Filter");
    }
    out.close(kind.configuration);
  }
  co_return std::move(out).response();
}

S3::Answer S3::put_notification(RequestPtr request) {
  auto reading = document(request);
  auto root = co_await std::move(reading);
  if (root.has_error()) co_return std::move(root).error();
  auto notifications = read_notifications(*root);
  if (notifications.has_error()) co_return std::move(notifications).error();
  const auto skip = request->header("x-amz-skip-destination-validation").value_or("");
  for (const auto& one : *notifications) {
    if (!parts_.check_target || wire::equal_ignoring_case(skip, "true")) break;
    const Status there = parts_.check_target(one.target);
    if (there.has_error())
      co_return invalid_argument("Unable to validate the following destination configurations: " +
                                 one.target + ": " + there.error().message);
  }
  auto setting =
      parts_.buckets.set_notifications(request->address.bucket, std::move(*notifications));
  auto set = co_await std::move(setting);
  if (set.has_error()) co_return fault_of(set.error());
  co_return io::HttpResponse();
}

}  // namespace mayfly::dialects::s3
