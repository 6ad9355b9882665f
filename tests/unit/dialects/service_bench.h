#pragma once
// Asks a service of AWS's kind for one operation, past signatures and protocols.

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <functional>
#include <string>

#include "aws/json_body.h"
#include "aws/service.h"

namespace mayfly::dialects::testing {

using Object = boost::json::object;
using Array = boost::json::array;

class ServiceBench {
 public:
  // run sees a task through, on the loop of the service.
  using Run = std::function<aws::Outcome<Object>(io::Task<aws::Outcome<Object>>)>;
  // The service is looked up for each call: it may be made later than this.
  ServiceBench(std::function<aws::Service&()> service, Run run)
      : service_(std::move(service)), run_(std::move(run)) {}

  aws::Outcome<Object> ask(std::string_view name, const Object& input) {
    const aws::Operation* found = nullptr;
    aws::Service& service = service_();
    for (const auto& one : service.contract().operations)
      if (one.name == name) found = &one;
    if (found == nullptr) {
      ADD_FAILURE() << "no operation " << name;
      return aws::Fault{"Test", "no operation"};
    }
    auto read = aws::read_json(*found->input, boost::json::serialize(input));
    if (read.has_error()) return std::move(read).error();
    for (const auto& member : found->input->members)  // what travels in the path and the query
      if (const auto* value = input.if_contains(member.name);
          value != nullptr && member.place != aws::Place::body)
        (*read)[member.name] = *value;
    auto complete = aws::check_required(*found->input, *read, "MissingParameter");
    if (complete.has_error()) return std::move(complete).error();
    aws::Call call;
    call.operation = found;
    call.input = std::move(*read);
    call.access_key_id = "AKIATEST";
    call.region = "us-east-1";
    call.base_url = "http://here:1";
    return run_(service.call(std::move(call)));
  }

  Object ok(std::string_view name, const Object& input = {}) {
    auto outcome = ask(name, input);
    if (outcome.has_error()) {
      ADD_FAILURE() << name << ": " << outcome.error().code << " " << outcome.error().message;
      return {};
    }
    return *outcome;
  }

  // "404 NotFound", or "ok".
  std::string fault(std::string_view name, const Object& input = {}) {
    auto outcome = ask(name, input);
    if (!outcome.has_error()) return "ok";
    return std::to_string(outcome.error().status) + " " + outcome.error().code;
  }

 private:
  std::function<aws::Service&()> service_;
  Run run_;
};

inline std::string text(const Object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

inline std::size_t size(const Object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->get_array().size() : 0;
}

}  // namespace mayfly::dialects::testing
