// Topics of SNS: their attributes and tags.

#include <algorithm>

#include "dialects/aws_values.h"
#include "dialects/sns/contract.h"
#include "dialects/sns/sns.h"

namespace mayfly::dialects::sns {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Topic;

namespace {

constexpr std::size_t kPageMax = 100;
constexpr std::size_t kTagsMax = 50;
// What is kept for clients, and has no effect here.
constexpr std::string_view kKept[] = {
    "DisplayName",   "Policy",           "DeliveryPolicy", "KmsMasterKeyId",
    "TracingConfig", "SignatureVersion", "ArchivePolicy",  "DataProtectionPolicy"};

Outcome<bool> as_flag(const std::string& name, const std::string& value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return invalid_parameter(name + " Reason: must be true or false");
}

Outcome<void> set_attribute(Topic& topic, const std::string& name, const std::string& value) {
  if (name == "FifoTopic" || name == "ContentBasedDeduplication") {
    auto flag = as_flag(name, value);
    if (flag.has_error()) return std::move(flag).error();
    (name == "FifoTopic" ? topic.fifo : topic.content_deduplication) = *flag;
    return boost::system::in_place_value;
  }
  if (name == "FifoThroughputScope") {
    if (value != "Topic" && value != "MessageGroup")
      return invalid_parameter("FifoThroughputScope Reason: must be Topic or MessageGroup");
    topic.deduplicate_by_group = value == "MessageGroup";
    return boost::system::in_place_value;
  }
  const bool kept = std::find(std::begin(kKept), std::end(kKept), name) != std::end(kKept) ||
                    name.ends_with("FeedbackRoleArn") || name.ends_with("FeedbackSampleRate");
  if (!kept) return invalid_parameter("AttributeName");
  if (value.empty()) {
    topic.other.erase(name);
  } else {
    topic.other[name] = value;
  }
  return boost::system::in_place_value;
}

std::string default_policy(const std::string& arn, const std::string& account) {
  return R"({"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":)"
         R"("__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},"Action":)"
         R"(["SNS:Publish","SNS:Subscribe"],"Resource":")" +
         arn + R"(","Condition":{"StringEquals":{"AWS:SourceOwner":")" + account + R"("}}}]})";
}

aws::Fault no_resource() {
  return {"ResourceNotFound", "Resource does not exist", 404};
}

}  // namespace

Sns::Answer Sns::create_topic(Call call) {
  Topic topic;
  topic.name = text_member(call.input, "Name");
  for (const auto& [name, value] : map_member(call.input, "Attributes"))
    AWS_CO_TRY(set_attribute(topic, name, value));
  if (auto policy = text_member(call.input, "DataProtectionPolicy"); !policy.empty())
    topic.other["DataProtectionPolicy"] = policy;
  topic.tags = tags_member(call.input, "Tags");
  if (topic.tags.size() > kTagsMax)
    co_return aws::Fault{"TagLimitExceeded", "A topic has at most 50 tags"};
  auto creating = parts_.topics.create(std::move(topic));
  const auto made = co_await std::move(creating);
  if (made.has_error() && made.error().code == Code::already_exists)
    co_return invalid_parameter(
        "Attributes Reason: Topic already exists with different attributes");
  if (made.has_error() && made.error().code == Code::invalid_argument)
    co_return invalid_parameter("Topic Name. " + made.error().message);
  if (made.has_error() && made.error().code == Code::resource_exhausted)
    co_return aws::Fault{"TopicLimitExceeded", made.error().message, 403};
  if (made.has_error()) co_return topic_fault(made.error());
  co_return Object{{"TopicArn", parts_.topics.arn((*made)->name)}};
}

Sns::Answer Sns::delete_topic(Call call) {
  auto topic = topic_of(call.input, "TopicArn");
  if (topic.has_error() && topic.error().code == "NotFound") co_return Object{};  // as SNS does
  if (topic.has_error()) co_return std::move(topic).error();
  auto removing = parts_.topics.remove((*topic)->name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error() && removed.error().code != Code::not_found)
    co_return topic_fault(removed.error());
  co_return Object{};
}

