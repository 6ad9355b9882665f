#pragma once
// Which requests are for the address of one function (/url/ID, or the host ID.lambda-url.REGION...)
// and how they are refused. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "gateway/identity.h"

namespace mayfly::gateway {

struct UrlAddress {
  std::string id;
  std::string base;  // taken off the path: "/url/ID", "" when the host names the function
  std::string path;  // what is left, percent-encoded; begins with /
};
std::optional<UrlAddress> url_address(const wire::RequestHead& head);

// {"Message":"..."} with x-amzn-ErrorType, as function URLs refuse.
io::HttpResponse url_refusal(int status, std::string_view type, std::string_view message);

}  // namespace mayfly::gateway
