// The embedded engine against a model that is too simple to be wrong: sends, receptions, settling,
// time and kills in random order. A failure prints the seed; MAYFLY_SEED repeats it.

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "queues/contract.h"
#include "queues/environments.h"

namespace mayfly::queues::testing {
namespace {

constexpr int kSteps = 1500;

// What must be true of a message, whatever the engine does inside.
struct Expected {
  std::string group;
  std::uint64_t order = 0;  // within all messages
  int received = 0;
  bool held = false;
  SteadyTime until;    // while held
  SteadyTime visible;  // delayed until then
  std::string receipt;
};

template <class Env>
class Randomly : public EngineContract<Env> {
 protected:
  void play(const std::string& name, unsigned seed) {
    random_.seed(seed);
    name_ = name;
    fifo_ = name.ends_with(".fifo");
    auto info = queue(name);
    info.settings.visibility_timeout_s = 20;
    this->create(info);
    for (int step = 0; step < kSteps && !this->HasFailure(); ++step) {
      const int what = pick(100);
      if (what < 35)
        send_some();
      else if (what < 65)
        receive_some();
      else if (what < 85)
        settle_one();
      else if (what < 90)
        hide_one();
      else if (what < 98)
        pass(milliseconds(pick(8000)));
      else
        kill();
      check_counts();
    }
    finish();
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  SteadyTime now() { return this->env.clock.steady; }

  void send_some() {
    std::vector<NewMessage> messages;
    std::vector<SteadyTime> visible;
    for (int left = 1 + pick(5); left > 0; --left) {
      const std::string body = std::to_string(next_++);
      NewMessage made = fifo_ ? grouped("g" + std::to_string(pick(4)), body) : message(body);
      int delay = 0;
      if (!fifo_ && pick(4) == 0) made.delay_s = delay = pick(30);
      Expected expected;
      expected.group = made.group;
      expected.order = next_;
      expected.visible = now() + seconds(delay);
      model_[body] = expected;
      messages.push_back(std::move(made));
    }
    if (fifo_ && pick(5) == 0) messages.push_back(messages.front());  // a duplicate
    for (const auto& sent : this->send_all(name_, messages)) ASSERT_TRUE(sent.has_value());
  }

  bool can_be_received(const Expected& e) const {
    return !e.held && e.visible <= this->env.clock.steady;
  }

  void receive_some() {
    const auto max = static_cast<std::uint32_t>(1 + pick(10));
    const auto got = this->receive(name_, max);
    std::set<std::string> groups;  // of this call
    for (const auto& message : got) {
      const auto found = model_.find(message.body);
      ASSERT_NE(found, model_.end()) << message.body << " was settled, or never sent";
      Expected& e = found->second;
      ASSERT_TRUE(can_be_received(e)) << message.body << " is hidden";
      if (fifo_)
        for (const auto& [body, other] : model_) {
          if (other.group != e.group || &other == &e) continue;
          ASSERT_FALSE(other.held && !groups.contains(e.group)) << "group locked by " << body;
          ASSERT_FALSE(other.order < e.order && !other.held) << body << " is before it";
        }
      groups.insert(e.group);
      e.held = true;
      e.until = now() + seconds(20);
      e.receipt = message.receipt;
      ASSERT_EQ(message.receive_count, static_cast<unsigned>(++e.received));
    }
    if (!got.empty() || fifo_) return;  // fewer than asked for may come, but not none
    for (const auto& [body, e] : model_) ASSERT_FALSE(can_be_received(e)) << body << " was kept";
  }

  std::map<std::string, Expected>::iterator one_held() {
    std::vector<std::map<std::string, Expected>::iterator> held;
    for (auto at = model_.begin(); at != model_.end(); ++at)
      if (at->second.held) held.push_back(at);
    return held.empty() ? model_.end() : held[static_cast<std::size_t>(pick(held.size()))];
  }
  void settle_one() {
    const auto chosen = one_held();
    if (chosen == model_.end()) return;
    const auto settled = this->settle(name_, chosen->second.receipt);
    ASSERT_TRUE(settled.has_value()) << settled.error().describe();
    model_.erase(chosen);
  }
  void hide_one() {
    const auto chosen = one_held();
    if (chosen == model_.end()) return;
    const auto seconds_more = static_cast<std::uint32_t>(pick(3) == 0 ? 0 : pick(40));
    ASSERT_TRUE(this->hide(name_, chosen->second.receipt, seconds_more).has_value());
    chosen->second.held = seconds_more > 0;
    chosen->second.until = now() + seconds(seconds_more);
  }

  void expire() {
    for (auto& [body, e] : model_)
      if (e.held && e.until <= now()) e.held = false;
  }
  void pass(milliseconds time) {
    this->env.pass(time);
    expire();
  }
  void kill() {
    pass(milliseconds(200));  // what was received just before may be forgotten
    this->env.close();
    this->env.clock.pass(milliseconds(pick(3000)));
    this->env.open();
    expire();
  }
  void check_counts() {
    const Counts counts = this->counts(name_);
    std::uint64_t held = 0, delayed = 0;
    for (const auto& [body, e] : model_) {
      held += e.held;
      delayed += !e.held && e.visible > now();
    }
    ASSERT_EQ(counts.in_flight, held);
    ASSERT_EQ(counts.delayed, delayed);
    ASSERT_EQ(counts.visible, model_.size() - held - delayed);
  }
  void finish() {
    pass(seconds(60));
    for (int left = 100'000; left > 0 && !model_.empty() && !this->HasFailure(); --left) {
      receive_some();
      while (one_held() != model_.end() && !this->HasFailure()) settle_one();
    }
    EXPECT_TRUE(model_.empty());
    EXPECT_THAT(this->receive(name_), IsEmpty());
  }

  std::mt19937 random_;
  std::string name_;
  bool fifo_ = false;
  std::uint64_t next_ = 0;
  std::map<std::string, Expected> model_;
};
TYPED_TEST_SUITE(Randomly, Environments, EnvironmentNames);

unsigned seed() {
  const char* given = std::getenv("MAYFLY_SEED");
  const unsigned value =
      given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device()();
  return value & 0x7fffffff;
}

TYPED_TEST(Randomly, Standard) {
  const unsigned chosen = seed();
  SCOPED_TRACE("MAYFLY_SEED=" + std::to_string(chosen));
  this->play("q", chosen);
}

TYPED_TEST(Randomly, Fifo) {
  const unsigned chosen = seed();
  SCOPED_TRACE("MAYFLY_SEED=" + std::to_string(chosen));
  this->play("q.fifo", chosen);
}

}  // namespace
}  // namespace mayfly::queues::testing
