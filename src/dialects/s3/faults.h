#pragma once
// Refusals under the codes and statuses of S3, and how they travel.

#include <string>
#include <string_view>

#include "aws/service.h"
#include "buckets/types.h"

namespace mayfly::dialects::s3 {

struct Request;

aws::Fault invalid_argument(std::string message);
aws::Fault invalid_request(std::string message);
aws::Fault malformed_xml(std::string why);
aws::Fault not_implemented(std::string what);
aws::Fault no_versions();
aws::Fault fault_of(const buckets::Failure& failure);

// <Error>...; no body where HTTP wants none.
io::HttpResponse fault_response(const aws::Fault& fault, std::string_view resource,
                                std::string_view request_id);

}  // namespace mayfly::dialects::s3
