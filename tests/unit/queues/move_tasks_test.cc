#include "queues/move_tasks.h"

#include "queues/fixture.h"

namespace mayfly::queues {
namespace {

struct MoveTasksTest : ::testing::Test {
  std::unique_ptr<store::Store> store = store::make_memory_store();
  testing::Embedded on{*store};
  std::unique_ptr<MoveTasks> moves = make();

  ~MoveTasksTest() override { moves.reset(); }

  std::unique_ptr<MoveTasks> make() {
    return std::make_unique<MoveTasks>(
        MoveTasks::Parts{on.loop.get_executor(), *on.engine, *store, *on.committer, on.clock});
  }
  // As after kill -9.
  void restart() {
    moves.reset();
    on.restart();
    moves = make();
    ASSERT_TRUE(moves->load().has_value());
  }

  void fill(const std::string& queue, int count) {
    QueueInfo info;
    info.name = queue;
    ASSERT_TRUE(on.run(on.engine->create(info)).has_value());
    std::vector<NewMessage> messages(static_cast<std::size_t>(count));
    for (auto& message : messages) message.body = "m";
    for (const auto& sent : on.run(on.engine->send(queue, std::move(messages))))
      ASSERT_TRUE(sent.has_value());
  }
  std::uint64_t visible(const std::string& queue) { return on.engine->counts(queue)->visible; }
  MoveTask newest(const std::string& source) {
    const auto all = moves->of(source);
    return all.empty() ? MoveTask() : all.front();
  }
  MoveTask wanted(std::uint32_t per_second) {
    MoveTask task;
    task.source = "from";
    task.destination = "to";
    task.per_second = per_second;
    return task;
  }
};

TEST_F(MoveTasksTest, MovesAllAndSaysSo) {
  fill("from", 250);
  fill("to", 0);
  const auto task = on.run(moves->start(wanted(0)));
  ASSERT_TRUE(task.has_value());
  EXPECT_EQ(task->to_move, 250u);
  ASSERT_TRUE(on.run_until([&] { return !newest("from").active(); }));
  EXPECT_EQ(newest("from").state, MoveTask::State::completed);
  EXPECT_EQ(newest("from").moved, 250u);
  EXPECT_EQ(visible("to"), 250u);
}

TEST_F(MoveTasksTest, OneAtATimeFromAQueue) {
  fill("from", 3);
  fill("to", 0);
  ASSERT_TRUE(on.run(moves->start(wanted(1))).has_value());
  const auto second = on.run(moves->start(wanted(1)));
  ASSERT_TRUE(second.has_error());
  EXPECT_EQ(second.error().code, Code::already_exists);
}

TEST_F(MoveTasksTest, GoesOnAfterAKill) {
  fill("from", 5);
  fill("to", 0);
  const auto task = on.run(moves->start(wanted(1)));
  ASSERT_TRUE(task.has_value());
  ASSERT_TRUE(on.run_until([&] { return newest("from").moved == 1; }));
  restart();
  EXPECT_EQ(newest("from").id, task->id);
  EXPECT_TRUE(newest("from").active());
  // Its second message is moved at once, since it begins anew.
  ASSERT_TRUE(on.run_until([&] { return visible("to") == 2; }));
  ASSERT_TRUE(on.run(moves->cancel(task->id)).has_value());
  ASSERT_TRUE(on.run_until([&] { return !newest("from").active(); }));
  restart();
  EXPECT_EQ(newest("from").state, MoveTask::State::cancelled);
  EXPECT_EQ(visible("from") + visible("to"), 5u);
  EXPECT_LT(visible("to"), 5u);
}

TEST_F(MoveTasksTest, CancelSaysWhatItCannot) {
  fill("from", 0);
  fill("to", 0);
  EXPECT_EQ(on.run(moves->cancel("none")).error().code, Code::not_found);
  const auto task = on.run(moves->start(wanted(0)));
  ASSERT_TRUE(on.run_until([&] { return !newest("from").active(); }));
  EXPECT_EQ(on.run(moves->cancel(task->id)).error().code, Code::conflict);
}

TEST_F(MoveTasksTest, AQueueThatGoesEndsTheTask) {
  fill("from", 300);
  fill("to", 0);
  ASSERT_TRUE(on.run(moves->start(wanted(500))).has_value());
  ASSERT_TRUE(on.run_until([&] { return newest("from").moved == 100; }));
  ASSERT_TRUE(on.run(on.engine->remove("from")).has_value());
  ASSERT_TRUE(on.run_until([&] { return !newest("from").active(); }));
  EXPECT_EQ(newest("from").state, MoveTask::State::failed);
  EXPECT_NE(newest("from").failure.find("from"), std::string::npos);
}

TEST(MoveTaskRecord, DamagedOnesAreRefused) {
  MoveTask task;
  task.id = "i";
  task.source = "s";
  const std::string record = encode(task);
  EXPECT_EQ(decode_move(record)->source, "s");
  EXPECT_TRUE(decode_move(record.substr(0, record.size() - 1)).has_error());
  EXPECT_TRUE(decode_move(record + "x").has_error());
  EXPECT_TRUE(decode_move("").has_error());
}

}  // namespace
}  // namespace mayfly::queues
