#include "dialects/sqs/contract.h"

#include "aws/tables.h"

namespace mayfly::dialects::sqs {
namespace {

using aws::kBoolean;
using aws::Kind;
using aws::kInteger;
using aws::kString;
using aws::Member;
using aws::operation;
using aws::Place;
using aws::required;
using aws::Shape;

// Another name in the query protocol.
constexpr Member queried(std::string_view name, const Shape& shape, std::string_view query_name,
                         bool required = false) {
  return {name, &shape, {}, Place::body, required, query_name};
}

// Lists repeat their items under the name of an item, maps under that of an entry.
constexpr Shape flat_list(const Shape& element, std::string_view name) {
  return {Kind::list, {}, &element, name, {}, true};
}
constexpr Shape flat_map(const Shape& element, std::string_view key, std::string_view value) {
  return {Kind::map, {}, &element, value, key, true};
}

constexpr Shape kAccountIds = flat_list(kString, "AWSAccountId");
constexpr Shape kActionNames = flat_list(kString, "ActionName");
constexpr Shape kAttributeNames = flat_list(kString, "AttributeName");
constexpr Shape kSystemAttributeNames = flat_list(kString, "MessageSystemAttributeName");
constexpr Shape kMessageAttributeNames = flat_list(kString, "MessageAttributeName");
constexpr Shape kTagKeys = flat_list(kString, "TagKey");
constexpr Shape kQueueUrls = flat_list(kString, "QueueUrl");
constexpr Shape kAttributes = flat_map(kString, "Name", "Value");
constexpr Shape kTags = flat_map(kString, "Key", "Value");

constexpr Shape kListValues = flat_list(kString, "StringListValue");
constexpr Member kAttributeValueMembers[] = {
    {"StringValue", &kString},
    {"BinaryValue", &aws::kBlob},
    {"StringListValues", &kListValues},
    queried("BinaryListValues", kListValues, "BinaryListValue"),
    {"DataType", &kString}};
constexpr Shape kAttributeValue{Kind::structure, kAttributeValueMembers};
constexpr Shape kMessageAttributes = flat_map(kAttributeValue, "Name", "Value");

// Members that many inputs have.
constexpr Member kQueueUrl = required("QueueUrl", kString);
constexpr Member kReceiptHandle = required("ReceiptHandle", kString);

AWS_SHAPE(OnlyQueue, {kQueueUrl});
AWS_SHAPE(QueueUrlOut, {{"QueueUrl", &kString}});
AWS_SHAPE(AddPermission,
          {kQueueUrl, required("Label", kString), required("AWSAccountIds", kAccountIds),
           required("Actions", kActionNames)});
AWS_SHAPE(RemovePermission, {kQueueUrl, required("Label", kString)});

AWS_SHAPE(FailedEntry, {{"Id", &kString},
                        {"SenderFault", &kBoolean},
                        {"Code", &kString},
                        {"Message", &kString}});
constexpr Shape kFailed = flat_list(kFailedEntry, "BatchResultErrorEntry");
AWS_SHAPE(IdEntry, {{"Id", &kString}});

AWS_SHAPE(ChangeVisibility, {kQueueUrl, kReceiptHandle, required("VisibilityTimeout", kInteger)});
AWS_SHAPE(ChangeVisibilityEntry,
          {{"Id", &kString}, {"ReceiptHandle", &kString}, {"VisibilityTimeout", &kInteger}});
constexpr Shape kChangeVisibilityEntries =
    flat_list(kChangeVisibilityEntry, "ChangeMessageVisibilityBatchRequestEntry");
AWS_SHAPE(ChangeVisibilityBatch, {kQueueUrl, {"Entries", &kChangeVisibilityEntries}});
constexpr Shape kVisibilityChanged = flat_list(kIdEntry, "ChangeMessageVisibilityBatchResultEntry");
AWS_SHAPE(ChangeVisibilityBatchOut, {{"Successful", &kVisibilityChanged}, {"Failed", &kFailed}});

AWS_SHAPE(CreateQueue,
          {required("QueueName", kString), queried("Attributes", kAttributes, "Attribute"),
           queried("tags", kTags, "Tag")});

AWS_SHAPE(DeleteMessage, {kQueueUrl, kReceiptHandle});
AWS_SHAPE(DeleteEntry, {{"Id", &kString}, {"ReceiptHandle", &kString}});
constexpr Shape kDeleteEntries = flat_list(kDeleteEntry, "DeleteMessageBatchRequestEntry");
AWS_SHAPE(DeleteBatch, {kQueueUrl, {"Entries", &kDeleteEntries}});
constexpr Shape kDeleted = flat_list(kIdEntry, "DeleteMessageBatchResultEntry");
AWS_SHAPE(DeleteBatchOut, {{"Successful", &kDeleted}, {"Failed", &kFailed}});

AWS_SHAPE(GetAttributes, {kQueueUrl, {"AttributeNames", &kAttributeNames}});
AWS_SHAPE(GetAttributesOut, {queried("Attributes", kAttributes, "Attribute")});
AWS_SHAPE(SetAttributes, {kQueueUrl, queried("Attributes", kAttributes, "Attribute", true)});
AWS_SHAPE(GetUrl, {required("QueueName", kString), {"QueueOwnerAWSAccountId", &kString}});
AWS_SHAPE(ListQueues,
          {{"QueueNamePrefix", &kString}, {"NextToken", &kString}, {"MaxResults", &kInteger}});
AWS_SHAPE(ListQueuesOut, {{"QueueUrls", &kQueueUrls}, {"NextToken", &kString}});
AWS_SHAPE(ListSources, {kQueueUrl, {"NextToken", &kString}, {"MaxResults", &kInteger}});
AWS_SHAPE(ListSourcesOut, {{"queueUrls", &kQueueUrls}, {"NextToken", &kString}});
AWS_SHAPE(TagsOut, {queried("Tags", kTags, "Tag")});
AWS_SHAPE(TagQueue, {kQueueUrl, queried("Tags", kTags, "Tag", true)});
AWS_SHAPE(UntagQueue, {kQueueUrl, required("TagKeys", kTagKeys)});

AWS_SHAPE(CancelMove, {required("TaskHandle", kString)});
AWS_SHAPE(CancelMoveOut, {{"ApproximateNumberOfMessagesMoved", &kInteger}});
AWS_SHAPE(ListMoves, {required("SourceArn", kString), {"MaxResults", &kInteger}});
AWS_SHAPE(Move, {{"TaskHandle", &kString},
                 {"Status", &kString},
                 {"SourceArn", &kString},
                 {"DestinationArn", &kString},
                 {"MaxNumberOfMessagesPerSecond", &kInteger},
                 {"ApproximateNumberOfMessagesMoved", &kInteger},
                 {"ApproximateNumberOfMessagesToMove", &kInteger},
                 {"FailureReason", &kString},
                 {"StartedTimestamp", &kInteger}});
constexpr Shape kMoves = flat_list(kMove, "ListMessageMoveTasksResultEntry");
AWS_SHAPE(ListMovesOut, {{"Results", &kMoves}});
AWS_SHAPE(StartMove, {required("SourceArn", kString),
                      {"DestinationArn", &kString},
                      {"MaxNumberOfMessagesPerSecond", &kInteger}});
AWS_SHAPE(StartMoveOut, {{"TaskHandle", &kString}});

AWS_SHAPE(Receive, {kQueueUrl,
                    {"AttributeNames", &kAttributeNames},
                    {"MessageSystemAttributeNames", &kSystemAttributeNames},
                    {"MessageAttributeNames", &kMessageAttributeNames},
                    {"MaxNumberOfMessages", &kInteger},
                    {"VisibilityTimeout", &kInteger},
                    {"WaitTimeSeconds", &kInteger},
                    {"ReceiveRequestAttemptId", &kString}});
AWS_SHAPE(Message, {{"MessageId", &kString},
                    {"ReceiptHandle", &kString},
                    {"MD5OfBody", &kString},
                    {"Body", &kString},
                    queried("Attributes", kAttributes, "Attribute"),
                    {"MD5OfMessageAttributes", &kString},
                    queried("MessageAttributes", kMessageAttributes, "MessageAttribute")});
constexpr Shape kMessages = flat_list(kMessage, "Message");
AWS_SHAPE(ReceiveOut, {{"Messages", &kMessages}});

AWS_SHAPE(Send, {kQueueUrl,
                 required("MessageBody", kString),
                 {"DelaySeconds", &kInteger},
                 queried("MessageAttributes", kMessageAttributes, "MessageAttribute"),
                 queried("MessageSystemAttributes", kMessageAttributes, "MessageSystemAttribute"),
                 {"MessageDeduplicationId", &kString},
                 {"MessageGroupId", &kString}});
AWS_SHAPE(SendOut, {{"MD5OfMessageBody", &kString},
                    {"MD5OfMessageAttributes", &kString},
                    {"MD5OfMessageSystemAttributes", &kString},
                    {"MessageId", &kString},
                    {"SequenceNumber", &kString}});
AWS_SHAPE(SendEntry,
          {{"Id", &kString},
           {"MessageBody", &kString},
           {"DelaySeconds", &kInteger},
           queried("MessageAttributes", kMessageAttributes, "MessageAttribute"),
           queried("MessageSystemAttributes", kMessageAttributes, "MessageSystemAttribute"),
           {"MessageDeduplicationId", &kString},
           {"MessageGroupId", &kString}});
constexpr Shape kSendEntries = flat_list(kSendEntry, "SendMessageBatchRequestEntry");
AWS_SHAPE(SendBatch, {kQueueUrl, {"Entries", &kSendEntries}});
AWS_SHAPE(SentEntry, {{"Id", &kString},
                      {"MessageId", &kString},
                      {"MD5OfMessageBody", &kString},
                      {"MD5OfMessageAttributes", &kString},
                      {"MD5OfMessageSystemAttributes", &kString},
                      {"SequenceNumber", &kString}});
constexpr Shape kSent = flat_list(kSentEntry, "SendMessageBatchResultEntry");
AWS_SHAPE(SendBatchOut, {{"Successful", &kSent}, {"Failed", &kFailed}});

constexpr aws::Operation kOperations[] = {
    operation("AddPermission", Op::add_permission, kAddPermission),
    operation("CancelMessageMoveTask", Op::cancel_message_move_task, kCancelMove, kCancelMoveOut),
    operation("ChangeMessageVisibility", Op::change_message_visibility, kChangeVisibility),
    operation("ChangeMessageVisibilityBatch", Op::change_message_visibility_batch,
              kChangeVisibilityBatch, kChangeVisibilityBatchOut),
    operation("CreateQueue", Op::create_queue, kCreateQueue, kQueueUrlOut),
    operation("DeleteMessage", Op::delete_message, kDeleteMessage),
    operation("DeleteMessageBatch", Op::delete_message_batch, kDeleteBatch, kDeleteBatchOut),
    operation("DeleteQueue", Op::delete_queue, kOnlyQueue),
    operation("GetQueueAttributes", Op::get_queue_attributes, kGetAttributes, kGetAttributesOut),
    operation("GetQueueUrl", Op::get_queue_url, kGetUrl, kQueueUrlOut),
    operation("ListDeadLetterSourceQueues", Op::list_dead_letter_source_queues, kListSources,
              kListSourcesOut),
    operation("ListMessageMoveTasks", Op::list_message_move_tasks, kListMoves, kListMovesOut),
    operation("ListQueues", Op::list_queues, kListQueues, kListQueuesOut),
    operation("ListQueueTags", Op::list_queue_tags, kOnlyQueue, kTagsOut),
    operation("PurgeQueue", Op::purge_queue, kOnlyQueue),
    operation("ReceiveMessage", Op::receive_message, kReceive, kReceiveOut),
    operation("RemovePermission", Op::remove_permission, kRemovePermission),
    operation("SendMessage", Op::send_message, kSend, kSendOut),
    operation("SendMessageBatch", Op::send_message_batch, kSendBatch, kSendBatchOut),
    operation("SetQueueAttributes", Op::set_queue_attributes, kSetAttributes),
    operation("StartMessageMoveTask", Op::start_message_move_task, kStartMove, kStartMoveOut),
    operation("TagQueue", Op::tag_queue, kTagQueue),
    operation("UntagQueue", Op::untag_queue, kUntagQueue),
};

constexpr aws::Contract contract() {
  aws::Contract made;
  made.name = "sqs";
  made.api_version = "2012-11-05";
  made.operations = kOperations;
  made.query = true;
  made.xml_namespace = "http://queue.amazonaws.com/doc/2012-11-05/";
  made.target_prefix = "AmazonSQS";
  made.json_version = "1.0";
  made.query_compatible = true;
  made.error_prefix = "com.amazonaws.sqs#";
  return made;
}

constexpr aws::Contract kContract = contract();

}  // namespace

const aws::Contract& sqs_contract() {
  return kContract;
}

}  // namespace mayfly::dialects::sqs
