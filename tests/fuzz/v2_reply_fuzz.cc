// link: mayfly_dialects
// What a handler may return as its HTTP answer, for events of both forms: whatever is accepted can
// be sent as it is.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dialects/lambda/http_event.h"

namespace {

using namespace mayfly;

void check_answer(const Result<io::HttpResponse>& reply) {
  if (reply.has_error()) {
    if (reply.error().message.rfind("its reply", 0) != 0) std::abort();
    return;
  }
  if (reply->head.status < 200 || reply->head.status > 599) std::abort();
  for (const auto field : reply->head.headers)
    if (!wire::is_token(field.name) || !wire::is_field_value(field.value)) std::abort();
  if (reply->more != nullptr) std::abort();
}

gateway::RouteMatch with_binary_types() {
  auto app = std::make_shared<functions::App>();
  app->api.binary = {"image/*", "application/pdf"};
  gateway::RouteMatch match;
  match.app = std::move(app);
  return match;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const gateway::RouteMatch plain, binary = with_binary_types();
  check_answer(dialects::lambda::read_v2_reply(text));
  check_answer(dialects::lambda::read_v1_reply(text, plain));
  check_answer(dialects::lambda::read_v1_reply(text, binary));
  return 0;
}
