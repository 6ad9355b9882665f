#include "gateway/plain_call.h"

#include "gateway/async_door.h"
#include "gateway/function_urls.h"
#include "gateway/router.h"

namespace mayfly::gateway {

std::optional<std::string> plain_call(const wire::RequestHead& head) {
  FunctionPath parts;
  if (!split_function_path(head.path(), parts) || parts.async) return std::nullopt;
  if (parts.name.find(':') != std::string::npos || head.headers.contains("Upgrade"))
    return std::nullopt;
  if (async_wish(head, false).wanted || url_address(head)) return std::nullopt;
  return std::move(parts.name);
}

}  // namespace mayfly::gateway
