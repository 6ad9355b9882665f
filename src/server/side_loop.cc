#include "server/side_loop.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "gateway/gateway.h"
#include "gateway/plain_call.h"
#include "io/loop_thread.h"
#include "os/cpu_meter.h"
#include "os/time_slice.h"
#include "server/adapters.h"
#include "server/side_services.h"

namespace mayfly::server {
namespace {

namespace asio = boost::asio;

constexpr milliseconds kReportEvery{100};

}  // namespace

struct SideLoop::State {
  State(Parts p, io::HttpServer& home_server);

  void report_soon();
  io::HttpServer* steer(const wire::RequestHead& head);
  io::Task<void> end(milliseconds grace);
  gateway::GatewaySeams seams();

  Parts parts;
  io::HttpServer& home_server;
  io::LoopThread thread;
  asio::io_context& loop = thread.loop();
  // The preparation whose version it answers; 0: none. Written by the first loop, read for each
  // request; all else that requests touch is this loop's own, counts of references too.
  std::atomic<std::uint64_t> open = 0;
  std::uint64_t prepared = 0;  // the first loop's

  // The rest belongs to this loop.
  std::uint64_t serving = 0;
  functions::VersionPtr version;  // of that preparation
  // What requests were let in for: their handlers come after their bodies.
  std::map<std::string, functions::VersionPtr, std::less<>> seen;
  SideServices services;
  SideDoor door;
  std::unique_ptr<sandbox::Sandboxes> sandboxes;
  std::unique_ptr<Adapters> adapters;
  std::unique_ptr<engine::Dispatcher> dispatcher;
  std::unique_ptr<gateway::Gateway> gateway;
  std::unique_ptr<io::HttpServer> port;
  asio::steady_timer timer{loop};
  os::ThreadMeter meter;
  bool reporting = false;
};

SideLoop::State::State(Parts p, io::HttpServer& home)
    : parts(std::move(p)),
      home_server(home),
      services(parts.home, parts.services),
      door(parts.home, parts.door),
      sandboxes(parts.spawner.client(loop.get_executor())),
      adapters(make_adapters(parts.engine, parts.http.body_bytes_max)),
      dispatcher(std::make_unique<engine::Dispatcher>(engine::Dispatcher::Parts{
          loop,
          *sandboxes,
          parts.telemetry,
          parts.metrics,
          parts.clock,
          adapters->protocols(),
          parts.runtimes,
          parts.engine,
          &services,
          {},
          [this](const functions::Version& asked) { return &asked == version.get() ? 1u : 0u; },
          &door,
          true})),
      gateway(std::make_unique<gateway::Gateway>(seams())),
      port(std::make_unique<io::HttpServer>(loop, parts.http, [this](io::HttpRequest&& request) {
        return gateway->handle(std::move(request));
      })) {
  port->steer_by(
      [this](const wire::RequestHead& head, const io::ConnectionFacts&) { return steer(head); });
}

gateway::GatewaySeams SideLoop::State::seams() {
  return gateway::GatewaySeams{
      [this](std::string_view name) {
        const auto found = seen.find(name);
        return found == seen.end() ? nullptr : found->second;
      },
      [] { return std::vector<functions::App>(); },
      [] { return std::uint64_t{1}; },
      [this](functions::VersionPtr version) { return dispatcher->model_of(std::move(version)); },
      [this](engine::Invocation&& invocation) { return dispatcher->invoke(std::move(invocation)); },
      parts.metrics,
      adapters->event_dialect(),
      adapters->http_dialect()};
}

io::HttpServer* SideLoop::State::steer(const wire::RequestHead& head) {
  const auto name = gateway::plain_call(head);
  if (!name) return &home_server;
  if (!version || open.load(std::memory_order_acquire) != serving || version->function != *name)
    return &home_server;
  return nullptr;
}

void SideLoop::State::report_soon() {
  reporting = true;
  timer.expires_after(kReportEvery);
  timer.async_wait([this](const boost::system::error_code& failed) {
    if (failed) return;
    SideReport report;
    report.beside.pools = dispatcher->pools();
    for (const auto& pool : report.beside.pools)  // a call that came late has made one anew
      if (!version || pool.function != version->function || pool.revision != version->revision)
        dispatcher->retire(pool.function, pool.revision);
    report.beside.callers_wait = dispatcher->callers_wait();
    report.busy = 1 - meter.idle_share(parts.clock.steady_now());
    const bool idle = report.beside.pools.empty();
    asio::post(parts.home, [tell = parts.report, report = std::move(report)]() mutable {
      tell(std::move(report));
    });
    reporting = !idle;
    if (!idle) report_soon();
  });
}

io::Task<void> SideLoop::State::end(milliseconds grace) {
  const SteadyTime deadline = parts.clock.steady_now() + grace;
  co_await port->stop(grace);
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - parts.clock.steady_now());
  co_await dispatcher->stop(std::max(milliseconds(0), left));
  timer.cancel();
}

SideLoop::SideLoop(Parts parts, io::HttpServer& home_server)
    : state_(std::make_unique<State>(std::move(parts), home_server)) {
  state_->thread.start(
      [] {
        ignore(os::set_time_slice(0, os::kPlatformSlice),
               "it is slower then beside busy functions");
      },
      std::chrono::microseconds(state_->parts.poll_us));
}

SideLoop::~SideLoop() {
  state_->thread.stop();
}

void SideLoop::prepare(functions::VersionPtr version, std::uint32_t instances) {
  const auto serial = ++state_->prepared;
  asio::post(state_->loop, [state = state_.get(), version = std::move(version), instances, serial] {
    const std::uint64_t bytes = std::uint64_t{version->settings.memory_mb} << 20;
    state->version = std::make_shared<const functions::Version>(*version);
    state->serving = serial;
    if (state->port->connections() == 0) state->seen.clear();  // nothing was let in
    state->seen[version->function] = state->version;
    state->dispatcher->set_room(bytes * instances, instances);
    state->dispatcher->keep(state->version);
    if (!state->reporting) state->report_soon();
  });
}

void SideLoop::open() {
  state_->open.store(state_->prepared, std::memory_order_release);
}

void SideLoop::close() {
  state_->open.store(0, std::memory_order_release);
}

void SideLoop::retire() {
  asio::post(state_->loop, [state = state_.get()] {
    const auto version = std::move(state->version);
    if (!version) return;
    state->dispatcher->retire(version->function, version->revision);
    if (!state->reporting) state->report_soon();
  });
}

io::HttpServer& SideLoop::port() {
  return *state_->port;
}

io::Task<void> SideLoop::stop(milliseconds grace) {
  State* const state = state_.get();
  auto ending = asio::co_spawn(state->loop, state->end(grace), asio::use_awaitable);
  co_await std::move(ending);
  state->thread.stop();
}

}  // namespace mayfly::server
