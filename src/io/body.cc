#include "io/body.h"

namespace mayfly::io {
namespace {

Error over(std::size_t limit, const std::string& limit_setting) {
  return Error{Code::too_large,
               "The body is larger than the setting " + limit_setting + " allows (" +
                   std::to_string(limit) + " bytes).",
               "read body"};
}

}  // namespace

Task<Result<std::string>> read_all(std::string first, BodyReaderPtr more, std::size_t limit,
                                   std::string limit_setting) {
  if (first.size() > limit) co_return over(limit, limit_setting);
  while (more) {
    Result<std::string> piece = co_await more->read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    if (first.size() + piece->size() > limit) co_return over(limit, limit_setting);
    first += *piece;
  }
  co_return first;
}

}  // namespace mayfly::io
