// link: mayfly_dialects
// What a handler may return as its HTTP answer: whatever is accepted can be sent as it is.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dialects/lambda/http_event.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto reply = dialects::lambda::read_v2_reply(text);
  if (reply.has_error()) {
    if (reply.error().message.rfind("its reply", 0) != 0) std::abort();
    return 0;
  }
  if (reply->head.status < 200 || reply->head.status > 599) std::abort();
  for (const auto field : reply->head.headers)
    if (!wire::is_token(field.name) || !wire::is_field_value(field.value)) std::abort();
  if (reply->more != nullptr) std::abort();
  return 0;
}
