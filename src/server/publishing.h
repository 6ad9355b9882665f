#pragma once
// The part of the server that is about topics and event buses, and the AWS services on them.

#include <functional>
#include <memory>
#include <string>

#include "aws/endpoint.h"
#include "dialects/eventbridge/eventbridge.h"
#include "dialects/scheduler/scheduler.h"
#include "dialects/sns/sns.h"
#include "functions/catalogue.h"
#include "server/calls.h"
#include "triggers/bucket_events.h"
#include "triggers/event_bus.h"
#include "triggers/topics.h"

namespace mayfly::server {

struct PublishingSettings {
  triggers::TopicSettings topics;
  triggers::EventSettings events;
};

// Everything in parts outlives it.
class Publishing {
 public:
  struct Parts {
    store::Store& store;
    queues::QueueEngine& queues;
    const Clock& clock;
    functions::Catalogue& catalogue;
    Calls& calls;
    triggers::Targets& targets;
    PublishingSettings settings;
    std::string region, account;
  };
  explicit Publishing(Parts parts);

  Status open();  // reads the store; blocks
  // Known once the ports are bound.
  void set_api_url(const std::string& url) { *api_url_ = url; }
  // Before the first request.
  void add_services(aws::Endpoint& endpoint);

  triggers::Topics& topics() { return topics_; }
  triggers::EventBuses& buses() { return buses_; }
  // For the buckets, which this outlives.
  std::function<io::Task<Status>(store::Transaction, std::vector<buckets::Happening>)> announce();
  std::function<Status(const std::string& target)> target_checks();

 private:
  std::shared_ptr<std::string> api_url_ = std::make_shared<std::string>();
  triggers::Topics topics_;
  triggers::EventBuses buses_;
  triggers::BucketEvents bucket_events_;
  queues::QueueEngine& queues_;
  functions::Catalogue& catalogue_;
  dialects::sns::Sns sns_;
  dialects::eventbridge::EventBridge eventbridge_;
  dialects::scheduler::Scheduler scheduler_;
};

}  // namespace mayfly::server
