// Subscriptions of SNS.

#include <algorithm>
#include <boost/json/parse.hpp>

#include "dialects/aws_values.h"
#include "dialects/sns/contract.h"
#include "dialects/sns/sns.h"

namespace mayfly::dialects::sns {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Subscription;
using triggers::Target;

namespace {

constexpr std::size_t kSubscriptionsPageMax = 100;

Outcome<json::object> policy_object(const std::string& name, const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) return invalid_parameter(name + ": failed to parse JSON.");
  return std::move(value.get_object());
}

Outcome<void> set_redrive(Subscription& subscription, const std::string& value) {
  subscription.dead_letter.clear();
  if (value.empty()) return boost::system::in_place_value;
  auto policy = policy_object("RedrivePolicy", value);
  if (policy.has_error()) return std::move(policy).error();
  const auto target = triggers::parse_target(text_member(*policy, "deadLetterTargetArn"));
  if (target.has_error() || target->kind != Target::Kind::queue)
    return invalid_parameter("RedrivePolicy: deadLetterTargetArn is no ARN of a queue");
  subscription.dead_letter = triggers::to_text(*target);
  return boost::system::in_place_value;
}

// The count of retries is all that is taken from it; how they are spaced is this server's.
Outcome<void> set_delivery_policy(Subscription& subscription, const std::string& value) {
  subscription.retries.reset();
  subscription.other.erase("DeliveryPolicy");
  if (value.empty()) return boost::system::in_place_value;
  auto policy = policy_object("DeliveryPolicy", value);
  if (policy.has_error()) return std::move(policy).error();
  subscription.other["DeliveryPolicy"] = value;
  const auto* retry = object_member(*policy, "healthyRetryPolicy");
  if (retry == nullptr || !retry->contains("numRetries")) return boost::system::in_place_value;
  const std::int64_t retries = number_member(*retry, "numRetries", -1);
  if (retries < 0 || retries > 100)
    return invalid_parameter("DeliveryPolicy: healthyRetryPolicy.numRetries must be 0 to 100");
  subscription.retries = static_cast<std::uint32_t>(retries);
  return boost::system::in_place_value;
}

Outcome<void> set_attribute(Subscription& subscription, const std::string& name,
                            const std::string& value) {
  if (name == "FilterPolicy") {
    subscription.filter = value == "{}" ? std::string() : value;
  } else if (name == "FilterPolicyScope") {
    if (value != "MessageAttributes" && value != "MessageBody")
      return invalid_parameter("FilterPolicyScope: must be MessageAttributes or MessageBody");
    subscription.filter_on_body = value == "MessageBody";
  } else if (name == "RawMessageDelivery") {
    if (value != "true" && value != "false")
      return invalid_parameter("RawMessageDelivery: must be true or false");
    if (value == "true" && subscription.target.kind == Target::Kind::function)
      return invalid_parameter("RawMessageDelivery: not with the protocol lambda");
    subscription.form = value == "true" ? Subscription::Form::raw : Subscription::Form::envelope;
  } else if (name == "RedrivePolicy") {
    return set_redrive(subscription, value);
  } else if (name == "DeliveryPolicy") {
    return set_delivery_policy(subscription, value);
  } else if (name == "SubscriptionRoleArn" || name == "ReplayPolicy") {
    subscription.other[name] = value;
  } else {
    return invalid_parameter("AttributeName");
  }
  return boost::system::in_place_value;
}

Outcome<Target> target_of(const std::string& protocol, const std::string& endpoint) {
  if (protocol != "sqs" && protocol != "lambda" && protocol != "http" && protocol != "https")
    return invalid_parameter("Protocol: this server delivers to sqs, lambda, http and https");
  const auto target = triggers::parse_target(endpoint);
  const bool fits = target.has_value() && triggers::protocol_of(*target) == protocol &&
                    (endpoint.starts_with("arn:") || target->kind == Target::Kind::webhook);
  if (!fits)
    return invalid_parameter("Endpoint Reason: \"" + endpoint.substr(0, 300) +
                             "\" does not fit the protocol " + protocol);
  return *target;
}

}  // namespace

