// What happens to the messages that a poller took: the function runs with all of them; when that
// fails, with halves, so that a message that cannot be handled stands alone; and what still fails
// comes again later, or is given up.

#include <algorithm>
#include <random>
#include <set>

#include "base/ids.h"
#include "base/log.h"
#include "telemetry/record.h"
#include "triggers/event_post.h"
#include "triggers/poller.h"
#include "triggers/services.h"
#include "wire/http_message.h"

namespace mayfly::triggers {
namespace {

using State = QueueTriggers::State;
using Indices = std::vector<std::size_t>;

constexpr std::size_t kEventBytesAtOnce = 64 * 1024;
constexpr std::uint32_t kLimitMost = 1'000;
constexpr int kConflictTries = 3;
// So many runs of a batch that fail in a row say that it is not for single messages.
constexpr int kFailuresInARow = 32;
constexpr std::uint32_t kBackoffMost = 900;
constexpr std::size_t kReasonBytes = 1'000;

enum class Ended {
  well,
  refused,   // it did not run: no capacity, or the server is stopping; or nothing can be kept
  conflict,  // what it read of the state has changed meanwhile
  failed,    // it ran
  broken,    // it cannot run: smaller batches would not either
};

struct Run {
  Ended ended = Ended::broken;
  std::string reason;
  Indices failed;  // ended well, but for these
};

struct Batch {
  Batch(std::shared_ptr<State> of, SourcePtr from)
      : state(std::move(of)), source(std::move(from)) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { enter(); }

  std::shared_ptr<State> state;
  SourcePtr source;
  std::shared_ptr<const Mapping> mapping;
  std::shared_ptr<const TriggerCounters> counters;
  EventOrigin origin;
  std::vector<queues::Message> messages;
  std::vector<Indices> stack;          // to run; the last is the next
  std::set<std::string> stuck_groups;  // fifo: what follows in them must wait
  int failures = 0;                    // in a row
  int conflicts = 0;
  bool first = true;
  bool entered = false;  // the dispatcher knows of it

