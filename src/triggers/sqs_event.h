#pragma once
// The event that a function gets for messages of a queue: Lambda's, of an SQS queue (contracts of
// aws-lambda-go, events/sqs.go). Pure.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "queues/engine.h"

namespace mayfly::triggers {

struct EventOrigin {
  std::string queue_arn, region, account;
};

// {"Records":[...]} of the messages with these indices.
std::string sqs_event(const std::vector<queues::Message>& messages,
                      const std::vector<std::size_t>& indices, const EventOrigin& origin);

// What a filter sees: the record, with the body as JSON where it is JSON.
std::string filter_view(const queues::Message& message, const EventOrigin& origin);

// Bytes that a message takes of an event, roughly: for limits.
std::size_t event_bytes(const queues::Message& message);

// MD5 of message attributes as SQS defines it, hex; "" without attributes.
std::string attributes_md5(const std::vector<queues::MessageAttribute>& attributes);

}  // namespace mayfly::triggers
