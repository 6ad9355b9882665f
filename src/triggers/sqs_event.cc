#include "triggers/sqs_event.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/base64.h"
#include "base/ids.h"
#include "wire/http_message.h"
#include "wire/json_slices.h"

namespace mayfly::triggers {
namespace {

std::string md5_hex(std::string_view data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &size, EVP_md5(), nullptr) != 1) return "";
  std::string bytes(digest, digest + size);
  return to_hex(bytes);
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  if (out.back() != '{') out += ',';
  out.append("\"").append(name).append("\":");
  wire::append_json_string(out, value);
}

bool is_binary(const queues::MessageAttribute& attribute) {
  return attribute.type == "Binary" || attribute.type.starts_with("Binary.");
}

void append_attributes(std::string& out, const queues::Message& m, const EventOrigin& origin) {
  out += "\"attributes\":{";
  append_member(out, "ApproximateReceiveCount", std::to_string(m.receive_count));
  if (!m.trace_header.empty()) append_member(out, "AWSTraceHeader", m.trace_header);
  append_member(out, "SentTimestamp", std::to_string(to_epoch_ms(m.sent)));
  append_member(out, "SenderId", m.sender.empty() ? origin.account : m.sender);
  append_member(out, "ApproximateFirstReceiveTimestamp",
                std::to_string(to_epoch_ms(m.first_received)));
  if (origin.queue_arn.ends_with(".fifo"))
    append_member(out, "SequenceNumber", fmt::format("{:020}", m.sequence));
  if (!m.group.empty()) append_member(out, "MessageGroupId", m.group);
  if (!m.deduplication_id.empty()) append_member(out, "MessageDeduplicationId", m.deduplication_id);
  if (!m.dead_letter_source.empty()) {
    const auto colon = origin.queue_arn.rfind(':');
    append_member(out, "DeadLetterQueueSourceArn",
                  origin.queue_arn.substr(0, colon + 1) + m.dead_letter_source);
  }
  out += "},\"messageAttributes\":{";
  for (const auto& attribute : m.attributes) {
    if (out.back() != '{') out += ',';
    wire::append_json_string(out, attribute.name);
    out += ":{";
    if (is_binary(attribute)) {
      out += "\"binaryValue\":\"";
      append_base64(out, attribute.value);
      out += "\",";
    } else {
      out += "\"stringValue\":";
      wire::append_json_string(out, attribute.value);
      out += ',';
    }
    out += "\"stringListValues\":[],\"binaryListValues\":[],\"dataType\":";
    wire::append_json_string(out, attribute.type);
    out += '}';
  }
  out += '}';
}

// body: JSON text of it.
void append_record(std::string& out, const queues::Message& m, const EventOrigin& origin,
                   std::string_view body) {
  out += '{';
  append_member(out, "messageId", m.id);
  append_member(out, "receiptHandle", m.receipt);
  out.append(",\"body\":");
  if (body.empty())
    wire::append_json_string(out, m.body);
  else
    out.append(body);
  out += ',';
  append_attributes(out, m, origin);
  append_member(out, "md5OfBody", md5_hex(m.body));
  if (!m.attributes.empty())
    append_member(out, "md5OfMessageAttributes", attributes_md5(m.attributes));
  append_member(out, "eventSource", "aws:sqs");
  append_member(out, "eventSourceARN", origin.queue_arn);
  append_member(out, "awsRegion", origin.region);
  out += '}';
}

}  // namespace

std::size_t event_bytes(const queues::Message& message) {
  std::size_t bytes = 700 + message.body.size() + message.body.size() / 8;
  for (const auto& attribute : message.attributes)
    bytes += 100 + attribute.name.size() + attribute.value.size() * 4 / 3;
  return bytes;
}

std::string sqs_event(const std::vector<queues::Message>& messages,
                      const std::vector<std::size_t>& indices, const EventOrigin& origin) {
  std::size_t bytes = 32;
  for (const auto index : indices) bytes += event_bytes(messages[index]);
  std::string out;
  out.reserve(bytes);
  out += "{\"Records\":[";
  for (const auto index : indices) {
    if (out.back() != '[') out += ',';
    append_record(out, messages[index], origin, {});
  }
  out += "]}";
  return out;
}

std::string filter_view(const queues::Message& message, const EventOrigin& origin) {
  std::string out;
  const auto body = wire::check_json(message.body);
  append_record(out, message, origin, body.has_value() ? *body : std::string_view{});
  return out;
}

std::string attributes_md5(const std::vector<queues::MessageAttribute>& attributes) {
  if (attributes.empty()) return "";
  std::vector<const queues::MessageAttribute*> sorted;
  for (const auto& attribute : attributes) sorted.push_back(&attribute);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  std::string bytes;
  const auto append = [&bytes](std::string_view text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift & 0xff);
    bytes += text;
  };
  for (const auto* attribute : sorted) {
    append(attribute->name);
    append(attribute->type);
    bytes += is_binary(*attribute) ? '\x02' : '\x01';
    append(attribute->value);
  }
  return md5_hex(bytes);
}

}  // namespace mayfly::triggers
