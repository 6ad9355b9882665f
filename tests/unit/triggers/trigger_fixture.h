#pragma once
// Queue triggers over the real queue engine on a virtual clock, with functions that are test code.

#include <boost/json.hpp>

#include "engine/park.h"
#include "queues/fixture.h"
#include "tables/state.h"
#include "triggers/queue_trigger.h"
#include "triggers/services.h"

namespace mayfly::triggers::testing {

using queues::testing::Embedded;

// Bodies of messages: "from" .. "to - 1".
inline std::vector<std::string> numbered(int from, int to) {
  std::vector<std::string> bodies;
  for (int i = from; i < to; ++i) bodies.push_back(std::to_string(i));
  return bodies;
}

// What a test's function does with one event.
struct Deed {
  std::shared_ptr<engine::Failure> failure;  // null: it ends well
  std::string result = "null";
  std::string effects;
  bool hangs = false;  // until FakeRunner::hang.wake()
};

inline Deed failing(std::string message) {
  Deed deed;
  deed.failure = std::make_shared<engine::Failure>();
  deed.failure->outcome = telemetry::Outcome::function_error;
  deed.failure->party = telemetry::Party::function;
  deed.failure->phase = telemetry::Phase::run;
  deed.failure->code = Code::function_error;
  deed.failure->message = std::move(message);
  return deed;
}

inline Deed refusing() {
  Deed deed = failing("no capacity");
  deed.failure->outcome = telemetry::Outcome::refused;
  deed.failure->phase = telemetry::Phase::queue;
  deed.failure->code = Code::resource_exhausted;
  return deed;
}

struct Event {
  std::vector<std::string> bodies, ids;
  std::string revision;
  boost::json::value json;
};

class FakeRunner final : public Runner {
 public:
  std::function<Deed(const Event&)> handler = [](const Event&) { return Deed{}; };
  std::map<std::string, functions::VersionPtr> functions;
  std::uint32_t room_left = 100;
  bool no_core_left = false;
  Share fair_share;
  engine::FunctionServices* services = nullptr;
  std::vector<Event> events;
  std::uint32_t running = 0, most = 0;
  engine::Park hang;
  bool hold = false;  // invocations, until let_go()
  std::vector<std::shared_ptr<engine::Park>> held;

  void let_go() {
    hold = false;
    for (const auto& park : std::exchange(held, {})) park->wake();
  }
  void deploy(const std::string& name, const std::string& revision,
              functions::Model model = functions::Model::event) {
    auto version = std::make_shared<functions::Version>();
    version->function = name;
    version->revision = revision;
    version->model = model;
    version->settings.timeout_ms = 3'000;
    functions[name] = version;
  }

  functions::VersionPtr find(const std::string& name, const std::string&) override {
    const auto found = functions.find(name);
    return found == functions.end() ? nullptr : found->second;
  }
  std::uint32_t room(const functions::VersionPtr&) override {
    return room_left > running ? room_left - running : 0;
  }
  bool saturated(const functions::VersionPtr&) override { return no_core_left; }
  Share share(const functions::VersionPtr&) override { return fair_share; }
  io::Task<Result<functions::Model>> model_of(functions::VersionPtr version) override {
    co_return version->model;
  }
  io::Task<engine::Answer> invoke(engine::Invocation invocation) override {
    Event event;
    event.json = boost::json::parse(invocation.body);
    event.revision = invocation.version->revision;
    for (const auto& record : event.json.at("Records").as_array()) {
      event.bodies.emplace_back(record.at("body").as_string());
      event.ids.emplace_back(record.at("messageId").as_string());
    }
    EXPECT_EQ(invocation.source, "queue");
    events.push_back(event);
    most = std::max(most, ++running);
    Deed deed = handler(event);
    if (deed.hangs) {
      auto waiting = hang.wait();
      (void)co_await std::move(waiting);
    }
    if (hold) {
      const auto park = held.emplace_back(std::make_shared<engine::Park>());
      auto waiting = park->wait();
      (void)co_await std::move(waiting);
    }
    --running;
    engine::Answer answer;
    answer.failure = deed.failure;
    if (!deed.failure) {
      // As the dispatcher does it.
      auto committing =
          services->commit(invocation.version, deed.effects, invocation.settlement, deed.result);
      const Status done = co_await std::move(committing);
      if (done.has_error()) {
        answer.failure = std::make_shared<engine::Failure>();
        const bool own = done.error().code == Code::invalid_argument;
        answer.failure->outcome =
            own ? telemetry::Outcome::function_error : telemetry::Outcome::platform_error;
        answer.failure->phase = telemetry::Phase::reply;
        answer.failure->code = done.error().code;
        answer.failure->message = done.error().message;
      }
    }
    answer.reply.body = deed.result;
    co_return answer;
  }

