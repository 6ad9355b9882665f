#pragma once
// Topics, their subscriptions and what is published: plain values and their stored forms.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queues/engine.h"
#include "triggers/cloud_event.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

struct Topic {
  std::string name;  // fifo: ends with .fifo
  bool fifo = false;
  bool content_deduplication = false;  // fifo: a message without an id is its own id (SHA-256)
  bool deduplicate_by_group = false;   // fifo: FifoThroughputScope MessageGroup
  // What dialects keep for their clients (DisplayName, Policy, DeliveryPolicy ...).
  std::map<std::string, std::string> other;
  std::map<std::string, std::string> tags;
  WallTime created{};
};
using TopicPtr = std::shared_ptr<const Topic>;

struct Subscription {
  enum class Form : std::uint8_t {
    envelope,     // SNS's JSON about the message; for functions Lambda's event
    raw,          // the message alone
    cloud_event,  // structured; webhooks, and functions that take HTTP: binary
  };
  std::string id;  // UUID
  std::string topic;
  Target target;  // function, queue or webhook
  Form form = Form::envelope;
  bool confirmed = true;  // webhooks get nothing but the request to confirm before
  std::string token;      // that confirms
  std::string filter;     // pattern (patterns.h); empty: every message
  bool filter_on_body = false;
  std::string dead_letter;               // target, as text
  std::optional<std::uint32_t> retries;  // functions, webhooks
  std::map<std::string, std::string> other;
  WallTime created{};
};
using SubscriptionPtr = std::shared_ptr<const Subscription>;

// What SNS calls it: sqs, lambda, http, https.
std::string_view protocol_of(const Target& target);
std::string_view form_name(Subscription::Form form);
std::optional<Subscription::Form> form_from_name(std::string_view name);

struct Publication {
  std::string message, subject;
  std::map<std::string, std::string> by_protocol;  // in place of message, for some protocols
  std::vector<queues::MessageAttribute> attributes;
  std::string group, deduplication_id;  // fifo
  std::string trace_id;
  std::optional<CloudEvent> event;  // what came as one; its data is the message
  std::uint32_t hops = 0;           // topics and buses that led here
};

struct Published {
  std::string message_id;
  std::uint64_t sequence = 0;  // fifo
  bool duplicate = false;      // of an earlier one, whose id this is
  std::uint32_t deliveries = 0;
};

std::string encode(const Topic& topic);
Result<Topic> decode_topic(std::string_view bytes);
std::string encode(const Subscription& subscription);
Result<Subscription> decode_subscription(std::string_view bytes);

}  // namespace mayfly::triggers
