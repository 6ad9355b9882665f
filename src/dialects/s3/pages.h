#pragma once
// What listings share: their parameters, and names as they want them.

#include <string>
#include <string_view>

#include "base/clock.h"
#include "buckets/types.h"
#include "dialects/s3/request.h"

namespace mayfly::dialects::s3 {

// prefix, delimiter, encoding-type, and how many: InvalidArgument names what is wrong.
struct PageRequest {
  buckets::ListQuery query;
  bool encoded = false;  // names are percent-encoded in the answer

  std::string name(std::string_view text) const;
};
aws::Outcome<PageRequest> page_request(const Request& request, std::string_view limit_name);
// A whole number of a parameter, or fallback when it is not there.
aws::Outcome<std::uint64_t> number_parameter(const Request& request, std::string_view name,
                                             std::uint64_t fallback);

inline std::string time_text(std::int64_t us) {
  return to_rfc3339(from_epoch_us(us));
}

}  // namespace mayfly::dialects::s3
