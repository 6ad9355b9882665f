// Rows in the store: "e/q/" and the id of the mapping; the value is a version byte and JSON.

#include "triggers/queue_trigger.h"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "base/ids.h"
#include "base/log.h"
#include "triggers/poller.h"

namespace mayfly::triggers {
namespace {

constexpr std::string_view kPrefix = "e/q/";
constexpr std::size_t kMappingsMax = 10'000;

std::string row_of(const std::string& id) {
  return std::string(kPrefix) + id;
}

Error no_such_trigger(const std::string& id) {
  return Error{Code::not_found, "There is no trigger \"" + id.substr(0, 200) +
                                    "\"; `mayfly trigger ls` lists them."};
}

}  // namespace

std::string_view state_name(TriggerStatus::State state) {
  switch (state) {
    case TriggerStatus::State::enabled:
      return "enabled";
    case TriggerStatus::State::disabled:
      return "disabled";
    case TriggerStatus::State::no_queue:
      return "no_queue";
    case TriggerStatus::State::no_function:
      return "no_function";
  }
  return "enabled";
}

SourcePtr QueueTriggers::State::find(const std::string& id) const {
  if (const auto found = sources.find(id); found != sources.end()) return found->second;
  for (const auto& [key, source] : sources)
    if (source->mapping->pair() == id) return source;
  return nullptr;
}

EventOrigin QueueTriggers::State::origin_of(const Mapping& mapping) const {
  const auto& settings = parts.settings;
  return {"arn:aws:sqs:" + settings.region + ":" + settings.account + ":" + mapping.queue,
          settings.region, settings.account};
}

const TriggerCounters& QueueTriggers::State::counters_of(Source& source) const {
  if (!source.counters)
    source.counters = std::make_shared<const TriggerCounters>(parts.metrics, *source.mapping);
  return *source.counters;
}

void QueueTriggers::State::adopt(Mapping mapping) {
  auto& source = sources[mapping.id];
  if (!source) source = std::make_shared<Source>();
  source->filters.clear();
  for (const auto& filter : mapping.filters) {
    auto compiled = Pattern::compile(filter);
    if (compiled.has_value()) source->filters.push_back(std::move(*compiled));
  }
  source->mapping = std::make_shared<const Mapping>(std::move(mapping));
  source->counters.reset();
  source->limit = std::max(source->limit, source->mapping->least_at_once());
  end(source->mapping->id);
  source->status.state =
      source->mapping->enabled ? TriggerStatus::State::enabled : TriggerStatus::State::disabled;
  if (started && !stopping && source->mapping->enabled) begin(source);
}

void QueueTriggers::State::begin(const SourcePtr& source) {
  const auto poller = std::make_shared<Poller>();
  poller->source = source;
  pollers[source->mapping->id] = poller;
  boost::asio::co_spawn(parts.loop, poll(shared_from_this(), poller),
                        boost::asio::bind_cancellation_slot(
                            poller->stop.slot(), [poller](const std::exception_ptr& failed) {
                              if (failed) log::error("the trigger of a queue broke off");
                            }));
}

void QueueTriggers::State::end(const std::string& id) {
  const auto found = pollers.find(id);
  if (found == pollers.end()) return;
  const auto poller = found->second;
  pollers.erase(found);
  poller->ended = true;
  poller->stop.emit(boost::asio::cancellation_type::terminal);
}

void QueueTriggers::State::batch_begins(const SourcePtr& source) {
  ++source->status.running;
  ++source->entering;
  ++running;
}

void QueueTriggers::State::batch_over(const SourcePtr& source) {
  --source->status.running;
  --running;
  source->room.wake();
  if (running == 0) drained.wake();
}

QueueTriggers::QueueTriggers(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {}

QueueTriggers::~QueueTriggers() {
  quiesce();
  state_->timers.stop();
}

Status QueueTriggers::load() {
  Status problem = ok();
  store::Store::Scan range;
  range.first = kPrefix;
  range.last = store::prefix_end(kPrefix);
  MAYFLY_TRY(state_->parts.store.scan(range, [&](std::string_view key, std::string_view value) {
    auto mapping = decode_mapping(value);
    if (mapping.has_error()) {
      problem = Error{Code::corrupt, mapping.error().message + " Its key is " + std::string(key)};
      return false;
    }
    state_->adopt(std::move(*mapping));
    return true;
  }));
  return problem;
}

void QueueTriggers::start() {
  state_->started = true;
  for (const auto& [id, source] : state_->sources)
    if (source->mapping->enabled) state_->begin(source);
}

io::Task<Result<Mapping>> QueueTriggers::create(Mapping mapping) {
  const auto state = state_;
  MAYFLY_CO_TRY(check_mapping(mapping));
  if (state->sources.size() >= kMappingsMax)
    co_return Error{Code::resource_exhausted, "There are 10000 triggers, and no more can be."};
  if (!state->parts.queues.find(mapping.queue))
    co_return Error{Code::not_found, "There is no queue \"" + mapping.queue + "\"."};
  if (!state->parts.runner.find(mapping.function, mapping.qualifier))
    co_return Error{Code::not_found, "There is no function \"" + mapping.qualified() + "\"."};
  if (const auto there = state->find(mapping.pair()))
    co_return Error{Code::already_exists, "The function \"" + mapping.qualified() +
                                              "\" handles the queue \"" + mapping.queue +
                                              "\" already: trigger " + there->mapping->id + "."};
  mapping.id = new_uuid();
  mapping.created_us = mapping.modified_us = to_epoch_us(state->parts.clock.wall_now());
  // Two at the same time for one pair: the second is refused.
  store::Transaction transaction;
  const std::string pair_row = "e/p/" + mapping.pair();
  transaction.require(pair_row, std::nullopt);
  transaction.put(pair_row, mapping.id);
  transaction.put(row_of(mapping.id), encode_mapping(mapping));
  auto committing =
      state->parts.committer.commit(std::move(transaction), store::Durability::synced);
  const Status committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  state->adopt(mapping);
  co_return mapping;
}

io::Task<Result<Mapping>> QueueTriggers::update(Mapping mapping) {
  const auto state = state_;
  MAYFLY_CO_TRY(check_mapping(mapping));
  const auto source = state->find(mapping.id);
  if (!source) co_return no_such_trigger(mapping.id);
  const auto before = source->mapping;
  if (before->queue != mapping.queue)
    co_return Error{Code::invalid_argument,
                    "The queue of a trigger cannot be changed: make another one."};
  mapping.id = before->id;
  mapping.created_us = before->created_us;
  mapping.modified_us = to_epoch_us(state->parts.clock.wall_now());
  store::Transaction transaction;
  transaction.require(row_of(mapping.id), encode_mapping(*before));
  transaction.put(row_of(mapping.id), encode_mapping(mapping));
  if (before->pair() != mapping.pair()) {
    transaction.require("e/p/" + mapping.pair(), std::nullopt);
    transaction.remove("e/p/" + before->pair());
    transaction.put("e/p/" + mapping.pair(), mapping.id);
  }
  auto committing =
      state->parts.committer.commit(std::move(transaction), store::Durability::synced);
  const Status committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  state->adopt(mapping);
  co_return mapping;
}

io::Task<Status> QueueTriggers::remove(std::string id) {
  const auto state = state_;
  const auto source = state->find(id);
  if (!source) co_return no_such_trigger(id);
  const auto mapping = source->mapping;
  store::Transaction transaction;
  transaction.remove(row_of(mapping->id));
  transaction.remove("e/p/" + mapping->pair());
  auto committing =
      state->parts.committer.commit(std::move(transaction), store::Durability::synced);
  const Status committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  source->removed = true;
  state->end(mapping->id);
  state->sources.erase(mapping->id);
  co_return ok();
}

std::optional<Mapping> QueueTriggers::find(const std::string& id) const {
  const auto source = state_->find(id);
  return source ? std::optional<Mapping>(*source->mapping) : std::nullopt;
}

std::vector<Mapping> QueueTriggers::list() const {
  std::vector<Mapping> mappings;
  mappings.reserve(state_->sources.size());
  for (const auto& [id, source] : state_->sources) mappings.push_back(*source->mapping);
  std::sort(mappings.begin(), mappings.end(),
            [](const Mapping& a, const Mapping& b) { return a.pair() < b.pair(); });
  return mappings;
}

TriggerStatus QueueTriggers::status(const std::string& id) const {
  const auto source = state_->find(id);
  if (!source) return {};
  TriggerStatus status = source->status;
  const auto& mapping = *source->mapping;
  if (!mapping.enabled) return status;
  if (!state_->parts.runner.find(mapping.function, mapping.qualifier))
    status.state = TriggerStatus::State::no_function;
  else if (!state_->parts.queues.find(mapping.queue))
    status.state = TriggerStatus::State::no_queue;
  else
    status.state = TriggerStatus::State::enabled;
  return status;
}

void QueueTriggers::review() {
  for (const auto& [id, poller] : state_->pollers) poller->source->rest.wake();
}

void QueueTriggers::run_due() {
  state_->timers.run_due();
}

void QueueTriggers::quiesce() {
  state_->stopping = true;
  while (!state_->pollers.empty()) state_->end(state_->pollers.begin()->first);
}

io::Task<void> QueueTriggers::stop() {
  const auto state = state_;
  quiesce();
  while (state->running > 0) {
    auto waiting = state->drained.wait();
    const bool go_on = co_await std::move(waiting);
    if (!go_on) break;
  }
}

}  // namespace mayfly::triggers
