#include "server/calls.h"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <thread>

#include "base/ids.h"
#include "os/cpu_meter.h"
#include "triggers/pace.h"

namespace mayfly::server {
namespace {

double random_unit() {
  std::uint64_t bits = 0;
  random_bytes({reinterpret_cast<std::uint8_t*>(&bits), sizeof bits});
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

// While somebody waits, and the cores or the loop that serves all have nothing left, calls of
// functions that compute have all cores but one. On the loop.
class BegunMost {
 public:
  BegunMost(functions::Catalogue& catalogue, engine::Dispatcher& dispatcher)
      : catalogue_(catalogue), dispatcher_(dispatcher) {}

  std::uint32_t operator()(const std::string& function, bool accepting) {
    const bool waits = accepting || dispatcher_.callers_wait();
    const auto now = std::chrono::steady_clock::now();
    if (!way_.update(std::min(cpu_.idle_share(now), loop_.idle_share(now)), waits)) {
      held_.clear();
      return UINT32_MAX;
    }
    if (held_.contains(function)) return beside_;
    const auto version = catalogue_.find(function, "");
    if (!version || !dispatcher_.takes_cpu(version)) return UINT32_MAX;
    held_.insert(function);
    return beside_;
  }

 private:
  functions::Catalogue& catalogue_;
  engine::Dispatcher& dispatcher_;
  const std::uint32_t beside_ = std::max(2u, std::thread::hardware_concurrency()) - 1;
  os::CpuMeter cpu_;
  os::ThreadMeter loop_;
  triggers::GiveWay way_;
  std::set<std::string> held_;  // those that took CPU time, before they were held back
};

triggers::AsyncCalls::Parts call_parts(Calls::Parts& parts) {
  functions::Catalogue* const catalogue = &parts.catalogue;
  engine::Dispatcher* const dispatcher = &parts.dispatcher;
  return {
      parts.loop,
      parts.queues,
      parts.store,
      parts.committer,
      parts.pool,
      parts.clock,
      parts.targets,
      [catalogue](const std::string& name, const std::string& qualifier) {
        return catalogue->find(name, qualifier);
      },
      [dispatcher](engine::Invocation&& invocation) {
        return dispatcher->invoke(std::move(invocation));
      },
      parts.settings.calls,
      parts.region,
      parts.account,
      parts.data_folder + "/calls",
      [catalogue](const std::string& name, const std::string& qualifier) {
        return functions::alias_async(catalogue->belongings(name), qualifier);
      },
      [most = std::make_shared<BegunMost>(*catalogue, *dispatcher)](
          const std::string& function, bool accepting) { return (*most)(function, accepting); }};
}

}  // namespace

Calls::Calls(Parts parts)
    : webhooks_(parts.loop, parts.pool, parts.settings.webhooks),
      calls_(call_parts(parts)),
      schedules_({parts.loop, parts.queues, parts.store, parts.committer, parts.clock, calls_,
                  parts.settings.schedules, parts.region, parts.account, random_unit}) {
  parts.targets.register_kind(triggers::Target::Kind::webhook,
                              [this](triggers::Target target, triggers::Delivery delivery) {
                                return webhooks_.deliver(std::move(target), std::move(delivery));
                              });
}

Status Calls::open() {
  MAYFLY_TRY(calls_.open());
  return schedules_.open();
}

void Calls::start() {
  calls_.start();
  schedules_.start();
}

io::Task<void> Calls::stop(milliseconds grace) {
  schedules_.stop();
  io::Task<void> stopping = calls_.stop(grace);
  co_await std::move(stopping);
}

}  // namespace mayfly::server
