#include "server/calls.h"

#include <random>

#include "base/ids.h"

namespace mayfly::server {
namespace {

double random_unit() {
  std::uint64_t bits = 0;
  random_bytes({reinterpret_cast<std::uint8_t*>(&bits), sizeof bits});
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

triggers::AsyncCalls::Parts call_parts(Calls::Parts& parts) {
  functions::Catalogue* const catalogue = &parts.catalogue;
  engine::Dispatcher* const dispatcher = &parts.dispatcher;
  return {parts.loop,
          parts.queues,
          parts.store,
          parts.committer,
          parts.pool,
          parts.clock,
          parts.targets,
          [catalogue](const std::string& name, const std::string& qualifier) {
            return catalogue->find(name, qualifier);
          },
          [dispatcher](engine::Invocation invocation) {
            return dispatcher->invoke(std::move(invocation));
          },
          parts.settings.calls,
          parts.region,
          parts.account,
          parts.data_folder + "/calls",
          [catalogue](const std::string& name, const std::string& qualifier) {
            return functions::alias_async(catalogue->belongings(name), qualifier);
          }};
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
