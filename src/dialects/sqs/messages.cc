#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <set>

#include "aws/digest.h"
#include "aws/session.h"
#include "dialects/sqs/batches.h"
#include "dialects/sqs/message_attributes.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Call;
using aws::Fault;
using aws::Outcome;
using queues::NewMessage;
using queues::QueueInfo;

namespace {

constexpr std::uint32_t kDelayMax = 900;
constexpr std::uint32_t kVisibilityMax = 43'200;
constexpr std::size_t kBatchBytesMax = 1'048'576;

// What the client is told about a message beside its id.
struct Digests {
  std::string body, attributes, system;
};

bool is_id(std::string_view text) {  // group, deduplication, attempt
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Outcome<void> read_ids(const json::object& input, const QueueInfo& queue, NewMessage& message) {
  constexpr std::string_view kAllowed =
      "can only include alphanumeric and punctuation characters. 1 to 128 in length.";
  const std::string_view group = text_of(input, "MessageGroupId");
  const std::string_view id = text_of(input, "MessageDeduplicationId");
  const bool fifo = queue.settings.fifo;
  if (input.contains("MessageGroupId") && !is_id(group))
    return bad_value("MessageGroupId", group.substr(0, 256), kAllowed);
  if (input.contains("MessageDeduplicationId")) {
    if (!fifo)
      return bad_value("MessageDeduplicationId", id.substr(0, 256),
                       "The request includes a parameter that is not valid for this queue type.");
    if (!is_id(id)) return bad_value("MessageDeduplicationId", id.substr(0, 256), kAllowed);
  }
  if (fifo && group.empty()) return missing_parameter("MessageGroupId");
  if (fifo && id.empty() && !queue.settings.content_deduplication)
    return invalid_parameter(
        "The queue should either have ContentBasedDeduplication enabled or "
        "MessageDeduplicationId provided explicitly");
  message.group = group;
  message.deduplication_id = id;
  return {};
}

Outcome<void> read_delay(const json::object& input, const QueueInfo& queue, NewMessage& message) {
  auto delay = number_in(input, "DelaySeconds", 0, kDelayMax);
  if (delay.has_error()) return std::move(delay).error();
  if (queue.settings.fifo && delay->value_or(0) > 0)
    return bad_value("DelaySeconds", std::to_string(**delay),
                     "The request include parameter that is not valid for this queue type.");
  if (!queue.settings.fifo) message.delay_s = *delay;
  return {};
}

Outcome<void> read_system(const json::object& map, NewMessage& message, Digests& digests) {
  auto attributes = read_attributes(map);
  // AWSTraceHeader begins with AWS, but not with "AWS.": the names' own check lets it pass.
  if (attributes.has_error()) return std::move(attributes).error();
  for (const auto& attribute : *attributes) {
    if (attribute.name != "AWSTraceHeader" || attribute.type != "String")
      return invalid_parameter("Message system attribute name '" + attribute.name +
                               "' is invalid: the only one is AWSTraceHeader, a String.");
    message.trace_header = attribute.value;
  }
  digests.system = attributes_md5(*attributes);
  return {};
}

Outcome<NewMessage> read_message(const json::object& input, const QueueInfo& queue,
                                 const std::string& sender, Digests& digests) {
  NewMessage message;
  const std::string_view body = text_of(input, "MessageBody");
  if (body.empty()) return missing_parameter("MessageBody");
  if (!is_message_text(body))
    return Fault{"InvalidMessageContents",
                 "Invalid characters found. Valid characters are #x9 | #xA | #xD | #x20 to #xD7FF "
                 "| #xE000 to #xFFFD | #x10000 to #x10FFFF."};
  AWS_TRY(read_delay(input, queue, message));
  AWS_TRY(read_ids(input, queue, message));
  std::size_t size = body.size();
  if (const json::value* map = input.if_contains("MessageAttributes"); map && map->is_object()) {
    auto attributes = read_attributes(map->get_object());
    if (attributes.has_error()) return std::move(attributes).error();
    message.attributes = std::move(*attributes);
    digests.attributes = attributes_md5(message.attributes);
    for (const auto& one : message.attributes)
      size += one.name.size() + one.type.size() + one.value.size();
  }
  if (const json::value* map = input.if_contains("MessageSystemAttributes");
      map && map->is_object())
    AWS_TRY(read_system(map->get_object(), message, digests));
  if (size > queue.settings.message_bytes_max)
    return invalid_parameter(fmt::format(
        "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
        queue.settings.message_bytes_max));
  message.body = body;
  message.sender = sender;
  digests.body = aws::hex_of(aws::md5(body));
  return message;
}

std::string sequence_text(std::uint64_t sequence) {
  return fmt::format("{:020}", sequence);
}

json::object sent_object(const queues::Sent& sent, const Digests& digests, bool fifo) {
  json::object object{{"MessageId", sent.message_id}, {"MD5OfMessageBody", digests.body}};
  if (!digests.attributes.empty()) object["MD5OfMessageAttributes"] = digests.attributes;
  if (!digests.system.empty()) object["MD5OfMessageSystemAttributes"] = digests.system;
  if (fifo) object["SequenceNumber"] = sequence_text(sent.sequence);
  return object;
}

std::size_t size_of(const NewMessage& message) {
  std::size_t size = message.body.size();
  for (const auto& one : message.attributes)
    size += one.name.size() + one.type.size() + one.value.size();
  return size;
}

constexpr std::string_view kSystemNames[] = {"SenderId",
                                             "SentTimestamp",
                                             "ApproximateReceiveCount",
                                             "ApproximateFirstReceiveTimestamp",
                                             "SequenceNumber",
                                             "MessageDeduplicationId",
                                             "MessageGroupId",
                                             "AWSTraceHeader",
                                             "DeadLetterQueueSourceArn"};

// The system attributes that a receive asks for, under either of the two parameters.
Outcome<std::set<std::string_view>> system_names(const json::object& input) {
  std::set<std::string_view> names;
  for (const auto parameter : {"AttributeNames", "MessageSystemAttributeNames"}) {
    for (const auto name : texts_of(input, parameter)) {
      if (name == "All")
        names.insert(std::begin(kSystemNames), std::end(kSystemNames));
      else if (std::find(std::begin(kSystemNames), std::end(kSystemNames), name) ==
               std::end(kSystemNames))
        return unknown_attribute(name);
      else
        names.insert(name);
    }
  }
  return names;
}

std::string system_text(std::string_view name, const queues::Message& message, bool fifo,
                        const std::string& arn_prefix) {
  if (name == "SenderId") return message.sender.empty() ? "anonymous" : message.sender;
  if (name == "SentTimestamp") return std::to_string(to_epoch_ms(message.sent));
  if (name == "ApproximateReceiveCount") return std::to_string(message.receive_count);
  if (name == "ApproximateFirstReceiveTimestamp")
    return std::to_string(to_epoch_ms(message.first_received));
  if (name == "SequenceNumber") return fifo ? sequence_text(message.sequence) : "";
  if (name == "MessageDeduplicationId") return message.deduplication_id;
  if (name == "MessageGroupId") return message.group;
  if (name == "AWSTraceHeader") return message.trace_header;
  return message.dead_letter_source.empty() ? "" : arn_prefix + message.dead_letter_source;
}

json::object message_object(const queues::Message& message, const std::set<std::string_view>& names,
                            const std::vector<std::string_view>& attributes, bool fifo,
                            const std::string& arn_prefix) {
  json::object object{{"MessageId", message.id},
                      {"ReceiptHandle", message.receipt},
                      {"MD5OfBody", aws::hex_of(aws::md5(message.body))},
                      {"Body", message.body}};
  json::object system;
  for (const auto name : names)
    if (std::string text = system_text(name, message, fifo, arn_prefix); !text.empty())
      system.emplace(name, std::move(text));
  if (!system.empty()) object["Attributes"] = std::move(system);
  const auto wanted = chosen(message.attributes, attributes);
  if (!wanted.empty()) {
    object["MD5OfMessageAttributes"] = attributes_md5(wanted);
    object["MessageAttributes"] = write_attributes(wanted);
  }
  return object;
}

const std::string& sender_of(const Call& call) {
  return call.session ? call.session->user_id() : call.access_key_id;
}

}  // namespace

io::Task<Outcome<json::object>> Sqs::send(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  Digests digests;
  auto message = read_message(call.input, **queue, sender_of(call), digests);
  if (message.has_error()) co_return std::move(message).error();
  std::vector<NewMessage> messages;
  messages.push_back(std::move(*message));
  auto sending = parts_.engine.send((*queue)->name, std::move(messages));
  const auto sent = co_await std::move(sending);
  if (sent.empty()) co_return engine_fault(Error{Code::internal, "the engine gave no result"});
  if (sent.front().has_error()) co_return engine_fault(sent.front().error());
  co_return sent_object(*sent.front(), digests, (*queue)->settings.fifo);
}

io::Task<Outcome<json::object>> Sqs::send_batch(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  auto entries = batch_entries(call.input, "SendMessageBatchRequestEntry");
  if (entries.has_error()) co_return std::move(entries).error();
  BatchAnswer answer;
  std::vector<NewMessage> messages;
  std::vector<std::pair<std::string, Digests>> told;  // id of the entry, for each message
  std::size_t bytes = 0;
  for (const json::object* entry : *entries) {
    Digests digests;
    auto message = read_message(*entry, **queue, sender_of(call), digests);
    if (message.has_error()) {
      answer.fail(text_of(*entry, "Id"), message.error());
      continue;
    }
    bytes += size_of(*message);
    messages.push_back(std::move(*message));
    told.emplace_back(text_of(*entry, "Id"), std::move(digests));
  }
  if (bytes > kBatchBytesMax)
    co_return prefixed("BatchRequestTooLong",
                       fmt::format("Batch requests cannot be longer than {} bytes. You have sent "
                                   "{} bytes.",
                                   kBatchBytesMax, bytes));
  if (messages.empty()) co_return answer.take();
  auto sending = parts_.engine.send((*queue)->name, std::move(messages));
  const auto results = co_await std::move(sending);
  for (std::size_t i = 0; i < results.size() && i < told.size(); ++i) {
    const auto& [id, digests] = told[i];
    if (results[i].has_error()) {
      answer.fail(id, engine_fault(results[i].error()));
      continue;
    }
    json::object sent = sent_object(*results[i], digests, (*queue)->settings.fifo);
    sent["Id"] = id;
    answer.succeed(std::move(sent));
  }
  co_return answer.take();
}

io::Task<Outcome<json::object>> Sqs::receive(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  auto max = number_in(call.input, "MaxNumberOfMessages", 1, 10);
  if (max.has_error()) co_return std::move(max).error();
  auto visibility = number_in(call.input, "VisibilityTimeout", 0, kVisibilityMax);
  if (visibility.has_error()) co_return std::move(visibility).error();
  auto wait = number_in(call.input, "WaitTimeSeconds", 0, 20);
  if (wait.has_error()) co_return std::move(wait).error();
  auto names = system_names(call.input);
  if (names.has_error()) co_return std::move(names).error();

  queues::ReceiveOptions options;
  options.max = max->value_or(1);
  options.visibility_s = *visibility;
  options.wait = seconds(wait->value_or((*queue)->settings.receive_wait_s));
  const std::string_view attempt = text_of(call.input, "ReceiveRequestAttemptId");
  if (!attempt.empty() && !is_id(attempt))
    co_return bad_value("ReceiveRequestAttemptId", attempt.substr(0, 256),
                        "Must be 1 to 128 alphanumeric and punctuation characters.");
  options.attempt_id = attempt;
  const bool fifo = (*queue)->settings.fifo;
  auto receiving = parts_.engine.receive((*queue)->name, std::move(options));
  const auto messages = co_await std::move(receiving);
  if (messages.has_error()) co_return engine_fault(messages.error());
  json::object answer;
  if (messages->empty()) co_return answer;
  const auto attributes = texts_of(call.input, "MessageAttributeNames");
  const std::string arn_prefix = arn_of("");
  json::array list;
  list.reserve(messages->size());
  for (const auto& message : *messages)
    list.push_back(message_object(message, *names, attributes, fifo, arn_prefix));
  answer["Messages"] = std::move(list);
  co_return answer;
}

}  // namespace mayfly::dialects::sqs
