#include "triggers/topic_forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.h"

namespace mayfly::triggers {

namespace json = boost::json;

namespace {

// "Number.int" is a Number.
std::string_view base_type(std::string_view type) {
  return type == "String.Array" ? type : type.substr(0, type.find('.'));
}

json::object attributes_json(const std::vector<queues::MessageAttribute>& attributes) {
  json::object out;
  for (const auto& attribute : attributes) {
    std::string value = attribute.value;
    if (base_type(attribute.type) == "Binary") {
      value.clear();
      append_base64(value, attribute.value);
    }
    out[attribute.name] = json::object{{"Type", attribute.type}, {"Value", value}};
  }
  return out;
}

json::value filter_value(const queues::MessageAttribute& attribute) {
  const std::string_view type = base_type(attribute.type);
  if (type == "Number" || type == "String.Array") {
    boost::system::error_code failed;
    json::value value = json::parse(attribute.value, failed);
    if (!failed && (type == "Number" ? value.is_number() : value.is_array())) return value;
  }
  return json::value(attribute.value);
}

// The members that both of SNS's forms share, in its order; url and cert are spelled differently.
json::object common_members(const Notification& n, std::string_view type) {
  json::object out;
  out["Type"] = type;
  out["MessageId"] = n.message_id;
  if (n.sequence != 0) out["SequenceNumber"] = sequence_text(n.sequence);
  out["TopicArn"] = n.topic_arn;
  if (!n.publication->subject.empty()) out["Subject"] = n.publication->subject;
  out["Message"] = n.message;
  out["Timestamp"] = to_rfc3339(n.time);
  out["SignatureVersion"] = "0";
  out["Signature"] = kSignature;
  return out;
}

}  // namespace

std::string sequence_text(std::uint64_t sequence) {
  return fmt::format("{:020}", sequence);
}

std::string envelope_json(const Notification& n) {
  json::object out = common_members(n, "Notification");
  out["SigningCertURL"] = "";
  out["UnsubscribeURL"] = n.unsubscribe_url;
  if (!n.publication->attributes.empty())
    out["MessageAttributes"] = attributes_json(n.publication->attributes);
  return json::serialize(out);
}

std::string lambda_event_json(const Notification& n) {
  json::object sns = common_members(n, "Notification");
  if (!sns.contains("Subject")) sns["Subject"] = nullptr;
  sns["SigningCertUrl"] = "";
  sns["UnsubscribeUrl"] = n.unsubscribe_url;
  sns["MessageAttributes"] = attributes_json(n.publication->attributes);
  json::object record;
  record["EventSource"] = "aws:sns";
  record["EventVersion"] = "1.0";
  record["EventSubscriptionArn"] = n.subscription_arn;
  record["Sns"] = std::move(sns);
  json::array records;
  records.push_back(std::move(record));
  return json::serialize(json::object{{"Records", std::move(records)}});
}

std::string confirmation_json(const Notification& n, std::string_view token,
                              std::string_view subscribe_url) {
  json::object out = common_members(n, "SubscriptionConfirmation");
  out["Token"] = token;
  out["SubscribeURL"] = subscribe_url;
  out["SigningCertURL"] = "";
  return json::serialize(out);
}

CloudEvent cloud_event_of(const Notification& n) {
  if (n.publication->event) return *n.publication->event;
  CloudEvent event;
  event.id = n.message_id;
  event.source = n.topic_arn;
  event.type = std::string(kTopicMessageType);
  event.subject = n.publication->subject;
  event.time = to_rfc3339(n.time);
  event.data = std::string(n.message);
  event.has_data = true;
  boost::system::error_code failed;
  const json::value parsed = json::parse(n.message, failed);
  event.data_content_type = failed ? "text/plain; charset=utf-8" : "application/json";
  if (n.sequence != 0) event.extensions["sequence"] = sequence_text(n.sequence);
  for (const auto& attribute : n.publication->attributes) {
    const bool fits =
        !attribute.name.empty() && attribute.name.size() <= 20 && attribute.name != "data" &&
        std::all_of(attribute.name.begin(), attribute.name.end(),
                    [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
    static constexpr std::string_view kTaken[] = {
        "id",   "source",          "type",       "specversion", "subject",
        "time", "datacontenttype", "dataschema", "sequence"};
    if (fits && base_type(attribute.type) != "Binary" &&
        std::find(std::begin(kTaken), std::end(kTaken), attribute.name) == std::end(kTaken))
      event.extensions[attribute.name] = attribute.value;
  }
  return event;
}

json::value filter_view(const Publication& publication) {
  json::object out;
  for (const auto& attribute : publication.attributes)
    if (base_type(attribute.type) != "Binary") out[attribute.name] = filter_value(attribute);
  if (publication.event) {
    for (const auto& [name, value] : binary_event_headers(*publication.event)) out[name] = value;
    // As they are, not as headers encode them.
    out["ce-id"] = publication.event->id;
    out["ce-source"] = publication.event->source;
    out["ce-type"] = publication.event->type;
    if (!publication.event->subject.empty()) out["ce-subject"] = publication.event->subject;
  }
  return out;
}

}  // namespace mayfly::triggers
