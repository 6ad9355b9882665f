#pragma once
// Which function's calls are answered on which loop beside the first one, and when. A connection
// changes its loop between two requests; a function is spread only while the first loop is full and
// cores idle (spread.h), and only when nothing of it must be counted in one place.
//
// Belongs to the first loop.

#include <memory>
#include <vector>

#include "functions/catalogue.h"
#include "server/side_loop.h"
#include "server/spread.h"

namespace mayfly::server {

class SideLoops {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    functions::Catalogue& catalogue;
    engine::Dispatcher& dispatcher;  // of the first loop
    io::HttpServer& home_server;     // the gateway's port
    const Clock& clock;
    telemetry::Metrics::Gauge& serving;  // loops that answer calls, the first one with them
    SpreadSettings spread;
    SideLoop::Parts side;                     // of each, but for spawner and report
    std::vector<sandbox::Spawner*> spawners;  // one for each loop
  };
  // Steers the connections of the port from now on.
  explicit SideLoops(Parts parts);
  ~SideLoops();  // after stop()

  // Before the port is stopped: what is open on the loops ends, or comes back to it.
  io::Task<void> stop(std::chrono::milliseconds grace);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::server
