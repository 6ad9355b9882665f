#include "base/result.h"

#include <boost/throw_exception.hpp>
#include <cstring>
#include <stdexcept>

namespace mayfly {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::not_found:
      return "not_found";
    case Code::already_exists:
      return "already_exists";
    case Code::conflict:
      return "conflict";
    case Code::unauthenticated:
      return "unauthenticated";
    case Code::permission_denied:
      return "permission_denied";
    case Code::too_large:
      return "too_large";
    case Code::resource_exhausted:
      return "resource_exhausted";
    case Code::deadline_exceeded:
      return "deadline_exceeded";
    case Code::unavailable:
      return "unavailable";
    case Code::unsupported:
      return "unsupported";
    case Code::function_error:
      return "function_error";
    case Code::io_error:
      return "io_error";
    case Code::corrupt:
      return "corrupt";
    case Code::cancelled:
      return "cancelled";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

bool is_retryable(Code code) {
  return code == Code::resource_exhausted || code == Code::unavailable ||
         code == Code::deadline_exceeded || code == Code::conflict;
}

std::string Error::describe() const {
  std::string text;
  if (!step.empty()) text += step + ": ";
  text += message;
  if (sys_errno != 0) {
    const char* reason = std::strerror(sys_errno);
    if (message.find(reason) == std::string::npos) text += std::string(" (") + reason + ")";
  }
  return text;
}

Error invalid(std::string message) {
  return Error{Code::invalid_argument, std::move(message)};
}

Error errno_error(std::string_view step, int sys_errno) {
  return Error{Code::io_error, std::strerror(sys_errno), std::string(step), sys_errno};
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  boost::throw_exception(std::runtime_error(error.describe()), where);
}

}  // namespace mayfly
