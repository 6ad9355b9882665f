#pragma once
// Internal: the typed errors of SQS, each under its name in JSON and in the query protocol.

#include <string>

#include "aws/service.h"

namespace mayfly::dialects::sqs {

aws::Fault no_such_queue();
aws::Fault bad_value(std::string_view parameter, std::string_view value, std::string_view reason);
aws::Fault invalid_parameter(std::string message);
aws::Fault missing_parameter(std::string_view name);
aws::Fault unknown_attribute(std::string_view name);
aws::Fault bad_attribute(std::string_view name, std::string_view value);
aws::Fault bad_receipt(std::string_view receipt);
// code with the prefix that older clients know: AWS.SimpleQueueService.CODE.
aws::Fault prefixed(std::string code, std::string message, int status = 400);
aws::Fault no_such_resource(std::string message);

// What an engine says, for operations on a queue.
aws::Fault engine_fault(const Error& error);

}  // namespace mayfly::dialects::sqs
