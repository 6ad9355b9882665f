#pragma once
// One coroutine waits, one event wakes it: the joint between callbacks and coroutines of one loop.

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cassert>
#include <memory>
#include <utility>

#include "io/body.h"

namespace mayfly::io {

// Not thread-safe: one loop. Must outlive nothing: destroying it destroys the waiting coroutine.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { drop(); }

  // Suspends until notify(), or until the coroutine is cancelled (then look at the cancellation
  // state). At most one coroutine waits at a time; a notify() before wait() is not remembered.
  Task<void> wait() {
    assert(!op_);
    Launch launch{this};
    return boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
        std::move(launch), boost::asio::use_awaitable);
  }

  bool waiting() const { return op_ != nullptr; }

  // Resumes the waiting coroutine, if there is one, before it returns.
  void notify() {
    if (auto op = std::move(op_)) op->resume();
  }

  // Destroys the waiting coroutine.
  void drop() { auto op = std::move(op_); }

 private:
  struct Op {
    virtual ~Op() = default;
    virtual void resume() = 0;
    virtual void post() = 0;
  };

  template <class Handler>
  struct OpFor final : Op {
    explicit OpFor(Handler h) : handler(std::move(h)) {}
    void resume() override {
      auto slot = boost::asio::get_associated_cancellation_slot(handler);
      if (slot.is_connected()) slot.clear();
      Handler local(std::move(handler));
      local();
    }
    void post() override {
      const auto executor = boost::asio::get_associated_executor(handler);
      boost::asio::post(executor, std::move(handler));
    }
    Handler handler;
  };

  struct Launch {
    Waiter* waiter;
    template <class Handler>
    void operator()(Handler handler) {
      auto slot = boost::asio::get_associated_cancellation_slot(handler);
      Waiter* const self = waiter;
      if (slot.is_connected())
        slot.assign([self](boost::asio::cancellation_type) { self->cancel(); });
      self->op_ = std::make_unique<OpFor<Handler>>(std::move(handler));
    }
  };

  // Posted, because the canceller may be in the middle of something.
  void cancel() {
    if (auto op = std::move(op_)) op->post();
  }

  std::unique_ptr<Op> op_;
};

}  // namespace mayfly::io
