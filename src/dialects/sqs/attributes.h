#pragma once
// Internal: attributes of queues as SQS names them, in both directions. Pure.

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "aws/service.h"
#include "queues/engine.h"

namespace mayfly::dialects::sqs {

// 1 to 80 of A-Z a-z 0-9 - _, .fifo allowed at the end.
bool is_queue_name(std::string_view name);

// The name in an ARN of a queue; empty when it is none.
std::string name_in_arn(std::string_view arn);

// Applies {"VisibilityTimeout":"30",...} to info. creating: FifoQueue may be named. The dead-letter
// queue of a RedrivePolicy is not looked up here.
aws::Outcome<void> apply_attributes(const boost::json::object& attributes, bool creating,
                                    queues::QueueInfo& info);

// What arn_of makes of names of queues of this server.
struct ArnForm {
  std::string prefix;  // "arn:aws:sqs:us-east-1:000000000000:"
};

// One attribute as text; nullopt when the queue has none of that name. counts are read only by
// ApproximateNumberOf...
std::optional<std::string> attribute_text(std::string_view name, const queues::QueueInfo& info,
                                          const queues::Counts& counts, const ArnForm& arns);
// Every name that GetQueueAttributes knows, in the order of its answers.
std::span<const std::string_view> attribute_names();

}  // namespace mayfly::dialects::sqs
