#pragma once
// An engine on a loop of the test's own and a clock that only the test moves. A second engine can
// be put to the contract by giving it a fixture with the same members.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>

#include "queues/embedded.h"
#include "store/temp_dir.h"

namespace mayfly::queues::testing {

class VirtualClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return steady; }
  WallTime wall_now() const override { return wall; }
  void pass(milliseconds time) {
    steady += time;
    wall += time;
  }
  SteadyTime steady = SteadyTime(seconds(1'000'000));
  WallTime wall = from_epoch_us(1'800'000'000'000'000);
};

// A task that was started, and its value once there is one.
template <class T>
struct Started {
  std::shared_ptr<std::optional<T>> value = std::make_shared<std::optional<T>>();
  std::shared_ptr<boost::asio::cancellation_signal> signal =
      std::make_shared<boost::asio::cancellation_signal>();
  std::shared_ptr<bool> ended = std::make_shared<bool>(false);
  bool done() const { return value->has_value(); }
  T& operator*() const { return **value; }
  T* operator->() const { return &**value; }
};

template <class T>
boost::asio::awaitable<void> keep(io::Task<T> task, std::shared_ptr<std::optional<T>> value) {
  value->emplace(co_await std::move(task));
}

struct Embedded {
  explicit Embedded(store::Store& on, EmbeddedSettings with = {}) : store(on), settings(with) {
    open();
  }
  ~Embedded() { close(); }

  void open() {
    committer = std::make_unique<store::Committer>(store, loop.get_executor());
    auto made =
        make_embedded_engine({loop.get_executor(), store, *committer, pool, clock, settings});
    ASSERT_TRUE(made.has_value()) << made.error().describe();
    engine = std::move(*made);
  }
  // As after kill -9: nothing is told to stop, but what was handed over is written.
  void close() {
    engine.reset();
    committer.reset();
    loop.restart();
    loop.poll();
  }
  void restart() {
    close();
    open();
  }

  template <class T>
  Started<T> start(io::Task<T> task) {
    Started<T> started;
    boost::asio::co_spawn(loop, keep(std::move(task), started.value),
                          boost::asio::bind_cancellation_slot(
                              started.signal->slot(),
                              [ended = started.ended, signal = started.signal](std::exception_ptr) {
                                *ended = true;  // until here the slot is in use
                              }));
    return started;
  }
  bool run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      loop.restart();
      loop.run_for(milliseconds(1));
    }
    return done();
  }
  template <class T>
  T wait(Started<T> started) {
    EXPECT_TRUE(run_until([&] { return started.done(); }));
    return std::move(*started);
  }
  template <class T>
  T run(io::Task<T> task) {
    return wait(start(std::move(task)));
  }
  // Everything that was begun is written and all who can go on have gone on.
  void settle_down() {
    for (int i = 0; i < 3; ++i) {
      bool done = false;
      committer->submit({}, store::Durability::synced,
                        [&done](const Status&, store::Transaction&) { done = true; });
      EXPECT_TRUE(run_until([&] { return done; }));
    }
  }
  void pass(milliseconds time) {
    clock.pass(time);
    engine->run_due();
    settle_down();
  }

  store::Store& store;
  boost::asio::io_context loop;
  VirtualClock clock;
  io::BlockingPool pool{2};
  EmbeddedSettings settings;
  std::unique_ptr<store::Committer> committer;
  std::unique_ptr<EmbeddedEngine> engine;
};

}  // namespace mayfly::queues::testing
