#pragma once
// The typed errors of Lambda's API, worded as its own.

#include <string>
#include <string_view>

#include "aws/service.h"

namespace mayfly::dialects::lambda_api {

// 400 InvalidParameterValueException
aws::Fault invalid_parameter(std::string message);
// 400 ValidationException: "1 validation error detected: Value 'V' at 'member' failed ..."
aws::Fault validation(const std::string& value, std::string_view member, std::string_view rule);
// 404 ResourceNotFoundException
aws::Fault not_found(std::string message);
aws::Fault no_function(const std::string& arn);
// 409 ResourceConflictException
aws::Fault conflict(std::string message);
// 412 PreconditionFailedException
aws::Fault wrong_revision();
// 501 NotImplementedException: an operation that this server does not have
aws::Fault not_implemented(std::string_view operation);
// 429 TooManyRequestsException
aws::Fault too_many(std::string message, std::string_view reason, std::uint32_t retry_after_s);

// Members of operations that this server has, of things that it has not: named, they are refused,
// for a client that asks for them must not believe that it has them.
aws::Outcome<void> refuse_unserved(const boost::json::object& input);
// The form of a key's ARN, where input has one.
aws::Outcome<void> check_kms_key(const boost::json::object& input, std::string_view member);

// What a room below says of a request.
aws::Fault lambda_fault(const Error& error);

}  // namespace mayfly::dialects::lambda_api