Sns::Answer Sns::set_topic_attributes(Call call) {
  auto topic = topic_of(call.input, "TopicArn");
  if (topic.has_error()) co_return std::move(topic).error();
  Topic changed = **topic;
  AWS_CO_TRY(set_attribute(changed, text_member(call.input, "AttributeName"),
                           text_member(call.input, "AttributeValue")));
  auto updating = parts_.topics.update(std::move(changed));
  const Status updated = co_await std::move(updating);
  if (updated.has_error()) co_return topic_fault(updated.error());
  co_return Object{};
}

Outcome<json::object> Sns::get_topic_attributes(const Call& call) const {
  auto topic = topic_of(call.input, "TopicArn");
  if (topic.has_error()) return std::move(topic).error();
  const Topic& info = **topic;
  const std::string arn = parts_.topics.arn(info.name);
  json::object attributes;
  attributes["TopicArn"] = arn;
  attributes["Owner"] = parts_.account;
  attributes["DisplayName"] = "";
  attributes["Policy"] = default_policy(arn, parts_.account);
  std::size_t confirmed = 0, pending = 0;
  for (const auto& subscription : parts_.topics.subscriptions(info.name))
    ++(subscription->confirmed ? confirmed : pending);
  attributes["SubscriptionsConfirmed"] = std::to_string(confirmed);
  attributes["SubscriptionsPending"] = std::to_string(pending);
  attributes["SubscriptionsDeleted"] = "0";
  for (const auto& [name, value] : info.other) attributes[name] = value;
  if (info.fifo) {
    attributes["FifoTopic"] = "true";
    attributes["ContentBasedDeduplication"] = info.content_deduplication ? "true" : "false";
    attributes["FifoThroughputScope"] = info.deduplicate_by_group ? "MessageGroup" : "Topic";
  }
  return Object{{"Attributes", std::move(attributes)}};
}

Outcome<json::object> Sns::list_topics(const Call& call) const {
  const auto [page, next] =
      page_of(parts_.topics.list(), text_member(call.input, "NextToken"), kPageMax,
              [](const triggers::TopicPtr& topic) { return topic->name; });
  json::array topics;
  for (const auto& topic : page)
    topics.push_back(json::object{{"TopicArn", parts_.topics.arn(topic->name)}});
  json::object answer{{"Topics", std::move(topics)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

Outcome<json::object> Sns::list_tags(const Call& call) const {
  auto topic = topic_of(call.input, "ResourceArn");
  if (topic.has_error())
    return topic.error().code == "NotFound" ? no_resource() : std::move(topic).error();
  return Object{{"Tags", tags_list((*topic)->tags)}};
}

Sns::Answer Sns::change_tags(Call call) {
  auto topic = topic_of(call.input, "ResourceArn");
  if (topic.has_error())
    co_return topic.error().code == "NotFound" ? no_resource() : std::move(topic).error();
  Topic changed = **topic;
  if (static_cast<Op>(call.operation->tag) == Op::untag) {
    for (const auto& key : texts_member(call.input, "TagKeys")) changed.tags.erase(key);
  } else {
    for (const auto& [key, value] : tags_member(call.input, "Tags")) {
      if (key.empty() || key.size() > 128 || value.size() > 256)
        co_return invalid_parameter(
            "Tags Reason: a tag has a key of 1 to 128 and a value of up to 256 characters");
      changed.tags[key] = value;
    }
    if (changed.tags.size() > kTagsMax)
      co_return aws::Fault{"TagLimitExceeded", "A topic has at most 50 tags"};
  }
  auto updating = parts_.topics.update(std::move(changed));
  const Status updated = co_await std::move(updating);
  if (updated.has_error()) co_return topic_fault(updated.error());
  co_return Object{};
}

}  // namespace mayfly::dialects::sns
