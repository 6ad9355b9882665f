#include "triggers/topics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "base/log.h"
#include "telemetry/bytes.h"
#include "triggers/topic_state.h"

namespace mayfly::triggers {
namespace {

constexpr std::size_t kTopicNameMax = 256;

Error no_topic(const std::string& name) {
  return Error{Code::not_found,
               fmt::format("There is no topic \"{}\"; `mayfly topic ls` lists them.", name)};
}

Error no_subscription(const std::string& id) {
  return Error{Code::not_found, fmt::format("There is no subscription \"{}\".", id)};
}

bool same_settings(const Topic& a, const Topic& b) {
  return a.fifo == b.fifo && a.content_deduplication == b.content_deduplication &&
         a.deduplicate_by_group == b.deduplicate_by_group && a.other == b.other;
}

bool same_settings(const Subscription& a, const Subscription& b) {
  return a.form == b.form && a.filter == b.filter && a.filter_on_body == b.filter_on_body &&
         a.dead_letter == b.dead_letter && a.retries == b.retries && a.other == b.other;
}

}  // namespace

Status check_topic_name(const std::string& name, bool fifo) {
  std::string_view stem = name;
  const bool suffix = stem.ends_with(".fifo");
  if (suffix) stem.remove_suffix(5);
  const bool good = !stem.empty() && name.size() <= kTopicNameMax &&
                    std::all_of(stem.begin(), stem.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '-' || c == '_';
                    });
  if (!good)
    return invalid(
        "The name of a topic has 1 to 256 of the characters A-Z a-z 0-9 - _, and .fifo behind "
        "them for a fifo topic.");
  if (fifo && !suffix) return invalid("The name of a fifo topic must end with .fifo.");
  if (!fifo && suffix) return invalid("Only the name of a fifo topic ends with .fifo.");
  return ok();
}

std::string Topics::State::arn_of_topic(std::string_view name) const {
  return fmt::format("arn:aws:sns:{}:{}:{}", parts.region, parts.account, name);
}

std::string Topics::State::arn_of(const Subscription& subscription) const {
  return arn_of_topic(subscription.topic) + ":" + subscription.id;
}

io::Task<Status> Topics::State::write(queues::Batch batch) {
  io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  co_return ok();
}

// In memory.
Status Topics::State::add(Subscription subscription) {
  const auto topic = topics.find(subscription.topic);
  if (topic == topics.end()) return no_topic(subscription.topic);
  Subscriber subscriber;
  if (!subscription.filter.empty()) {
    auto filter = Pattern::compile(subscription.filter);
    if (filter.has_error()) return filter.error();
    subscriber.filter = std::move(*filter);
  }
  topic_of[subscription.id] = subscription.topic;
  const std::string id = subscription.id;
  subscriber.info = std::make_shared<const Subscription>(std::move(subscription));
  topic->second.subscribers[id] = std::move(subscriber);
  return ok();
}

Status Topics::State::open() {
  Status failed = ok();
  const auto scan = [&](std::string_view prefix, const auto& take) -> Status {
    store::Store::Scan range;
    range.first = std::string(prefix);
    range.last = store::prefix_end(prefix);
    MAYFLY_TRY(parts.store.scan(range, [&](std::string_view key, std::string_view value) {
      failed = take(key, value);
      return !failed.has_error();
    }));
    return failed;
  };
  MAYFLY_TRY(scan(kTopicPrefix, [&](std::string_view, std::string_view value) -> Status {
    auto topic = decode_topic(value);
    if (topic.has_error()) return topic.error();
    const std::string name = topic->name;
    topics[name].info = std::make_shared<const Topic>(std::move(*topic));
    return ok();
  }));
  MAYFLY_TRY(scan(kSubscriptionPrefix, [&](std::string_view, std::string_view value) -> Status {
    auto subscription = decode_subscription(value);
    if (subscription.has_error()) return subscription.error();
    return add(std::move(*subscription));
  }));
  std::vector<std::pair<std::string, Seen>> known;
  MAYFLY_TRY(scan(kSeenPrefix, [&](std::string_view key, std::string_view value) -> Status {
    auto one = decode_seen(value);
    if (one.has_error()) return one.error();
    known.emplace_back(std::string(key), std::move(*one));
    return ok();
  }));
  std::sort(known.begin(), known.end(),
            [](const auto& a, const auto& b) { return a.second.time_us < b.second.time_us; });
  for (const auto& [key, one] : known) {
    last_sequence = std::max(last_sequence, one.sequence);
    remember(key, one);
  }
  return ok();
}

