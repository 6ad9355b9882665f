#pragma once
// A message of a topic in the forms that its subscribers want. Pure.

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "triggers/topic_types.h"

namespace mayfly::triggers {

// What the forms say. Views must outlive the calls.
struct Notification {
  std::string topic_arn, subscription_arn;
  std::string message_id;
  std::uint64_t sequence = 0;  // 0: not fifo
  std::string_view message;
  WallTime time;
  std::string unsubscribe_url;
  const Publication* publication = nullptr;
};

// SNS does sign its notifications, Mayfly does not: the fields are there and say so.
inline constexpr std::string_view kSignature = "unsigned: this server signs no notifications";

// SNS's JSON for queues and webhooks.
std::string envelope_json(const Notification& notification);
// Lambda's event for functions: {"Records":[{"EventSource":"aws:sns", ...}]}.
std::string lambda_event_json(const Notification& notification);
// What came as a CloudEvent is itself; anything else becomes one of type kTopicMessageType.
CloudEvent cloud_event_of(const Notification& notification);
inline constexpr std::string_view kTopicMessageType = "mayfly.topic.message";
// What a webhook is sent before it gets anything else.
std::string confirmation_json(const Notification& notification, std::string_view token,
                              std::string_view subscribe_url);

// What a filter on the attributes looks at: strings, numbers and lists by their names; of a
// CloudEvent also ce-id, ce-type ... Binary ones are left out.
boost::json::value filter_view(const Publication& publication);

// "00000000000000000042", as clients of SNS see sequence numbers.
std::string sequence_text(std::uint64_t sequence);

}  // namespace mayfly::triggers
