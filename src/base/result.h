#pragma once
// Result<T>: an expected outcome that the caller must look at; the alternative to exceptions, which
// never cross a room or a coroutine on the data plane. Own bugs are assertions, not Results.

#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mayfly {

// What went wrong, in a form that callers can act on. Stable names: they appear in API replies
// (see code_name) and in docs/reference/errors.md.
enum class Code : int {
  invalid_argument = 1,  // the caller's input is wrong; the message names what and where
  not_found = 2,
  already_exists = 3,
  conflict = 4,            // a condition of the write did not hold
  unauthenticated = 5,     // no credential, or a wrong one
  permission_denied = 6,   // a credential that may not do this
  too_large = 7,           // over a limit; the message names the setting
  resource_exhausted = 8,  // no capacity now; try later
  deadline_exceeded = 9,   // took longer than allowed
  unavailable = 10,        // a part is stopping, starting or gone; try again
  unsupported = 11,        // valid, but not on this machine or not in this version
  function_error = 12,     // the user's code failed
  io_error = 13,           // disk, socket or kernel said no
  corrupt = 14,            // stored or received bytes break their format
  cancelled = 15,
  internal = 16,  // our bug
};

std::string_view code_name(Code code);

// True when the same request may succeed later without any change to it.
bool is_retryable(Code code);

struct Error {
  Code code = Code::internal;
  std::string message;  // a sentence for a person: what is wrong, where, what helps
  std::string step;     // where it happened, for example "open package" (may be empty)
  int sys_errno = 0;    // errno of the failed call, or 0

  // The message with step and errno text, for logs and terminals.
  std::string describe() const;
};

// Code::invalid_argument with the message.
Error invalid(std::string message);

// Builds an Error from errno as it stands now: message is "step: strerror".
Error errno_error(std::string_view step, int sys_errno);

// boost::system::result wants this to know what value() throws.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

template <class T>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
 public:
  using boost::system::result<T, Error>::result;
};

template <>
class [[nodiscard]] Result<void> : public boost::system::result<void, Error> {
 public:
  using boost::system::result<void, Error>::result;
  Result() = default;
};

using Status = Result<void>;

inline Status ok() {
  return Status();
}

// Says in the code that a failure does not matter here, and why.
template <class T>
void ignore(const Result<T>&, std::string_view /*why*/) {}

// MAYFLY_TRY(expr): returns the error of expr to the caller if it has one.
#define MAYFLY_TRY(expr)                                                \
  do {                                                                  \
    if (auto mayfly_try_result = (expr); mayfly_try_result.has_error()) \
      return std::move(mayfly_try_result).error();                      \
  } while (0)
#define MAYFLY_CO_TRY(expr)                                             \
  do {                                                                  \
    if (auto mayfly_try_result = (expr); mayfly_try_result.has_error()) \
      co_return std::move(mayfly_try_result).error();                   \
  } while (0)

}  // namespace mayfly
