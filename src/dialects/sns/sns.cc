#include "dialects/sns/sns.h"

#include "aws/session.h"

#include "dialects/aws_values.h"
#include "dialects/sns/contract.h"

namespace mayfly::dialects::sns {

using aws::Call;
using aws::Outcome;

const aws::Contract& Sns::contract() const {
  return sns_contract();
}

aws::Fault invalid_parameter(std::string message) {
  return {"InvalidParameter", "Invalid parameter: " + std::move(message)};
}

aws::Fault topic_fault(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return {"NotFound", error.message, 404};
    case Code::invalid_argument:
    case Code::too_large:
    case Code::already_exists:
      return invalid_parameter(error.message);
    case Code::resource_exhausted:
      return {"SubscriptionLimitExceeded", error.message, 403};
    case Code::conflict:
      return {"ConcurrentAccess", error.message, 400};
    default:
      return aws::fault_of(error);
  }
}

io::Task<Outcome<boost::json::object>> Sns::call(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::publish:
      return publish(std::move(call));
    case Op::publish_batch:
      return publish_batch(std::move(call));
    case Op::create_topic:
      return create_topic(std::move(call));
    case Op::delete_topic:
      return delete_topic(std::move(call));
    case Op::set_topic_attributes:
      return set_topic_attributes(std::move(call));
    case Op::get_topic_attributes:
      return answered(get_topic_attributes(call));
    case Op::list_topics:
      return answered(list_topics(call));
    case Op::list_tags:
      return answered(list_tags(call));
    case Op::tag:
    case Op::untag:
      return change_tags(std::move(call));
    case Op::subscribe:
      return subscribe(std::move(call));
    case Op::confirm_subscription:
      return confirm(std::move(call));
    case Op::unsubscribe:
      return unsubscribe(std::move(call));
    case Op::set_subscription_attributes:
      return set_subscription_attributes(std::move(call));
    case Op::get_subscription_attributes:
      return answered(get_subscription_attributes(call));
    case Op::list_subscriptions:
    case Op::list_subscriptions_by_topic:
      return answered(list_subscriptions(call));
  }
  return answered(aws::Fault{"InvalidAction", "There is no such action."});
}

namespace {

constexpr std::string_view kArnStart = "arn:aws:sns:";

// What stands behind "arn:aws:sns:REGION:ACCOUNT:"; any region: clients put in their own. Empty
// when it is no such ARN.
std::string resource_in(std::string_view arn) {
  if (!arn.starts_with(kArnStart)) return {};
  arn.remove_prefix(kArnStart.size());
  for (int i = 0; i < 2; ++i) {
    const auto colon = arn.find(':');
    if (colon == std::string_view::npos) return {};
    arn.remove_prefix(colon + 1);
  }
  return std::string(arn);
}

}  // namespace

// PublishBatch is Publish. A subscription counts as its topic.
std::vector<aws::Need> Sns::needs(const aws::Call& call) const {
  std::string_view action = call.operation->name;
  if (action == "PublishBatch") action = "Publish";
  std::string resource = "*";
  if (const std::string name = text_member(call.input, "Name"); !name.empty())
    resource = parts_.topics.arn(name);
  for (const auto member : {"TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"}) {
    if (!call.input.contains(member)) continue;
    const std::string named = resource_in(text_member(call.input, member));
    resource = parts_.topics.arn(named.substr(0, named.find(':')));
    break;
  }
  return {{"sns:" + std::string(action), std::move(resource)}};
}

Outcome<triggers::TopicPtr> Sns::topic_of(const Object& input, std::string_view member) const {
  const std::string arn = text_member(input, member);
  const std::string name = resource_in(arn);
  if (name.empty() || name.find(':') != std::string::npos)
    return invalid_parameter(std::string(member) + " Reason: " + arn.substr(0, 300) +
                             " is no ARN of a topic");
  auto topic = parts_.topics.find(name);
  if (!topic) return aws::Fault{"NotFound", "Topic does not exist", 404};
  return topic;
}

Outcome<triggers::SubscriptionPtr> Sns::subscription_of(const Object& input) const {
  const std::string arn = text_member(input, "SubscriptionArn");
  const std::string resource = resource_in(arn);
  const auto colon = resource.find(':');
  if (colon == std::string::npos)
    return invalid_parameter("SubscriptionArn Reason: " + arn.substr(0, 300) +
                             " is no ARN of a subscription");
  auto subscription = parts_.topics.find_subscription(resource.substr(colon + 1));
  if (!subscription || subscription->topic != resource.substr(0, colon))
    return aws::Fault{"NotFound", "Subscription does not exist", 404};
  return subscription;
}

boost::json::object Sns::info_of(const triggers::Subscription& subscription) const {
  return Object{{"SubscriptionArn", subscription.confirmed ? parts_.topics.arn(subscription)
                                                           : std::string("PendingConfirmation")},
                {"Owner", parts_.account},
                {"Protocol", triggers::protocol_of(subscription.target)},
                {"Endpoint", triggers::to_arn(subscription.target, parts_.region, parts_.account)},
                {"TopicArn", parts_.topics.arn(subscription.topic)}};
}

}  // namespace mayfly::dialects::sns
