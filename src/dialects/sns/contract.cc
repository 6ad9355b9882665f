#include "dialects/sns/contract.h"

#include "aws/tables.h"

namespace mayfly::dialects::sns {
namespace {

using aws::kBoolean;
using aws::Kind;
using aws::kString;
using aws::Member;
using aws::operation;
using aws::required;
using aws::Shape;

AWS_SHAPE(AttributeValue,
          {{"DataType", &kString}, {"StringValue", &kString}, {"BinaryValue", &aws::kBlob}});
constexpr Shape kMessageAttributes{Kind::map, {}, &kAttributeValue, "Value", "Name"};
AWS_SHAPE(Tag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kTags{Kind::list, {}, &kTag};

constexpr Member kTopicArn = required("TopicArn", kString);
constexpr Member kSubscriptionArn = required("SubscriptionArn", kString);
AWS_SHAPE(OnlyTopic, {kTopicArn});
AWS_SHAPE(OnlySubscription, {kSubscriptionArn});
AWS_SHAPE(SubscriptionOut, {{"SubscriptionArn", &kString}});
AWS_SHAPE(TopicOut, {{"TopicArn", &kString}});
AWS_SHAPE(AttributesOut, {{"Attributes", &aws::kStringMap}});

AWS_SHAPE(Confirm,
          {kTopicArn, required("Token", kString), {"AuthenticateOnUnsubscribe", &kString}});
AWS_SHAPE(CreateTopic, {required("Name", kString),
                        {"Attributes", &aws::kStringMap},
                        {"Tags", &kTags},
                        {"DataProtectionPolicy", &kString}});
AWS_SHAPE(Page, {{"NextToken", &kString}});
AWS_SHAPE(PageByTopic, {kTopicArn, {"NextToken", &kString}});
AWS_SHAPE(SubscriptionInfo, {{"SubscriptionArn", &kString},
                             {"Owner", &kString},
                             {"Protocol", &kString},
                             {"Endpoint", &kString},
                             {"TopicArn", &kString}});
constexpr Shape kSubscriptions{Kind::list, {}, &kSubscriptionInfo};
AWS_SHAPE(SubscriptionsOut, {{"Subscriptions", &kSubscriptions}, {"NextToken", &kString}});
constexpr Shape kTopics{Kind::list, {}, &kTopicOut};
AWS_SHAPE(TopicsOut, {{"Topics", &kTopics}, {"NextToken", &kString}});

AWS_SHAPE(Publish, {{"TopicArn", &kString},
                    {"TargetArn", &kString},
                    {"PhoneNumber", &kString},
                    required("Message", kString),
                    {"Subject", &kString},
                    {"MessageStructure", &kString},
                    {"MessageAttributes", &kMessageAttributes},
                    {"MessageDeduplicationId", &kString},
                    {"MessageGroupId", &kString}});
AWS_SHAPE(PublishOut, {{"MessageId", &kString}, {"SequenceNumber", &kString}});
AWS_SHAPE(Entry, {{"Id", &kString},
                  {"Message", &kString},
                  {"Subject", &kString},
                  {"MessageStructure", &kString},
                  {"MessageAttributes", &kMessageAttributes},
                  {"MessageDeduplicationId", &kString},
                  {"MessageGroupId", &kString}});
constexpr Shape kEntries{Kind::list, {}, &kEntry};
AWS_SHAPE(PublishBatch, {kTopicArn, {"PublishBatchRequestEntries", &kEntries}});
AWS_SHAPE(Sent, {{"Id", &kString}, {"MessageId", &kString}, {"SequenceNumber", &kString}});
constexpr Shape kSuccessful{Kind::list, {}, &kSent};
AWS_SHAPE(Failure, {{"Id", &kString},
                    {"Code", &kString},
                    {"Message", &kString},
                    {"SenderFault", &kBoolean}});
constexpr Shape kFailed{Kind::list, {}, &kFailure};
AWS_SHAPE(PublishBatchOut, {{"Successful", &kSuccessful}, {"Failed", &kFailed}});

AWS_SHAPE(SetSubscription,
          {kSubscriptionArn, required("AttributeName", kString), {"AttributeValue", &kString}});
AWS_SHAPE(SetTopic, {kTopicArn, required("AttributeName", kString), {"AttributeValue", &kString}});
AWS_SHAPE(Subscribe, {kTopicArn,
                      required("Protocol", kString),
                      {"Endpoint", &kString},
                      {"Attributes", &aws::kStringMap},
                      {"ReturnSubscriptionArn", &kBoolean}});
AWS_SHAPE(OnlyResource, {required("ResourceArn", kString)});
AWS_SHAPE(TagResource, {required("ResourceArn", kString), required("Tags", kTags)});
AWS_SHAPE(UntagResource, {required("ResourceArn", kString), required("TagKeys", aws::kStrings)});
AWS_SHAPE(TagsOut, {{"Tags", &kTags}});
// Nothing, in an element of its own: clients look for TagResourceResult.
AWS_SHAPE(Nothing, {{"Nothing", &kString}});

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
