#pragma once
// One place where one coroutine waits until it is woken: no timer, no allocation of its own. On one
// loop only.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "io/body.h"

namespace mayfly::engine {

class Park {
 public:
  using Handler =
      typename boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;

  Park() = default;
  Park(const Park&) = delete;
  Park& operator=(const Park&) = delete;

  // Resumes after wake(); at once when wake() came before. False: the waiting coroutine was
  // cancelled (terminal). The object must outlive the wait.
  io::Task<bool> wait() {
    if (std::exchange(woken_, false)) co_return true;
    bool cancelled = false;
    Initiate initiate{this, &cancelled};
    co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
        std::move(initiate), boost::asio::use_awaitable);
    co_return !cancelled;
  }

  bool waiting() const { return handler_.has_value(); }

  // Lets the waiter go on in a later turn of the loop. Several wake-ups before a wait() are one.
  void wake() {
    auto handler = release();
    if (!handler) return;
    auto executor = handler->get_executor();
    boost::asio::post(executor, std::move(*handler));
  }

  // The same, for a timer whose target is a Park.
  static void wake_by(void* park) { static_cast<Park*>(park)->wake(); }

  // For callers that are a loop's own handler and touch nothing of theirs afterwards: the waiter
  // runs inside the returned call.
  std::optional<Handler> release() {
    if (!handler_) {
      woken_ = true;
      return std::nullopt;
    }
    std::optional<Handler> handler(std::move(handler_));
    handler_.reset();
    return handler;
  }

 private:
  struct Initiate {
    Park* park;
    bool* cancelled;
    void operator()(Handler handler) {
      const auto slot = boost::asio::get_associated_cancellation_slot(handler);
      park->handler_.emplace(std::move(handler));
      // The handler clears the slot by itself when it runs.
      if (slot.is_connected()) boost::asio::cancellation_slot(slot).assign(Cancel{park, cancelled});
    }
  };
  struct Cancel {
    Park* park;
    bool* cancelled;
    void operator()(boost::asio::cancellation_type type) {
      if ((type & boost::asio::cancellation_type::terminal) == boost::asio::cancellation_type::none)
        return;
      if (!park->handler_) return;  // woken already
      *cancelled = true;
      park->wake();
    }
  };

  std::optional<Handler> handler_;
  bool woken_ = false;
};

}  // namespace mayfly::engine
