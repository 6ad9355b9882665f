#pragma once
// Reads one of the output pipes of an instance and passes it on line by line. Bounded: a line
// longer than kLineMax is passed on in pieces. On one loop only.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace mayfly::engine {

class LogPump : public std::enable_shared_from_this<LogPump> {
 public:
  using Sink = std::function<void(std::string_view line)>;  // without the newline
  static constexpr std::size_t kLineMax = 16 * 1024;

  LogPump(boost::asio::any_io_executor executor, os::Fd pipe, Sink sink);

  void open();
  // Takes what is in the pipe now, at most `limit` bytes, without waiting.
  void drain(std::size_t limit = 1u << 20);
  // drain(), the last unfinished line, and no more.
  void close();

 private:
  void wait_readable();
  // False when there is nothing more for now (or for good).
  bool read_some();
  void take(std::string_view text);

  boost::asio::posix::stream_descriptor pipe_;
  Sink sink_;
  std::string partial_;
  bool waiting_ = false;
};

// Calls sink for each line of text; used for log frames too. The last line needs no newline.
void split_lines(std::string_view text, const LogPump::Sink& sink);

}  // namespace mayfly::engine
