#pragma once
// A body that arrives bit by bit, in either direction.

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/result.h"

namespace mayfly::io {

template <class T>
using Task = boost::asio::awaitable<T>;

// Pull side of a stream of bytes with back-pressure: the producer is held back until read() asks
// for more. Used on one event loop only. Destroying it before the end tells the producer that
// nobody wants the rest.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next bytes, as soon as there are any; an empty string is the end. An error means that the
  // body is cut off. After the end or an error, read() must not be called again.
  virtual Task<Result<std::string>> read() = 0;
};

using BodyReaderPtr = std::unique_ptr<BodyReader>;

// The whole body: first, then everything from more (may be null). too_large names limit_setting.
Task<Result<std::string>> read_all(std::string first, BodyReaderPtr more, std::size_t limit,
                                   std::string limit_setting);

}  // namespace mayfly::io
