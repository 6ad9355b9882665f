#pragma once
// Publish/subscribe: what is published to a topic goes to every subscription whose filter lets it
// through. A publication is answered once all of its messages are on disk together: those for
// queues in the queues, those for functions and webhooks as durable calls. Names, limits and rules
// are those of Amazon SNS (API version 2010-03-31). How: docs/decisions/0017-topics-and-buses.md.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "triggers/fanout.h"
#include "triggers/topic_types.h"

namespace mayfly::triggers {

// Settings topics.*.
struct TopicSettings {
  std::uint32_t message_bytes_max = 262'144;  // body and attributes
  std::uint32_t subscriptions_max = 10'000;   // of one topic
  std::uint32_t topics_max = 100'000;
  std::uint32_t webhook_retries = 10;  // unless the subscription's DeliveryPolicy says otherwise
  std::uint32_t deduplication_s = 300;
};

// Belongs to one loop; outlives its tasks.
class Topics {
 public:
  struct Parts {
    store::Store& store;
    queues::QueueEngine& queues;
    const Clock& clock;
    AddCall add_call;
    // Whether calls of the function are HTTP requests; then CloudEvents reach it in binary form.
    std::function<bool(const Target& function)> takes_http;
    std::function<std::string()> api_url;  // "http://127.0.0.1:8081", for URLs in messages
    std::string region, account;
    TopicSettings settings;
  };
  explicit Topics(Parts parts);
  ~Topics();

  // At start; blocks.
  Status open();

  // already_exists when there is one of this name with other settings; the same is ok.
  io::Task<Result<TopicPtr>> create(Topic topic);
  // Settings and tags; fifo cannot change. not_found.
  io::Task<Status> update(Topic topic);
  // With its subscriptions. Messages that are on their way arrive. not_found.
  io::Task<Status> remove(std::string name);
  TopicPtr find(const std::string& name) const;
  std::vector<TopicPtr> list() const;  // by name

  // Its id is chosen here. The same target once more is the same subscription; already_exists when
  // its settings differ. A webhook that is not confirmed is sent its token.
  io::Task<Result<SubscriptionPtr>> subscribe(Subscription subscription);
  // Settings; topic, target and confirmation stay. not_found.
  io::Task<Status> update_subscription(Subscription subscription);
  io::Task<Result<SubscriptionPtr>> confirm(std::string topic, std::string token);
  io::Task<Status> unsubscribe(std::string id);
  SubscriptionPtr find_subscription(const std::string& id) const;
  // By id; of one topic, or of all when topic is empty.
  std::vector<SubscriptionPtr> subscriptions(const std::string& topic) const;

  // One result for each, in order; durable. not_found (the topic), io_error and the like fail all.
  io::Task<Result<std::vector<Result<Published>>>> publish(std::string topic,
                                                           std::vector<Publication> publications);
  // For Targets: the body is the message, the attributes go along.
  io::Task<Status> deliver(Target target, Delivery delivery);

  std::string arn(const std::string& topic) const;
  std::string arn(const Subscription& subscription) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Names as SNS takes them: 1 to 256 of A-Z a-z 0-9 _ -, with .fifo behind for fifo topics.
Status check_topic_name(const std::string& name, bool fifo);

}  // namespace mayfly::triggers
