#pragma once
// Async calls on the embedded engine, with a function that the test writes, on a virtual clock.

#include <boost/asio/steady_timer.hpp>
#include <map>

#include "queues/fixture.h"
#include "store/temp_dir.h"
#include "triggers/async_calls.h"
#include "triggers/schedules.h"
#include "triggers/services.h"

namespace mayfly::triggers::testing {

struct Function {
  // What it answers to an invocation; default: its payload.
  std::function<engine::Answer(const engine::Invocation&)> answer;
  std::string effects;  // what it stages; committed before it hangs
  bool hangs = false;
  std::vector<engine::Invocation> seen;
};

inline engine::Answer reply(std::string body) {
  engine::Answer answer;
  answer.instance = "i-1";
  answer.reply.body = std::move(body);
  return answer;
}

inline engine::Answer failure(telemetry::Outcome outcome, std::string message,
                              Code code = Code::function_error) {
  engine::Answer answer;
  answer.failure = std::make_shared<engine::Failure>();
  answer.failure->outcome = outcome;
  answer.failure->code = code;
  answer.failure->message = std::move(message);
  return answer;
}

inline engine::Answer copy_of(engine::Answer& answer) {
  engine::Answer copy;
  copy.instance = answer.instance;
  copy.failure = answer.failure;
  copy.reply.kind = answer.reply.kind;
  copy.reply.head = answer.reply.head;
  copy.reply.body = answer.reply.body;
  return copy;
}

class AsyncFixture : public ::testing::Test {
 protected:
  AsyncFixture() : world(*memory) {
    settings.backoff_ms = 10'000;
    open();
  }
  ~AsyncFixture() override { close(); }

  void open() {
    targets = std::make_unique<Targets>(*world.engine);
    state = std::make_unique<tables::State>(*memory, *world.committer, world.pool);
    services = std::make_unique<Services>(*world.engine, *state, world.pool);
    calls = std::make_unique<AsyncCalls>(AsyncCalls::Parts{
        world.loop, *world.engine, *memory, *world.committer, world.pool, world.clock, *targets,
        [this](const std::string& name, const std::string&) -> functions::VersionPtr {
          const auto found = versions.find(name);
          return found == versions.end() ? nullptr : found->second;
        },
        [this](engine::Invocation invocation) { return invoke(this, std::move(invocation)); },
        settings, "us-east-1", "000000000000", folder.path() + "/calls", nullptr,
        [this](const std::string&, bool accepting) {
          return accepting ? beside_accepts : UINT32_MAX;
        }});
    const Status opened = calls->open();
    EXPECT_FALSE(opened.has_error());
  }
  // As after kill -9, in a moment when nobody writes: what goes on would use parts that are gone.
  void close() {
    world.settle_down();
    world.close();
    calls.reset();
    services.reset();
    state.reset();
    targets.reset();
  }
  void restart() {
    close();
    world.open();
    open();
  }

  Function& function(const std::string& name, functions::Settings with = {},
                     functions::Model model = functions::Model::event) {
    auto version = std::make_shared<functions::Version>();
    version->function = name;
    version->settings = std::move(with);
    version->model = model;
    versions[name] = version;
    return made[name];
  }
  static NewCall call(const std::string& name, std::string body = "{\"n\":1}") {
    NewCall wanted;
    wanted.message.target.name = name;
    wanted.message.body = std::move(body);
    wanted.message.source = "async";
    return wanted;
  }
  std::string accept(NewCall wanted) {
    const auto accepted = world.run(calls->accept(std::move(wanted)));
    EXPECT_TRUE(accepted.has_value()) << accepted.error().message;
    return accepted ? accepted->id : "";
  }
  CallRecord record(const std::string& id) {
    const auto found = world.run(calls->find(id));
    EXPECT_TRUE(found.has_value());
    return found ? *found : CallRecord();
  }
  bool until_state(const std::string& id, CallState state) {
    for (int i = 0; i < 2000; ++i) {
      if (record(id).state == state) return true;
      world.settle_down();
    }
    ADD_FAILURE() << "still " << state_name(record(id).state);
    return false;
  }
  std::vector<queues::Message> messages(const std::string& queue) {
    auto peeked = world.run(world.engine->peek(queue, 100));
    return peeked ? std::move(*peeked) : std::vector<queues::Message>();
  }
  void make_queue(const std::string& name) {
    queues::QueueInfo info;
    info.name = name;
    info.settings.fifo = name.ends_with(".fifo");
    const Status created = world.run(world.engine->create(std::move(info)));
    ASSERT_FALSE(created.has_error());
  }

  static io::Task<engine::Answer> invoke(AsyncFixture* self, engine::Invocation invocation) {
    Function& function = self->made[invocation.version->function];
    const std::string body = invocation.body;
    engine::Answer answer = function.answer ? function.answer(invocation) : reply(body);
    const auto version = invocation.version;
    const auto settlement = invocation.settlement;
    function.seen.push_back(std::move(invocation));
    if (!function.effects.empty()) {
      auto committing =
          self->services->commit(version, function.effects, settlement, answer.reply.body);
      const Status committed = co_await std::move(committing);
      if (committed.has_error())
        answer = failure(telemetry::Outcome::platform_error, committed.error().message,
                         committed.error().code);
    }
    if (function.hangs) {
      boost::asio::steady_timer never(self->world.loop, SteadyTime::max());
      co_await never.async_wait(boost::asio::use_awaitable);
    }
    co_return answer;
  }

  std::unique_ptr<store::Store> memory = store::make_memory_store();
  test::TempDir folder;
  queues::testing::Embedded world;
  CallSettings settings;
  std::uint32_t beside_accepts = UINT32_MAX;
  std::map<std::string, functions::VersionPtr> versions;
  std::map<std::string, Function> made;
  std::unique_ptr<Targets> targets;
  std::unique_ptr<tables::State> state;
  std::unique_ptr<Services> services;
  std::unique_ptr<AsyncCalls> calls;
};

}  // namespace mayfly::triggers::testing
