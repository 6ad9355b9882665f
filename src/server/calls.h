#pragma once
// The part of the server that turns happenings into invocations: async calls, deliveries and
// schedules, wired to queues, engine and catalogue.

#include "engine/dispatcher.h"
#include "functions/catalogue.h"
#include "queues/engine.h"
#include "store/committer.h"
#include "triggers/async_calls.h"
#include "triggers/schedules.h"
#include "triggers/targets.h"
#include "triggers/webhook.h"

namespace mayfly::server {

struct CallsSettings {
  triggers::CallSettings calls;
  triggers::ScheduleSettings schedules;
  triggers::WebhookSettings webhooks;
  std::uint32_t messages_beside_callers = 25;  // triggers.messages_beside_callers
};

// Everything in parts outlives it.
class Calls {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    queues::QueueEngine& queues;
    store::Store& store;
    store::Committer& committer;
    io::BlockingPool& pool;
    const Clock& clock;
    triggers::Targets& targets;
    functions::Catalogue& catalogue;
    engine::Dispatcher& dispatcher;
    CallsSettings settings;
    std::string region, account, data_folder;
  };
  explicit Calls(Parts parts);

  Status open();  // reads the store; blocks
  void start();
  // No tick and no call is begun any more; what runs has this long.
  io::Task<void> stop(milliseconds grace);

  triggers::AsyncCalls& calls() { return calls_; }
  triggers::Schedules& schedules() { return schedules_; }
  triggers::Webhooks& webhooks() { return webhooks_; }

 private:
  triggers::Webhooks webhooks_;
  triggers::AsyncCalls calls_;
  triggers::Schedules schedules_;
};

}  // namespace mayfly::server