  std::vector<std::string> handled() const {
    std::vector<std::string> bodies;
    for (const auto& event : events)
      bodies.insert(bodies.end(), event.bodies.begin(), event.bodies.end());
    return bodies;
  }
};

class TriggerTest : public ::testing::Test {
 protected:
  TriggerTest() : world(*store) { open(); }
  ~TriggerTest() override { close(); }

  void open() {
    state = std::make_unique<tables::State>(*store, *world.committer, world.pool);
    services = std::make_unique<Services>(*world.engine, *state, world.pool);
    targets = std::make_unique<Targets>(*world.engine);
    runner.services = services.get();
    triggers = std::make_unique<QueueTriggers>(QueueTriggers::Parts{
        world.loop.get_executor(), *world.engine, *store, *world.committer, world.pool, runner,
        *services, targets.get(), world.clock, settings, metrics});
    ASSERT_TRUE(triggers->load().has_value());
    triggers->start();
  }
  void close() {
    auto stopped = world.start(stop(triggers.get()));
    world.run_until([&] { return *stopped.ended; });
    EXPECT_TRUE(*stopped.ended);
    triggers.reset();
  }
  static io::Task<Status> stop(QueueTriggers* triggers) {
    auto stopping = triggers->stop();
    co_await std::move(stopping);
    co_return ok();
  }

  void make_queue(const std::string& name, const std::string& dead_letters = "",
                  std::uint32_t receives = 3) {
    queues::QueueInfo info;
    info.name = name;
    info.settings.fifo = name.ends_with(".fifo");
    info.settings.content_deduplication = info.settings.fifo;
    info.settings.dead_letter_queue = dead_letters;
    info.settings.receive_count_max = dead_letters.empty() ? 0 : receives;
    const Status made = world.run(world.engine->create(info));
    ASSERT_TRUE(made.has_value()) << made.error().describe();
  }
  void send(const std::string& queue, const std::vector<std::string>& bodies,
            const std::string& group = "") {
    std::vector<queues::NewMessage> messages;
    for (const auto& body : bodies) {
      queues::NewMessage message;
      message.body = body;
      message.group = group;
      messages.push_back(message);
    }
    for (const auto& sent : world.run(world.engine->send(queue, messages)))
      ASSERT_TRUE(sent.has_value()) << sent.error().describe();
  }
  Mapping mapping(const std::string& queue = "q", std::uint32_t batch = 10) {
    Mapping m;
    m.queue = queue;
    m.function = "f";
    m.batch = batch;
    return m;
  }
  Mapping add(Mapping m) {
    auto made = world.run(triggers->create(std::move(m)));
    EXPECT_TRUE(made.has_value()) << made.error().describe();
    return made.has_value() ? *made : Mapping{};
  }
  void until(const std::function<bool()>& done) { EXPECT_TRUE(world.run_until(done)); }
  // Until nothing is visible, in flight or delayed any more.
  void until_empty(const std::string& queue) {
    until([&] {
      const auto counts = world.engine->counts(queue);
      return counts->visible + counts->in_flight + counts->delayed == 0;
    });
  }
  void quiet() {
    world.settle_down();
    until([&] { return triggers_running() == runner_hanging; });
    world.settle_down();
  }
  std::uint32_t triggers_running() const {
    std::uint32_t running = 0;
    for (const auto& m : triggers->list()) running += triggers->status(m.id).running;
    return running;
  }
  // Time passes for everybody.
  void pass(milliseconds time) {
    world.pass(time);
    triggers->run_due();
    quiet();
  }
  std::uint64_t visible(const std::string& queue) { return world.engine->counts(queue)->visible; }
  std::uint64_t in_flight(const std::string& queue) {
    return world.engine->counts(queue)->in_flight;
  }
  std::vector<queues::Message> peek(const std::string& queue) {
    auto messages = world.run(world.engine->peek(queue, 1000));
    return messages.has_value() ? *messages : std::vector<queues::Message>{};
  }
  std::string value(const std::string& key) {
    auto item = world.run(state->get(key));
    return item.has_value() && item->has_value() ? (**item).value : "absent";
  }

  std::unique_ptr<store::Store> store = store::make_memory_store();
  Embedded world;
  FakeRunner runner;
  TriggerSettings settings;
  telemetry::Metrics* metrics = nullptr;
  std::uint32_t runner_hanging = 0;  // batches that a test keeps from ending
  std::unique_ptr<tables::State> state;
  std::unique_ptr<Services> services;
  std::unique_ptr<Targets> targets;
  std::unique_ptr<QueueTriggers> triggers;
};

}  // namespace mayfly::triggers::testing
