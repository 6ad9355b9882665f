#pragma once
// The bodies of JSON 1.0, JSON 1.1 and rest-json, checked and renamed by shapes. Pure.

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "aws/service.h"
#include "aws/shape.h"

namespace mayfly::aws {

// text as input of shape (a structure); an empty text is {}. Members that are null or unknown are
// dropped. SerializationException: no JSON object, or a value of another type.
Outcome<boost::json::object> read_json(const Shape& shape, std::string_view text,
                                       boost::json::storage_ptr memory = {});
Outcome<boost::json::value> from_wire(const Shape& shape, boost::json::value&& value,
                                      std::string_view where);

// The members of object that travel in the body, under their names on the wire.
std::string write_json(const Shape& shape, const boost::json::object& object);
boost::json::value to_wire(const Shape& shape, const boost::json::value& value);

// {"__type":...,"message":...} with the fault's details.
std::string write_json_fault(const Fault& fault, std::string_view prefix);

// MissingParameter or ValidationException when a required member of shape, at any depth, is not in
// object.
Outcome<void> check_required(const Shape& shape, const boost::json::object& object,
                             std::string_view code);

}  // namespace mayfly::aws
