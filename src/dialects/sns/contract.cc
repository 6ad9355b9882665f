#include "dialects/sns/contract.h"

namespace mayfly::dialects::sns {
namespace {

using aws::kBoolean;
using aws::Kind;
using aws::kString;
using aws::Member;
using aws::Place;
using aws::Shape;

constexpr Member wanted(std::string_view name, const Shape& shape) {
  return {name, &shape, {}, Place::body, true};
}

#define SHAPE(name, ...)                             \
  constexpr Member k##name##Members[] = __VA_ARGS__; \
  constexpr Shape k##name {                          \
    Kind::structure, k##name##Members                \
  }

SHAPE(AttributeValue,
      {{"DataType", &kString}, {"StringValue", &kString}, {"BinaryValue", &aws::kBlob}});
constexpr Shape kMessageAttributes{Kind::map, {}, &kAttributeValue, "Value", "Name"};
SHAPE(Tag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kTags{Kind::list, {}, &kTag};

constexpr Member kTopicArn = wanted("TopicArn", kString);
constexpr Member kSubscriptionArn = wanted("SubscriptionArn", kString);
SHAPE(OnlyTopic, {kTopicArn});
SHAPE(OnlySubscription, {kSubscriptionArn});
SHAPE(SubscriptionOut, {{"SubscriptionArn", &kString}});
SHAPE(TopicOut, {{"TopicArn", &kString}});
SHAPE(AttributesOut, {{"Attributes", &aws::kStringMap}});

SHAPE(Confirm, {kTopicArn, wanted("Token", kString), {"AuthenticateOnUnsubscribe", &kString}});
SHAPE(CreateTopic, {wanted("Name", kString),
                    {"Attributes", &aws::kStringMap},
                    {"Tags", &kTags},
                    {"DataProtectionPolicy", &kString}});
SHAPE(Page, {{"NextToken", &kString}});
SHAPE(PageByTopic, {kTopicArn, {"NextToken", &kString}});
SHAPE(SubscriptionInfo, {{"SubscriptionArn", &kString},
                         {"Owner", &kString},
                         {"Protocol", &kString},
                         {"Endpoint", &kString},
                         {"TopicArn", &kString}});
constexpr Shape kSubscriptions{Kind::list, {}, &kSubscriptionInfo};
SHAPE(SubscriptionsOut, {{"Subscriptions", &kSubscriptions}, {"NextToken", &kString}});
constexpr Shape kTopics{Kind::list, {}, &kTopicOut};
SHAPE(TopicsOut, {{"Topics", &kTopics}, {"NextToken", &kString}});

SHAPE(Publish, {{"TopicArn", &kString},
                {"TargetArn", &kString},
                {"PhoneNumber", &kString},
                wanted("Message", kString),
                {"Subject", &kString},
                {"MessageStructure", &kString},
                {"MessageAttributes", &kMessageAttributes},
                {"MessageDeduplicationId", &kString},
                {"MessageGroupId", &kString}});
SHAPE(PublishOut, {{"MessageId", &kString}, {"SequenceNumber", &kString}});
SHAPE(Entry, {{"Id", &kString},
              {"Message", &kString},
              {"Subject", &kString},
              {"MessageStructure", &kString},
              {"MessageAttributes", &kMessageAttributes},
              {"MessageDeduplicationId", &kString},
              {"MessageGroupId", &kString}});
constexpr Shape kEntries{Kind::list, {}, &kEntry};
SHAPE(PublishBatch, {kTopicArn, {"PublishBatchRequestEntries", &kEntries}});
SHAPE(Sent, {{"Id", &kString}, {"MessageId", &kString}, {"SequenceNumber", &kString}});
constexpr Shape kSuccessful{Kind::list, {}, &kSent};
SHAPE(Failure,
      {{"Id", &kString}, {"Code", &kString}, {"Message", &kString}, {"SenderFault", &kBoolean}});
constexpr Shape kFailed{Kind::list, {}, &kFailure};
SHAPE(PublishBatchOut, {{"Successful", &kSuccessful}, {"Failed", &kFailed}});

SHAPE(SetSubscription,
      {kSubscriptionArn, wanted("AttributeName", kString), {"AttributeValue", &kString}});
SHAPE(SetTopic, {kTopicArn, wanted("AttributeName", kString), {"AttributeValue", &kString}});
SHAPE(Subscribe, {kTopicArn,
                  wanted("Protocol", kString),
                  {"Endpoint", &kString},
                  {"Attributes", &aws::kStringMap},
                  {"ReturnSubscriptionArn", &kBoolean}});
SHAPE(OnlyResource, {wanted("ResourceArn", kString)});
SHAPE(TagResource, {wanted("ResourceArn", kString), wanted("Tags", kTags)});
SHAPE(UntagResource, {wanted("ResourceArn", kString), wanted("TagKeys", aws::kStrings)});
SHAPE(TagsOut, {{"Tags", &kTags}});
// Nothing, in an element of its own: clients look for TagResourceResult.
SHAPE(Nothing, {{"Nothing", &kString}});
#undef SHAPE

constexpr aws::Operation operation(std::string_view name, Op op, const Shape& input,
                                   const Shape& output = aws::kEmpty) {
  return {name, &input, &output, static_cast<int>(op)};
}

constexpr aws::Operation kOperations[] = {
    operation("ConfirmSubscription", Op::confirm_subscription, kConfirm, kSubscriptionOut),
    operation("CreateTopic", Op::create_topic, kCreateTopic, kTopicOut),
    operation("DeleteTopic", Op::delete_topic, kOnlyTopic),
    operation("GetSubscriptionAttributes", Op::get_subscription_attributes, kOnlySubscription,
              kAttributesOut),
    operation("GetTopicAttributes", Op::get_topic_attributes, kOnlyTopic, kAttributesOut),
    operation("ListSubscriptions", Op::list_subscriptions, kPage, kSubscriptionsOut),
    operation("ListSubscriptionsByTopic", Op::list_subscriptions_by_topic, kPageByTopic,
              kSubscriptionsOut),
    operation("ListTagsForResource", Op::list_tags, kOnlyResource, kTagsOut),
    operation("ListTopics", Op::list_topics, kPage, kTopicsOut),
    operation("Publish", Op::publish, kPublish, kPublishOut),
    operation("PublishBatch", Op::publish_batch, kPublishBatch, kPublishBatchOut),
    operation("SetSubscriptionAttributes", Op::set_subscription_attributes, kSetSubscription),
    operation("SetTopicAttributes", Op::set_topic_attributes, kSetTopic),
    operation("Subscribe", Op::subscribe, kSubscribe, kSubscriptionOut),
    operation("TagResource", Op::tag, kTagResource, kNothing),
    operation("Unsubscribe", Op::unsubscribe, kOnlySubscription),
    operation("UntagResource", Op::untag, kUntagResource, kNothing),
};

constexpr aws::Contract contract() {
  aws::Contract made;
  made.name = "sns";
  made.api_version = "2010-03-31";
  made.operations = kOperations;
  made.query = true;
  made.xml_namespace = "http://sns.amazonaws.com/doc/2010-03-31/";
  return made;
}

constexpr aws::Contract kContract = contract();

}  // namespace

const aws::Contract& sns_contract() {
  return kContract;
}

}  // namespace mayfly::dialects::sns