Sns::Answer Sns::subscribe(Call call) {
  auto topic = topic_of(call.input, "TopicArn");
  if (topic.has_error()) co_return std::move(topic).error();
  Subscription subscription;
  subscription.topic = (*topic)->name;
  auto target = target_of(text_member(call.input, "Protocol"), text_member(call.input, "Endpoint"));
  if (target.has_error()) co_return std::move(target).error();
  subscription.target = std::move(*target);
  subscription.confirmed = subscription.target.kind != Target::Kind::webhook;
  for (const auto& [name, value] : map_member(call.input, "Attributes"))
    AWS_CO_TRY(set_attribute(subscription, name, value));
  auto subscribing = parts_.topics.subscribe(std::move(subscription));
  const auto made = co_await std::move(subscribing);
  if (made.has_error() && made.error().code == Code::already_exists)
    co_return invalid_parameter(
        "Attributes Reason: Subscription already exists with different attributes");
  if (made.has_error()) co_return topic_fault(made.error());
  const bool show = (*made)->confirmed || flag_member(call.input, "ReturnSubscriptionArn");
  co_return Object{
      {"SubscriptionArn", show ? parts_.topics.arn(**made) : std::string("pending confirmation")}};
}

Sns::Answer Sns::confirm(Call call) {
  auto topic = topic_of(call.input, "TopicArn");
  if (topic.has_error()) co_return std::move(topic).error();
  auto confirming = parts_.topics.confirm((*topic)->name, text_member(call.input, "Token"));
  const auto confirmed = co_await std::move(confirming);
  if (confirmed.has_error() && confirmed.error().code == Code::invalid_argument)
    co_return invalid_parameter("Token");
  if (confirmed.has_error()) co_return topic_fault(confirmed.error());
  co_return Object{{"SubscriptionArn", parts_.topics.arn(**confirmed)}};
}

Sns::Answer Sns::unsubscribe(Call call) {
  auto subscription = subscription_of(call.input);
  if (subscription.has_error() && subscription.error().code == "NotFound") co_return Object{};
  if (subscription.has_error()) co_return std::move(subscription).error();
  auto removing = parts_.topics.unsubscribe((*subscription)->id);
  const Status removed = co_await std::move(removing);
  if (removed.has_error() && removed.error().code != Code::not_found)
    co_return topic_fault(removed.error());
  co_return Object{};
}

Sns::Answer Sns::set_subscription_attributes(Call call) {
  auto subscription = subscription_of(call.input);
  if (subscription.has_error()) co_return std::move(subscription).error();
  Subscription changed = **subscription;
  AWS_CO_TRY(set_attribute(changed, text_member(call.input, "AttributeName"),
                           text_member(call.input, "AttributeValue")));
  auto updating = parts_.topics.update_subscription(std::move(changed));
  const Status updated = co_await std::move(updating);
  if (updated.has_error()) co_return topic_fault(updated.error());
  co_return Object{};
}

Outcome<json::object> Sns::get_subscription_attributes(const Call& call) const {
  auto found = subscription_of(call.input);
  if (found.has_error()) return std::move(found).error();
  const Subscription& subscription = **found;
  json::object attributes = info_of(subscription);
  attributes["SubscriptionArn"] = parts_.topics.arn(subscription);
  attributes["PendingConfirmation"] = subscription.confirmed ? "false" : "true";
  attributes["ConfirmationWasAuthenticated"] = "true";
  attributes["RawMessageDelivery"] =
      subscription.form == Subscription::Form::raw ? "true" : "false";
  if (!subscription.filter.empty()) {
    attributes["FilterPolicy"] = subscription.filter;
    attributes["FilterPolicyScope"] =
        subscription.filter_on_body ? "MessageBody" : "MessageAttributes";
  }
  if (!subscription.dead_letter.empty()) {
    const auto letter = triggers::parse_target(subscription.dead_letter);
    attributes["RedrivePolicy"] =
        "{\"deadLetterTargetArn\":\"" +
        (letter.has_value() ? triggers::to_arn(*letter, parts_.region, parts_.account)
                            : std::string()) +
        "\"}";
  }
  for (const auto& [name, value] : subscription.other) attributes[name] = value;
  return Object{{"Attributes", std::move(attributes)}};
}

Outcome<json::object> Sns::list_subscriptions(const Call& call) const {
  std::string topic_name;
  if (static_cast<Op>(call.operation->tag) == Op::list_subscriptions_by_topic) {
    auto topic = topic_of(call.input, "TopicArn");
    if (topic.has_error()) return std::move(topic).error();
    topic_name = (*topic)->name;
  }
  const auto [page, next] =
      page_of(parts_.topics.subscriptions(topic_name), text_member(call.input, "NextToken"),
              kSubscriptionsPageMax, [](const triggers::SubscriptionPtr& one) { return one->id; });
  json::array subscriptions;
  for (const auto& one : page) subscriptions.push_back(info_of(*one));
  json::object answer{{"Subscriptions", std::move(subscriptions)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

}  // namespace mayfly::dialects::sns
