// link: mayfly_dialects
// What a program may send to the Runtime API: paths, preludes of HTTP answers, errors. A head that
// is accepted can be sent; an error always comes out as an object with errorType and errorMessage.
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <string_view>

#include "dialects/lambda/http_event.h"
#include "dialects/lambda/runtime_api_syntax.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  using dialects::lambda::RuntimeApiCall;
  const std::string text(reinterpret_cast<const char*>(data), size);

  for (const auto& path : {text, "/2018-06-01/" + text, "/2018-06-01/runtime/invocation/" + text}) {
    const auto call = dialects::lambda::split_runtime_api_path(path);
    const bool has_id =
        call.kind == RuntimeApiCall::Kind::response || call.kind == RuntimeApiCall::Kind::error;
    if (has_id != !call.id.empty() || call.id.find('/') != std::string_view::npos) std::abort();
  }

  const auto mark = dialects::lambda::find_prelude_end(text);
  for (std::size_t seen = 0; seen <= size && seen < 64; ++seen) {
    const bool early = dialects::lambda::find_prelude_end(text.substr(0, seen)).has_value();
    if (!early && dialects::lambda::find_prelude_end(text, seen) != mark) std::abort();
  }
  const auto head =
      dialects::lambda::read_v2_prelude(std::string_view(text).substr(0, mark.value_or(size)));
  if (head.has_value() && !wire::decode_response_head(wire::encode_response_head(*head)))
    std::abort();

  const std::string json = dialects::lambda::error_object(text, text.substr(0, 40));
  boost::system::error_code ec;
  const auto error = boost::json::parse(json, ec);
  if (ec || !error.is_object() || !error.get_object().contains("errorType") ||
      !error.get_object().contains("errorMessage"))
    std::abort();
  return 0;
}
