#pragma once
// One loop beside the server's first: a thread with an engine, a spawner and a gateway of its own,
// which answers plain calls of one function at a time. It shares with the first loop what knows no
// loop (telemetry, metrics, runtimes, versions) and sends back there whatever else a connection
// asks for.
//
// Every call from the first loop's thread, unless it says otherwise.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/dispatcher.h"
#include "io/http_server.h"
#include "sandbox/sandbox.h"
#include "server/settings.h"

namespace mayfly::server {

// What a loop says of itself, ten times a second while it serves a function.
struct SideReport {
  engine::Beside beside;
  double busy = 0;  // share of its time that it ran
};

class SideLoop {
 public:
  struct Parts {
    boost::asio::io_context& home;  // the first loop
    sandbox::Spawner& spawner;      // of this loop alone
    telemetry::Telemetry& telemetry;
    telemetry::Metrics& metrics;
    const Clock& clock;
    const functions::RuntimeTable& runtimes;
    engine::EngineSettings engine;
    io::HttpServerOptions http;
    std::uint32_t poll_us = 0;
    engine::FunctionServices& services;  // of the first loop
    engine::ServicesDoor& door;
    std::function<void(SideReport)> report;  // called on the first loop
  };
  // Starts the thread. home_server: where the connections come from and go back to.
  SideLoop(Parts parts, io::HttpServer& home_server);
  ~SideLoop();  // after stop()

  // Prepares an instance of a version, of so many at most. Its requests are answered from open()
  // on; those that are read after close() are not. After retire() its instances end when they are
  // idle.
  void prepare(functions::VersionPtr version, std::uint32_t instances);
  void open();
  void close();
  void retire();

  // For a connection that is to come here.
  io::HttpServer& port();

  // Running calls have grace to finish. Total.
  io::Task<void> stop(std::chrono::milliseconds grace);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mayfly::server
