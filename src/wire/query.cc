#include "wire/query.h"

namespace mayfly::wire {

std::optional<QueryParameter> take_parameter(std::string_view& query) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    return QueryParameter{pair.substr(0, equals), equals == std::string_view::npos
                                                      ? std::string_view()
                                                      : pair.substr(equals + 1)};
  }
  return std::nullopt;
}

}  // namespace mayfly::wire
