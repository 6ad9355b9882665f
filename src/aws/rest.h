#pragma once
// rest-json: operations are methods and paths; members travel in the path, the query, fields and
// the body. Pure; every byte of a request is hostile.

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/service.h"
#include "wire/http_message.h"

namespace mayfly::aws {

struct RestMatch {
  const Operation* operation = nullptr;
  std::vector<std::pair<std::string_view, std::string>> labels;  // decoded
};

// The operation of contract that method and path name; the one with the most fixed segments when
// several do. A slash at the end makes no difference.
std::optional<RestMatch> match_rest(const Contract& contract, std::string_view method,
                                    std::string_view path, std::string_view query = {});

Outcome<boost::json::object> read_rest(const RestMatch& match, const wire::RequestHead& head,
                                       std::string_view body, boost::json::storage_ptr memory = {});

struct RestAnswer {
  wire::ResponseHead head;
  std::string body;
};
RestAnswer write_rest(const Operation& operation, const boost::json::object& output);

}  // namespace mayfly::aws