Status Topics::State::check(const Subscription& subscription, const Topic& topic) const {
  using Kind = Target::Kind;
  const Target& target = subscription.target;
  if (target.kind == Kind::topic || target.kind == Kind::bus)
    return invalid("A subscription's target is a function, a queue or an http(s) address.");
  const bool fifo_queue = target.kind == Kind::queue && target.name.ends_with(".fifo");
  if (topic.fifo && target.kind != Kind::queue)
    return invalid("Only queues can subscribe to a fifo topic: nothing else keeps the order.");
  if (!topic.fifo && fifo_queue) return invalid("A fifo queue can only subscribe to a fifo topic.");
  if (target.kind == Kind::queue && !parts.queues.find(target.name))
    return invalid(fmt::format("There is no queue \"{}\" to deliver to.", target.name));
  if (!subscription.filter.empty())
    if (auto filter = Pattern::compile(subscription.filter); filter.has_error())
      return invalid("The filter policy is not valid: " + filter.error().message);
  if (!subscription.dead_letter.empty()) {
    const auto letter = parse_target(subscription.dead_letter);
    if (letter.has_error()) return invalid("dead_letter: " + letter.error().message);
    if (letter->kind != Kind::queue) return invalid("dead_letter must be a queue.");
    if (!parts.queues.find(letter->name))
      return invalid(fmt::format("There is no queue \"{}\" for dead letters.", letter->name));
  }
  return ok();
}