  void enter() {
    if (!std::exchange(entered, true)) --source->entering;
  }
};

std::string reason_of(const engine::Failure& failure) {
  std::string reason = failure.message.substr(0, kReasonBytes);
  if (reason.size() < failure.message.size()) {  // no half of a character
    while (!reason.empty() && (static_cast<unsigned char>(reason.back()) & 0xc0) == 0x80)
      reason.pop_back();
    if (!reason.empty() && static_cast<unsigned char>(reason.back()) >= 0xc0) reason.pop_back();
  }
  return reason.empty() ? std::string(code_name(failure.code)) : reason;
}

// What the failure of a commit says. A full disk is not the message's fault: it is given back as
// if it had not been received, and does not end in the dead letters for it.
Ended kind_of_commit(Code code) {
  if (code == Code::conflict) return Ended::conflict;
  if (code == Code::invalid_argument) return Ended::failed;
  return code == Code::io_error || code == Code::unavailable ? Ended::refused : Ended::broken;
}

Ended kind_of(const engine::Failure& failure) {
  using telemetry::Outcome;
  using telemetry::Phase;
  switch (failure.outcome) {
    case Outcome::refused:
    case Outcome::cancelled:
      return Ended::refused;
    case Outcome::function_error:
    case Outcome::crash:
    case Outcome::out_of_memory:
    case Outcome::timeout:
      return failure.phase == Phase::run || failure.phase == Phase::reply ? Ended::failed
                                                                          : Ended::broken;
    default:
      break;
  }
  if (failure.phase == Phase::reply) return kind_of_commit(failure.code);
  const bool stopping = failure.code == Code::unavailable && failure.phase == Phase::accept;
  return stopping ? Ended::refused : Ended::broken;
}

// The whole answer of such a function; true for a status that means success.
io::Task<bool> http_ended_well(engine::Answer* answer) {
  const auto head = wire::decode_response_head(answer->reply.head);
  while (answer->reply.more) {
    auto reading = answer->reply.more->read();
    auto part = co_await std::move(reading);
    if (part.has_error()) co_return false;
    if (part->empty()) break;
  }
  const bool good = head.has_value() && head->status >= 200 && head->status < 300;
  answer->receipt.answered(head.has_value() ? head->status : 502);
  co_return good;
}

std::shared_ptr<QueueSettlement> settlement_of(const Batch& batch, const Indices& indices) {
  auto settlement = std::make_shared<QueueSettlement>();
  settlement->queue = batch.mapping->queue;
  settlement->partial = batch.mapping->partial;
  settlement->messages.reserve(indices.size());
  for (const auto index : indices)
    settlement->messages.push_back({batch.messages[index].id, batch.messages[index].receipt});
  return settlement;
}

Run ended_well(const Indices& indices, const QueueSettlement& settlement) {
  Run run;
  run.ended = Ended::well;
  for (const auto index : settlement.failed) run.failed.push_back(indices[index]);
  return run;
}

// A large event is written by another thread: others wait for the loop.
io::Task<std::string> event_of(const Batch* batch, const Indices* indices) {
  std::size_t bytes = 0;
  for (const auto index : *indices) bytes += event_bytes(batch->messages[index]);
  if (bytes < kEventBytesAtOnce) co_return sqs_event(batch->messages, *indices, batch->origin);
  auto writing = batch->state->parts.pool.run(
      [batch, indices] { return sqs_event(batch->messages, *indices, batch->origin); });
  co_return co_await std::move(writing);
}

io::Task<Run> run_once(Batch* batch, Indices indices) {
  auto& parts = batch->state->parts;
  auto writing = event_of(batch, &indices);
  std::string event = co_await std::move(writing);
  auto version = parts.runner.find(batch->mapping->function, batch->mapping->qualifier);
  if (!version) co_return Run{Ended::refused, "There is no such function any more.", {}};
  auto asking = parts.runner.model_of(version);
  const auto model = co_await std::move(asking);
  engine::Invocation invocation;
  invocation.request_id = new_uuid();
  invocation.version = version;
  invocation.source = "queue";
  invocation.background = true;
  invocation.arrived = parts.clock.steady_now();
  if (indices.size() == 1) invocation.trace_id = batch->messages[indices[0]].trace_header;
  invocation.body = std::move(event);
  const auto settlement = settlement_of(*batch, indices);
  const bool http = model.has_value() && functions::takes_http(*model);
  if (http)
    make_post(invocation, "");  // whether it ended well is in its answer: nothing is settled before
  else
    invocation.settlement = settlement;
  auto invoking = parts.runner.invoke(std::move(invocation));
  batch->enter();
  engine::Answer answer = co_await std::move(invoking);
  if (answer.failure) co_return Run{kind_of(*answer.failure), reason_of(*answer.failure), {}};
  if (http) {
    auto reading = http_ended_well(&answer);
    const bool good = co_await std::move(reading);
    if (!good) co_return Run{Ended::failed, "The function did not answer with a status 2xx.", {}};
    settlement->partial = false;
  }
  if (!settlement->committed) {
    auto committing = parts.services.commit(version, "", settlement, std::move(answer.reply.body));
    const Status committed = co_await std::move(committing);
    if (committed.has_error())
      co_return Run{kind_of_commit(committed.error().code), committed.error().message, {}};
  }
  answer.receipt.answered(200);
  co_return ended_well(indices, *settlement);
}

// Hides the messages for so long from now; 0 gives them back, as if they had not been received.
io::Task<void> hide(Batch* batch, Indices indices, std::uint32_t hold_s) {
  std::vector<queues::QueueEngine::Visibility> changes;
  changes.reserve(indices.size());
  for (const auto index : indices)
    changes.push_back({batch->messages[index].receipt, hold_s, hold_s == 0});
  if (changes.empty()) co_return;
  auto changing =
      batch->state->parts.queues.change_visibility(batch->mapping->queue, std::move(changes));
  (void)co_await std::move(changing);  // one that is not held any more is somebody else's by now
}

std::uint32_t backoff_seconds(std::uint32_t receive_count) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const std::uint32_t most =
      receive_count >= 10 ? kBackoffMost : std::min(kBackoffMost, 1u << receive_count);
  return std::uniform_int_distribution<std::uint32_t>((most + 1) / 2, most)(random);
}

// Where a message goes that is not tried again; nullopt: nowhere yet.
std::optional<Target> way_out(const Batch& batch, const queues::QueueInfo& queue,
                              const queues::Message& message) {
  const auto& settings = queue.settings;
  const bool has_dead_letters = !settings.dead_letter_queue.empty();
  const std::uint32_t attempts = batch.mapping->attempts != 0 ? batch.mapping->attempts
                                 : has_dead_letters           ? settings.receive_count_max
                                                              : 0;
  if (attempts == 0 || message.receive_count < attempts) return std::nullopt;
  if (!batch.mapping->on_failure.empty()) {
    auto target = parse_target(batch.mapping->on_failure);
    if (target.has_value()) return *target;
  }
  if (has_dead_letters) return Target{Target::Kind::queue, settings.dead_letter_queue, ""};
  return std::nullopt;
}

Delivery delivery_of(const Batch& batch, std::size_t index, const std::string& reason) {
  const auto& message = batch.messages[index];
  Delivery delivery;
  delivery.id = message.id;
  delivery.source = "destination";
  delivery.group = message.group;
  delivery.deduplication_id = message.id;
  std::string body = "{\"version\":\"1.0\",\"timestamp\":";
  wire::append_json_string(body, to_rfc3339(batch.state->parts.clock.wall_now()));
  body += ",\"requestContext\":{\"functionArn\":";
  wire::append_json_string(body, "arn:aws:lambda:" + batch.origin.region + ":" +
                                     batch.origin.account +
                                     ":function:" + batch.mapping->qualified());
  body += ",\"condition\":\"RetriesExhausted\",\"approximateInvokeCount\":" +
          std::to_string(message.receive_count);
  body += "},\"responseContext\":{\"functionError\":";
  wire::append_json_string(body, reason);
  body += "},\"requestPayload\":";
  body += sqs_event(batch.messages, {index}, batch.origin);
  delivery.body = body + "}";
  return delivery;
}

io::Task<Status> give_up(Batch* batch, std::size_t index, Target target, std::string reason) {
  auto& parts = batch->state->parts;
  std::vector<std::string> receipts{batch->messages[index].receipt};
  if (target.kind == Target::Kind::queue) {
    auto moving = parts.queues.dead_letter(batch->mapping->queue, std::move(receipts), target.name,
                                           std::move(reason));
    co_return co_await std::move(moving);
  }
  if (parts.targets == nullptr)
    co_return Error{Code::unsupported, "This server delivers to queues only."};
  auto delivering = parts.targets->deliver(std::move(target), delivery_of(*batch, index, reason));
  const Status delivered = co_await std::move(delivering);
  if (delivered.has_error()) co_return delivered;
  auto settling = parts.queues.settle(batch->mapping->queue, std::move(receipts));
  (void)co_await std::move(settling);
  co_return ok();
}

// Each of them comes again later, or is given up.
io::Task<void> put_off(Batch* batch, Indices indices, std::string reason) {
  auto& source = *batch->source;
  const auto queue = batch->state->parts.queues.find(batch->mapping->queue);
  if (!queue) co_return;
  std::vector<queues::QueueEngine::Visibility> later;
  for (const auto index : indices) {
    const auto& message = batch->messages[index];
    ++source.status.failed;
    if (queue->settings.fifo) batch->stuck_groups.insert(message.group);
    if (auto target = way_out(*batch, *queue, message)) {
      const bool to_letters = batch->mapping->on_failure.empty();
      auto giving = give_up(batch, index, std::move(*target), reason);
      const Status given = co_await std::move(giving);
      if (given.has_value()) {
        ++source.status.given_up;
        batch->counters->add(
            to_letters ? TriggerCounters::dead_lettered : TriggerCounters::on_failure, 1);
        if (queue->settings.fifo) batch->stuck_groups.erase(message.group);
        continue;
      }
      log::warn("trigger {}: a message cannot be given up: {}", batch->mapping->pair(),
                given.error().describe());
    }
    later.push_back({message.receipt, backoff_seconds(message.receive_count)});
  }
  if (later.empty()) co_return;
  auto changing =
      batch->state->parts.queues.change_visibility(batch->mapping->queue, std::move(later));
  (void)co_await std::move(changing);
}

// All that has not run yet is given back at once.
io::Task<void> give_back_rest(Batch* batch, Indices indices) {
  for (const auto& waiting : batch->stack)
    indices.insert(indices.end(), waiting.begin(), waiting.end());
  batch->stack.clear();
  auto hiding = hide(batch, std::move(indices), 0);
  co_await std::move(hiding);
}

// Fifo: what follows a message that failed must not overtake it. Returns what may run.
Indices runnable(const Batch& batch, const Indices& indices, Indices& stuck) {
  if (batch.stuck_groups.empty()) return indices;
  Indices free;
  for (const auto index : indices)
    (batch.stuck_groups.contains(batch.messages[index].group) ? stuck : free).push_back(index);
  return free;
}

void push_halves(Batch& batch, const Indices& indices) {
  const auto middle = indices.begin() + static_cast<std::ptrdiff_t>((indices.size() + 1) / 2);
  batch.stack.emplace_back(middle, indices.end());
  batch.stack.emplace_back(indices.begin(), middle);
}

io::Task<void> on_failed(Batch* batch, Indices indices, Run run) {
  auto& source = *batch->source;
  source.status.last_result = "PROBLEM: " + run.reason;
  const bool provisioned = batch->mapping->minimum_pollers != 0;
  source.limit = std::max(provisioned ? batch->mapping->least_at_once() : 1u, source.limit / 2);
  ++batch->failures;
  batch->counters->add(TriggerCounters::failed, indices.size());
  if (run.ended == Ended::failed || run.ended == Ended::conflict)
    batch->counters->add(TriggerCounters::invoked, indices.size());
  if (run.ended == Ended::refused) {
    source.status.last_result = "REFUSED: " + run.reason;
    const milliseconds pause{std::min(1'000u, 20u << std::min(source.refusals++, 6u))};
    source.not_before = batch->state->parts.clock.steady_now() + pause;
    auto giving = give_back_rest(batch, std::move(indices));
    co_await std::move(giving);
    co_return;
  }
  if (run.ended == Ended::conflict && ++batch->conflicts < kConflictTries) {
    batch->stack.push_back(std::move(indices));
    co_return;
  }
  batch->conflicts = 0;
  const bool alone = run.ended == Ended::broken || batch->failures >= kFailuresInARow;
  if (alone) {  // nor would the others
    for (const auto& waiting : batch->stack)
      indices.insert(indices.end(), waiting.begin(), waiting.end());
    batch->stack.clear();
  } else if (indices.size() > 1) {
    push_halves(*batch, indices);
    co_return;
  }
  auto putting = put_off(batch, std::move(indices), std::move(run.reason));
  co_await std::move(putting);
}

io::Task<void> on_ended_well(Batch* batch, std::size_t size, Run run) {
  auto& source = *batch->source;
  batch->failures = 0;
  batch->conflicts = 0;
  source.refusals = 0;
  source.status.handled += size - run.failed.size();
  batch->counters->add(TriggerCounters::invoked, size);
  batch->counters->add(TriggerCounters::failed, run.failed.size());
  batch->counters->add(TriggerCounters::deleted, size - run.failed.size());
  source.status.last_result = run.failed.empty() ? "OK" : "OK, but for messages that it named";
  auto& runner = batch->state->parts.runner;
  const auto version = runner.find(batch->mapping->function, batch->mapping->qualifier);
  const std::uint32_t least = batch->mapping->least_at_once();
  if (version && runner.saturated(version))
    source.limit -= std::min(source.limit - std::min(source.limit, least), 1 + source.limit / 8);
  else if (source.limit < kLimitMost)
    ++source.limit;
  if (run.failed.empty()) co_return;
  auto putting =
      put_off(batch, std::move(run.failed), "The function named it in batchItemFailures.");
  co_await std::move(putting);
}

// Messages that no filter wants are done.
io::Task<Indices> filter(Batch* batch) {
  Indices wanted, unwanted;
  const auto& filters = batch->source->filters;
  for (std::size_t i = 0; i < batch->messages.size(); ++i) {
    bool match = filters.empty();
    if (!match) {
      const std::string view = filter_view(batch->messages[i], batch->origin);
      match = std::any_of(filters.begin(), filters.end(),
                          [&](const Pattern& filter) { return filter.matches_text(view); });
    }
    (match ? wanted : unwanted).push_back(i);
  }
  if (unwanted.empty()) co_return wanted;
  std::vector<std::string> receipts;
  for (const auto index : unwanted) receipts.push_back(batch->messages[index].receipt);
  batch->source->status.filtered += unwanted.size();
  batch->counters->add(TriggerCounters::filtered, unwanted.size());
  auto settling = batch->state->parts.queues.settle(batch->mapping->queue, std::move(receipts));
  (void)co_await std::move(settling);
  co_return wanted;
}

// Events within the limit; the first on top.
void push_events(Batch& batch, const Indices& indices) {
  std::vector<Indices> events(1);
  std::size_t bytes = 0;
  for (const auto index : indices) {
    const std::size_t size = event_bytes(batch.messages[index]);
    if (bytes + size > batch.state->parts.settings.event_bytes_max && !events.back().empty()) {
      events.emplace_back();
      bytes = 0;
    }
    bytes += size;
    events.back().push_back(index);
  }
  if (events.back().empty()) events.pop_back();
  batch.stack.assign(std::make_move_iterator(events.rbegin()),
                     std::make_move_iterator(events.rend()));
}

// What later runs of the batch wait for must stay hidden meanwhile.
io::Task<void> hold_on(Batch* batch, Indices indices) {
  auto& parts = batch->state->parts;
  const auto version = parts.runner.find(batch->mapping->function, batch->mapping->qualifier);
  const auto queue = parts.queues.find(batch->mapping->queue);
  if (!version || !queue) co_return;
  for (const auto& waiting : batch->stack)
    indices.insert(indices.end(), waiting.begin(), waiting.end());
  auto hiding = hide(batch, std::move(indices), hold_seconds(*batch->mapping, *queue, *version));
  co_await std::move(hiding);
}

}  // namespace

io::Task<void> run_batch(std::shared_ptr<State> state, SourcePtr source,
                         std::vector<queues::Message> messages) {
  Batch batch(state, source);
  batch.mapping = source->mapping;
  state->counters_of(*source);
  batch.counters = source->counters;
  batch.origin = state->origin_of(*source->mapping);
  batch.messages = std::move(messages);
  ++source->status.batches;
  auto filtering = filter(&batch);
  const Indices wanted = co_await std::move(filtering);
  push_events(batch, wanted);
  while (!batch.stack.empty()) {
    Indices all = std::move(batch.stack.back());
    batch.stack.pop_back();
    Indices stuck;
    Indices indices = runnable(batch, all, stuck);
    if (!stuck.empty()) {
      auto putting = put_off(&batch, std::move(stuck), "A message before it in its group failed.");
      co_await std::move(putting);
    }
    if (indices.empty()) continue;
    if (!batch.first) {
      auto holding = hold_on(&batch, indices);
      co_await std::move(holding);
    }
    batch.first = false;
    auto running = run_once(&batch, indices);
    Run run = co_await std::move(running);
    const std::size_t size = indices.size();
    if (run.ended == Ended::well) {
      auto going = on_ended_well(&batch, size, std::move(run));
      co_await std::move(going);
    } else {
      auto going = on_failed(&batch, std::move(indices), std::move(run));
      co_await std::move(going);
    }
  }
}

}  // namespace mayfly::triggers
