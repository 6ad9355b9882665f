#pragma once
// What listings share: their parameters, and names as they want them.

#include <string>
#include <string_view>

#include "aws/xml.h"
#include "base/clock.h"
#include "buckets/types.h"
#include "dialects/s3/request.h"
#include "dialects/s3/xml_out.h"

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

inline void add_owner(XmlOut& out, const std::string& account) {
  out.open("Owner");
  out.add("ID", account);
  out.add("DisplayName", account);
  out.close("Owner");
}

// <TagSet> of a=1&b=2, and the same the other way round. MalformedXML, InvalidTag.
aws::Outcome<void> add_tags(XmlOut& out, std::string_view tags);
aws::Outcome<std::string> read_tags(const aws::XmlNode& root, std::size_t max);

inline std::string time_text(std::int64_t us) {
  return to_rfc3339(from_epoch_us(us));
}

}  // namespace mayfly::dialects::s3
