// Publish and PublishBatch of SNS.

#include <algorithm>
#include <boost/json/parse.hpp>
#include <set>

#include "base/base64.h"
#include "dialects/aws_values.h"
#include "dialects/sns/sns.h"
#include "triggers/topic_forms.h"

namespace mayfly::dialects::sns {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Publication;

namespace {

constexpr std::size_t kBatchMax = 10;

aws::Fault bad_value(std::string message) {
  return {"ParameterValueInvalid", std::move(message)};
}

Outcome<queues::MessageAttribute> attribute_of(const std::string& name, const json::object& value) {
  queues::MessageAttribute attribute;
  attribute.name = name;
  attribute.type = text_member(value, "DataType");
  const std::string base = attribute.type.substr(0, attribute.type.find('.'));
  if (base != "String" && base != "Number" && base != "Binary")
    return bad_value("The message attribute '" + name +
                     "' has an invalid message attribute type, " +
                     "the set of supported type prefixes is Binary, Number, and String.");
  if (base == "Binary") {
    auto bytes = decode_base64(text_member(value, "BinaryValue"));
    if (!bytes) return bad_value("The message attribute '" + name + "' is no base64.");
    attribute.value = std::move(*bytes);
  } else {
    attribute.value = text_member(value, "StringValue");
  }
  if (attribute.value.empty())
    return bad_value(
        "The message attribute '" + name +
        "' must contain non-empty message attribute value for message attribute type '" +
        attribute.type + "'.");
  return attribute;
}

// {"default": ..., "sqs": ...}
Outcome<void> take_structure(Publication& publication) {
  boost::system::error_code failed;
  const json::value value = json::parse(publication.message, failed);
  const auto* object = failed ? nullptr : value.if_object();
  if (object == nullptr)
    return invalid_parameter("Message Structure - JSON message body failed to parse");
  for (const auto& [protocol, message] : *object)
    if (message.is_string())
      publication.by_protocol[std::string(protocol)] = std::string(message.get_string());
  const auto found = publication.by_protocol.find("default");
  if (found == publication.by_protocol.end())
    return invalid_parameter("Message Structure - No default entry in JSON message body");
  publication.message = found->second;
  publication.by_protocol.erase(found);
  return boost::system::in_place_value;
}

Outcome<Publication> publication_of(const json::object& input) {
  Publication publication;
  publication.message = text_member(input, "Message");
  if (publication.message.empty()) return invalid_parameter("Empty message");
  publication.subject = text_member(input, "Subject");
  publication.group = text_member(input, "MessageGroupId");
  publication.deduplication_id = text_member(input, "MessageDeduplicationId");
  if (const auto* attributes = object_member(input, "MessageAttributes")) {
    for (const auto& [name, value] : *attributes) {
      const auto* object = value.if_object();
      if (object == nullptr) continue;
      auto attribute = attribute_of(std::string(name), *object);
      if (attribute.has_error()) return std::move(attribute).error();
      publication.attributes.push_back(std::move(*attribute));
    }
  }
  const std::string structure = text_member(input, "MessageStructure");
  if (!structure.empty() && structure != "json") return invalid_parameter("MessageStructure");
  if (structure == "json") AWS_TRY(take_structure(publication));
  return publication;
}

bool is_batch_id(const std::string& id) {
  return !id.empty() && id.size() <= 80 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

Outcome<void> check_batch(const std::vector<const json::object*>& entries) {
  if (entries.empty())
    return aws::Fault{"EmptyBatchRequest", "The batch request doesn't contain any entries."};
  if (entries.size() > kBatchMax)
    return aws::Fault{"TooManyEntriesInBatchRequest",
                      "The batch request contains more entries than permissible."};
  std::set<std::string> ids;
  for (const auto* entry : entries) {
    const std::string id = text_member(*entry, "Id");
    if (!is_batch_id(id))
      return aws::Fault{"InvalidBatchEntryId",
                        "The Id of a batch entry in a batch request doesn't abide by the "
                        "specification."};
    if (!ids.insert(id).second)
      return aws::Fault{"BatchEntryIdsNotDistinct",
                        "Two or more batch entries in the request have the same Id."};
  }
  return boost::system::in_place_value;
}

json::object sent_object(const triggers::Published& published) {
  json::object out{{"MessageId", published.message_id}};
  if (published.sequence != 0) out["SequenceNumber"] = triggers::sequence_text(published.sequence);
  return out;
}

json::object failed_entry(const std::string& id, const aws::Fault& fault) {
  return {{"Id", id}, {"Code", fault.code}, {"Message", fault.message}, {"SenderFault", true}};
}

}  // namespace

Sns::Answer Sns::publish(Call call) {
  if (call.input.contains("PhoneNumber"))
    co_return invalid_parameter("PhoneNumber Reason: this server sends no text messages");
  auto topic = topic_of(call.input, call.input.contains("TopicArn") ? "TopicArn" : "TargetArn");
  if (topic.has_error()) co_return std::move(topic).error();
  auto publication = publication_of(call.input);
  if (publication.has_error()) co_return std::move(publication).error();
  std::vector<Publication> one;
  one.push_back(std::move(*publication));
  auto publishing = parts_.topics.publish((*topic)->name, std::move(one));
  const auto results = co_await std::move(publishing);
  if (results.has_error()) co_return topic_fault(results.error());
  if (results->front().has_error()) co_return topic_fault(results->front().error());
  co_return sent_object(*results->front());
}

Sns::Answer Sns::publish_batch(Call call) {
  auto topic = topic_of(call.input, "TopicArn");
  if (topic.has_error()) co_return std::move(topic).error();
  const auto entries = objects_member(call.input, "PublishBatchRequestEntries");
  AWS_CO_TRY(check_batch(entries));
  std::vector<Publication> publications;
  std::vector<std::string> ids;
  json::array failed, successful;
  std::size_t bytes = 0;
  for (const auto* entry : entries) {
    auto publication = publication_of(*entry);
    std::string id = text_member(*entry, "Id");
    if (publication.has_error()) {
      failed.push_back(failed_entry(id, publication.error()));
      continue;
    }
    bytes += publication->message.size();
    publications.push_back(std::move(*publication));
    ids.push_back(std::move(id));
  }
  if (bytes > 262'144)
    co_return aws::Fault{"BatchRequestTooLong",
                         "The length of all the batch messages put together is more than the "
                         "limit."};
  auto publishing = parts_.topics.publish((*topic)->name, std::move(publications));
  const auto results = co_await std::move(publishing);
  if (results.has_error()) co_return topic_fault(results.error());
  for (std::size_t i = 0; i < results->size(); ++i) {
    if ((*results)[i].has_error()) {
      failed.push_back(failed_entry(ids[i], topic_fault((*results)[i].error())));
      continue;
    }
    json::object sent = sent_object(*(*results)[i]);
    sent["Id"] = ids[i];
    successful.push_back(std::move(sent));
  }
  co_return Object{{"Successful", std::move(successful)}, {"Failed", std::move(failed)}};
}

}  // namespace mayfly::dialects::sns
