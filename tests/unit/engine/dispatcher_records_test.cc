// What the record of a call says: who pays for a start.

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using functions::Model;

struct Records : DispatcherFixture {
  Records() {
    start = [](FakeSandbox& sandbox) {
      sandbox.usage_now.cpu_us = 40'000;  // the initialisation
      sandbox.program->ready();
    };
    handle = [](FakeSandbox& sandbox, Program& p, const Program::Invoke& invoke) {
      sandbox.usage_now.cpu_us += 700;
      p.after(milliseconds(2), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
    };
  }
};

TEST_F(Records, StartThatACallWaitedForIsChargedToIt) {
  call_now();
  EXPECT_EQ(record().cpu_us, 40'700u);
  call_now();
  EXPECT_EQ(record().cpu_us, 700u);
}

TEST_F(Records, StartOfADeployCheckIsChargedToNoCall) {
  version->model = Model::unknown;
  ASSERT_EQ(run_task(loop, dispatcher().probe(version)).failure, nullptr);
  pass(milliseconds(2));  // a usage is read once a millisecond
  EXPECT_FALSE(call_now().cold);
  EXPECT_EQ(record().cpu_us, 700u);
  EXPECT_EQ(record().init_us + record().start_us, 0u);
}

TEST_F(Records, StartOfAKeptInstanceIsChargedToNoCall) {
  version->settings.instances_min = 1;
  dispatcher().keep(version);
  ASSERT_TRUE(run_until(loop, [&] { return stats().instances == 1; }));
  pass(milliseconds(2));
  call_now();
  EXPECT_EQ(record().cpu_us, 700u);
}

}  // namespace
}  // namespace mayfly::engine
