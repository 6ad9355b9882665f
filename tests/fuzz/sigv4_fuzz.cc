// link: mayfly_aws
#include <cstdlib>
#include <string_view>

#include "aws/sigv4.h"

// First line: the Authorization field; second: the target; the rest: X-Amz-Date.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = [&text] {
    const auto end = text.find('\n');
    const std::string_view taken = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return taken;
  };
  wire::RequestHead head;
  head.method = "POST";
  head.headers.add("Host", "h");
  head.headers.add("Authorization", line());
  head.target = line();
  head.headers.add("X-Amz-Date", text);
  const auto claim = aws::parse_claim(head);
  if (!claim) return 0;
  if (claim->date.size() != 8 || claim->access_key_id.empty()) std::abort();
  const std::string canonical = aws::canonical_request(head, *claim, "UNSIGNED-PAYLOAD");
  if (!canonical.ends_with("\nUNSIGNED-PAYLOAD")) std::abort();
  return 0;
}
