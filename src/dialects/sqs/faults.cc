#include "dialects/sqs/faults.h"

namespace mayfly::dialects::sqs {

using aws::Fault;

Fault prefixed(std::string code, std::string message, int status) {
  std::string older = "AWS.SimpleQueueService." + code;
  return {std::move(code), std::move(message), status, std::move(older)};
}

Fault no_such_queue() {
  return {"QueueDoesNotExist", "The specified queue does not exist.", 400,
          "AWS.SimpleQueueService.NonExistentQueue"};
}

Fault invalid_parameter(std::string message) {
  return {"InvalidParameterValue", std::move(message)};
}

Fault bad_value(std::string_view parameter, std::string_view value, std::string_view reason) {
  std::string message = "Value ";
  message.append(value).append(" for parameter ").append(parameter);
  message.append(" is invalid. Reason: ").append(reason);
  return invalid_parameter(std::move(message));
}

Fault missing_parameter(std::string_view name) {
  return {"MissingParameter", "The request must contain the parameter " + std::string(name) + "."};
}

Fault unknown_attribute(std::string_view name) {
  return {"InvalidAttributeName", "Unknown Attribute " + std::string(name) + "."};
}

Fault bad_attribute(std::string_view name, std::string_view value) {
  return {"InvalidAttributeValue",
          "Invalid value for the parameter " + std::string(name) + ": " + std::string(value) + "."};
}

Fault bad_receipt(std::string_view receipt) {
  return {"ReceiptHandleIsInvalid", "The input receipt handle \"" +
                                        std::string(receipt.substr(0, 1024)) +
                                        "\" is not a valid receipt handle."};
}

Fault no_such_resource(std::string message) {
  return {"ResourceNotFoundException", std::move(message), 404};
}

Fault engine_fault(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return no_such_queue();
    case Code::too_large:
      return invalid_parameter("One or more parameters are invalid. Reason: " + error.message);
    case Code::already_exists:
      return {"QueueNameExists", error.message, 400, "QueueAlreadyExists"};
    case Code::resource_exhausted:
      return {"OverLimit", error.message, 403};
    default:
      return aws::fault_of(error);
  }
}

}  // namespace mayfly::dialects::sqs
