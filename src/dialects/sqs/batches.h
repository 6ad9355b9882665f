#pragma once
// Internal: what the three batch operations share. Pure.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string_view>
#include <vector>

#include "aws/service.h"

namespace mayfly::dialects::sqs {

// Entries of input with their ids checked: at least one, at most ten, ids of their own.
aws::Outcome<std::vector<const boost::json::object*>> batch_entries(
    const boost::json::object& input, std::string_view entry_name);

class BatchAnswer {
 public:
  void succeed(boost::json::object entry);
  void fail(std::string_view id, const aws::Fault& fault);
  boost::json::object take();

 private:
  boost::json::array successful_, failed_;
};

}  // namespace mayfly::dialects::sqs
