#pragma once
// Amazon SNS (API version 2010-03-31) over topics: what `aws sns`, boto3 and the SDKs speak.
// docs/reference/topics.md says what differs.

#include <string>

#include "aws/service.h"
#include "triggers/topics.h"

namespace mayfly::dialects::sns {

// Belongs to the loop of the topics; outlives the calls that it runs.
class Sns : public aws::Service {
 public:
  struct Parts {
    triggers::Topics& topics;
    std::string region, account;
  };
  explicit Sns(Parts parts) : parts_(std::move(parts)) {}

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;

  aws::Outcome<triggers::TopicPtr> topic_of(const Object& input, std::string_view member) const;
  aws::Outcome<triggers::SubscriptionPtr> subscription_of(const Object& input) const;
  Object info_of(const triggers::Subscription& subscription) const;

  // topics.cc
  Answer create_topic(aws::Call call);
  Answer delete_topic(aws::Call call);
  Answer set_topic_attributes(aws::Call call);
  aws::Outcome<Object> get_topic_attributes(const aws::Call& call) const;
  aws::Outcome<Object> list_topics(const aws::Call& call) const;
  aws::Outcome<Object> list_tags(const aws::Call& call) const;
  Answer change_tags(aws::Call call);
  // subscriptions.cc
  Answer subscribe(aws::Call call);
  Answer confirm(aws::Call call);
  Answer unsubscribe(aws::Call call);
  Answer set_subscription_attributes(aws::Call call);
  aws::Outcome<Object> get_subscription_attributes(const aws::Call& call) const;
  aws::Outcome<Object> list_subscriptions(const aws::Call& call) const;
  // publish.cc
  Answer publish(aws::Call call);
  Answer publish_batch(aws::Call call);

  Parts parts_;
};

aws::Fault invalid_parameter(std::string message);
// What topics say.
aws::Fault topic_fault(const Error& error);

}  // namespace mayfly::dialects::sns