Topics::Topics(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {}
Topics::~Topics() = default;

Status Topics::open() {
  return state_->open();
}

io::Task<Result<TopicPtr>> Topics::create(Topic topic) {
  MAYFLY_CO_TRY(check_topic_name(topic.name, topic.fifo));
  if (const auto there = find(topic.name)) {
    if (same_settings(*there, topic)) co_return there;
    co_return Error{Code::already_exists,
                    fmt::format("There is a topic \"{}\" with other settings.", topic.name)};
  }
  if (state_->topics.size() >= state_->parts.settings.topics_max)
    co_return Error{
        Code::resource_exhausted,
        fmt::format("There are {} topics already (setting topics.max).", state_->topics.size())};
  topic.created = state_->parts.clock.wall_now();
  queues::Batch batch;
  batch.also.require(topic_key(topic.name), std::nullopt);
  batch.also.put(topic_key(topic.name), encode(topic));
  io::Task<Status> writing = state_->write(std::move(batch));
  Status written = co_await std::move(writing);
  if (written.has_error() && written.error().code != Code::conflict) co_return written.error();
  if (written.has_error()) {  // made meanwhile
    const auto there = find(topic.name);
    if (there && same_settings(*there, topic)) co_return there;
    co_return Error{Code::already_exists,
                    fmt::format("There is a topic \"{}\" with other settings.", topic.name)};
  }
  auto made = std::make_shared<const Topic>(std::move(topic));
  state_->topics[made->name].info = made;
  co_return TopicPtr(made);
}

io::Task<Status> Topics::update(Topic topic) {
  const auto there = find(topic.name);
  if (!there) co_return no_topic(topic.name);
  if (there->fifo != topic.fifo) co_return invalid("FifoTopic cannot change.");
  topic.created = there->created;
  queues::Batch batch;
  batch.also.require(topic_key(topic.name), encode(*there));
  batch.also.put(topic_key(topic.name), encode(topic));
  io::Task<Status> writing = state_->write(std::move(batch));
  MAYFLY_CO_TRY(co_await std::move(writing));
  if (const auto found = state_->topics.find(topic.name); found != state_->topics.end())
    found->second.info = std::make_shared<const Topic>(std::move(topic));
  co_return ok();
}

io::Task<Status> Topics::State::remove(std::string name) {
  const auto found = topics.find(name);
  if (found == topics.end()) co_return no_topic(name);
  queues::Batch batch;
  batch.also.remove(topic_key(name));
  for (const auto& [id, subscriber] : found->second.subscribers)
    batch.also.remove(subscription_key(id));
  const std::string seen_prefix = std::string(kSeenPrefix) + name + "/";
  batch.also.delete_ranges.emplace_back(seen_prefix, store::prefix_end(seen_prefix));
  io::Task<Status> writing = write(std::move(batch));
  MAYFLY_CO_TRY(co_await std::move(writing));
  if (const auto gone = topics.find(name); gone != topics.end()) {
    for (const auto& [id, subscriber] : gone->second.subscribers) topic_of.erase(id);
    topics.erase(gone);
  }
  std::erase_if(seen, [&](const auto& one) { return one.first.starts_with(seen_prefix); });
  co_return ok();
}

io::Task<Status> Topics::remove(std::string name) {
  return state_->remove(std::move(name));
}

TopicPtr Topics::find(const std::string& name) const {
  const auto found = state_->topics.find(name);
  return found == state_->topics.end() ? nullptr : found->second.info;
}

std::vector<TopicPtr> Topics::list() const {
  std::vector<TopicPtr> topics;
  topics.reserve(state_->topics.size());
  for (const auto& [name, topic] : state_->topics) topics.push_back(topic.info);
  return topics;
}

io::Task<Result<SubscriptionPtr>> Topics::State::subscribe(Subscription subscription) {
  const auto found = topics.find(subscription.topic);
  if (found == topics.end()) co_return no_topic(subscription.topic);
  const TopicPtr topic = found->second.info;
  MAYFLY_CO_TRY(check(subscription, *topic));
  for (const auto& [id, subscriber] : found->second.subscribers) {
    if (subscriber.info->target != subscription.target) continue;
    if (same_settings(*subscriber.info, subscription)) co_return subscriber.info;
    co_return Error{Code::already_exists,
                    fmt::format("{} subscribes to topic \"{}\" already, with other settings.",
                                to_text(subscription.target), topic->name)};
  }
  if (found->second.subscribers.size() >= parts.settings.subscriptions_max)
    co_return Error{Code::resource_exhausted,
                    fmt::format("Topic \"{}\" has {} subscriptions already (setting "
                                "topics.subscriptions_max).",
                                topic->name, found->second.subscribers.size())};
  subscription.id = new_uuid();
  subscription.created = parts.clock.wall_now();
  if (subscription.target.kind != Target::Kind::webhook) subscription.confirmed = true;
  if (!subscription.confirmed) subscription.token = random_hex(32);
  queues::Batch batch;
  batch.also.require(topic_key(topic->name), encode(*topic));
  batch.also.put(subscription_key(subscription.id), encode(subscription));
  if (!subscription.confirmed) {
    io::Task<Status> adding = add_confirmation(&batch, subscription);
    MAYFLY_CO_TRY(co_await std::move(adding));
  }
  io::Task<Status> writing = write(std::move(batch));
  MAYFLY_CO_TRY(co_await std::move(writing));
  const std::string id = subscription.id;
  const std::string name = subscription.topic;
  MAYFLY_CO_TRY(add(std::move(subscription)));
  co_return topics[name].subscribers[id].info;
}

io::Task<Result<SubscriptionPtr>> Topics::subscribe(Subscription subscription) {
  return state_->subscribe(std::move(subscription));
}

io::Task<Status> Topics::State::update_subscription(Subscription subscription) {
  const auto at = topic_of.find(subscription.id);
  if (at == topic_of.end()) co_return no_subscription(subscription.id);
  auto& topic = topics.at(at->second);
  const SubscriptionPtr there = topic.subscribers.at(subscription.id).info;
  subscription.topic = there->topic;
  subscription.target = there->target;
  subscription.created = there->created;
  subscription.token = there->token;
  subscription.confirmed = there->confirmed || subscription.confirmed;
  MAYFLY_CO_TRY(check(subscription, *topic.info));
  queues::Batch batch;
  batch.also.require(subscription_key(subscription.id), encode(*there));
  batch.also.put(subscription_key(subscription.id), encode(subscription));
  io::Task<Status> writing = write(std::move(batch));
  MAYFLY_CO_TRY(co_await std::move(writing));
  if (!topic_of.contains(subscription.id)) co_return ok();  // its topic is gone meanwhile
  co_return add(std::move(subscription));
}

io::Task<Status> Topics::update_subscription(Subscription subscription) {
  return state_->update_subscription(std::move(subscription));
}

io::Task<Result<SubscriptionPtr>> Topics::confirm(std::string topic, std::string token) {
  const auto found = state_->topics.find(topic);
  if (found == state_->topics.end()) co_return no_topic(topic);
  for (const auto& [id, subscriber] : found->second.subscribers) {
    if (token.empty() || subscriber.info->token != token) continue;
    Subscription confirmed = *subscriber.info;
    confirmed.confirmed = true;
    const std::string key = id;
    io::Task<Status> updating = state_->update_subscription(std::move(confirmed));
    MAYFLY_CO_TRY(co_await std::move(updating));
    auto now = find_subscription(key);
    if (!now) co_return no_subscription(key);
    co_return now;
  }
  co_return invalid("The token belongs to no subscription of this topic.");
}

io::Task<Status> Topics::unsubscribe(std::string id) {
  const auto at = state_->topic_of.find(id);
  if (at == state_->topic_of.end()) co_return no_subscription(id);
  const std::string topic = at->second;
  queues::Batch batch;
  batch.also.remove(subscription_key(id));
  io::Task<Status> writing = state_->write(std::move(batch));
  MAYFLY_CO_TRY(co_await std::move(writing));
  state_->topic_of.erase(id);
  if (const auto found = state_->topics.find(topic); found != state_->topics.end())
    found->second.subscribers.erase(id);
  co_return ok();
}

SubscriptionPtr Topics::find_subscription(const std::string& id) const {
  const auto at = state_->topic_of.find(id);
  return at == state_->topic_of.end() ? nullptr
                                      : state_->topics.at(at->second).subscribers.at(id).info;
}

std::vector<SubscriptionPtr> Topics::subscriptions(const std::string& topic) const {
  std::vector<SubscriptionPtr> out;
  for (const auto& [name, one] : state_->topics) {
    if (!topic.empty() && name != topic) continue;
    for (const auto& [id, subscriber] : one.subscribers) out.push_back(subscriber.info);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return out;
}

std::string Topics::arn(const std::string& topic) const {
  return state_->arn_of_topic(topic);
}
std::string Topics::arn(const Subscription& subscription) const {
  return state_->arn_of(subscription);
}

io::Task<Result<std::vector<Result<Published>>>> Topics::publish(
    std::string topic, std::vector<Publication> publications) {
  return state_->publish(std::move(topic), std::move(publications));
}

}  // namespace mayfly::triggers
