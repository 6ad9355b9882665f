#pragma once
// Log lines as they are written, as a streamed body of ndjson: what `mayfly logs -f` reads.

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "io/body.h"
#include "telemetry/telemetry.h"

namespace mayfly::dialects::native {

// Lines wait here between the thread that adds them and the connection. Thread-safe. A client that
// reads too slowly loses lines (kQueueBytesMax), and is told how many.
class LogFeed : public std::enable_shared_from_this<LogFeed> {
 public:
  LogFeed(boost::asio::io_context& loop, std::string request_id);
  ~LogFeed();

  // Begins to collect; telemetry outlives the feed.
  void subscribe(telemetry::Telemetry& telemetry, const std::string& function);

  // The lines that a query returned in the meantime: those are not sent a second time. First call
  // of the reader's side; afterwards lines flow.
  void start_after(const std::vector<telemetry::LogLine>& sent);

  // The reader gets the end. Idempotent.
  void close();

  // Pull side: the next ndjson lines, a lone newline when nothing came for kHeartbeat (so that a
  // client that is gone is noticed), empty after close(). On the loop.
  io::Task<Result<std::string>> next();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// first, then everything of the feed.
io::BodyReaderPtr make_log_body(std::shared_ptr<LogFeed> feed);

}  // namespace mayfly::dialects::native
