#pragma once
// Internal: what topics.cc (what there is) and topic_publish.cc (what is sent) share.

#include <deque>
#include <set>
#include <unordered_map>

#include "triggers/patterns.h"
#include "triggers/topic_forms.h"
#include "triggers/topics.h"

namespace mayfly::triggers {

inline constexpr std::string_view kTopicPrefix = "topics/t/";         // name -> Topic
inline constexpr std::string_view kSubscriptionPrefix = "topics/s/";  // id -> Subscription
inline constexpr std::string_view kSeenPrefix = "topics/d/";          // topic/hash -> Seen

inline std::string topic_key(std::string_view name) {
  return std::string(kTopicPrefix).append(name);
}
inline std::string subscription_key(std::string_view id) {
  return std::string(kSubscriptionPrefix).append(id);
}

struct Subscriber {
  SubscriptionPtr info;
  std::optional<Pattern> filter;
};

// A message of a fifo topic that the same id stands for until it expires.
struct Seen {
  std::string message_id;
  std::uint64_t sequence = 0;
  std::int64_t time_us = 0;
};
std::string encode(const Seen& seen);
Result<Seen> decode_seen(std::string_view bytes);

struct TopicState {
  TopicPtr info;
  std::map<std::string, Subscriber> subscribers;  // by id
};

// A publication that has become part of a batch.
struct Planned {
  Published published;
  std::string seen_key;  // fifo
  Seen seen;
};

struct Topics::State {
  explicit State(Parts p) : parts(std::move(p)), fanout(parts.queues, parts.add_call) {}

  // topics.cc
  Status open();
  Status add(Subscription subscription);
  io::Task<Result<SubscriptionPtr>> subscribe(Subscription subscription);
  io::Task<Status> update_subscription(Subscription subscription);
  io::Task<Status> remove(std::string name);
  Status check(const Subscription& subscription, const Topic& topic) const;
  io::Task<Status> write(queues::Batch batch);
  std::string arn_of_topic(std::string_view name) const;
  std::string arn_of(const Subscription& subscription) const;

  // topic_publish.cc
  Status check(const Topic& topic, const Publication& publication) const;
  io::Task<Result<std::vector<Result<Published>>>> publish(std::string topic,
                                                           std::vector<Publication> publications);
  io::Task<Result<Published>> publish_fifo(std::string topic, Publication publication);
  io::Task<Result<Planned>> plan(queues::Batch* batch, std::string topic, Publication publication);
  Outgoing outgoing(const Subscription& subscription, const Publication& publication,
                    const Published& published, std::uint64_t sequence) const;
  io::Task<Status> add_confirmation(queues::Batch* batch, Subscription subscription);
  void remember(const std::string& key, const Seen& seen);
  using Forgotten = std::vector<std::pair<std::int64_t, std::string>>;
  Forgotten forget_expired(store::Transaction& transaction, const std::string& but);
  std::uint64_t next_sequence();
  std::int64_t now_us() const { return to_epoch_us(parts.clock.wall_now()); }

  Parts parts;
  Fanout fanout;
  std::map<std::string, TopicState> topics;
  std::unordered_map<std::string, std::string> topic_of;  // subscription id -> topic
  std::unordered_map<std::string, Seen> seen;             // by key
  std::deque<std::pair<std::int64_t, std::string>> seen_order;
  std::uint64_t last_sequence = 0;
};

}  // namespace mayfly::triggers
