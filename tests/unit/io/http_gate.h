#pragma once
// Fakes that the tests of server and client steer from another thread.

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <future>
#include <memory>

#include "io/http.h"

namespace mayfly::io::testing {

// Holds coroutines back until open(). Tells the test that one has arrived, or was cancelled.
class Gate : public std::enable_shared_from_this<Gate> {
 public:
  static std::shared_ptr<Gate> make() { return std::make_shared<Gate>(); }

  Task<bool> pass(std::shared_ptr<Gate> self) {
    const auto executor = co_await boost::asio::this_coro::executor;
    timer_ = std::make_unique<boost::asio::steady_timer>(executor);
    timer_->expires_at(boost::asio::steady_timer::time_point::max());
    if (!arrived_set_.exchange(true)) arrived_.set_value();
    boost::system::error_code ignored;
    auto token = boost::asio::redirect_error(boost::asio::use_awaitable, ignored);
    while (!open_ && !self->cancelled_seen_) {
      co_await timer_->async_wait(token);
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        self->cancelled_seen_ = true;
        cancelled_.set_value();
      }
    }
    timer_.reset();
    co_return open_;
  }

  void open(boost::asio::io_context& loop) {
    boost::asio::post(loop, [self = shared_from_this()] {
      self->open_ = true;
      if (self->timer_) self->timer_->cancel();
    });
  }
  // False when it takes longer than 10 s.
  bool wait_arrived() { return wait(arrived_); }
  bool wait_cancelled() { return wait(cancelled_); }

 private:
  static bool wait(std::promise<void>& promise) {
    return promise.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  }
  std::unique_ptr<boost::asio::steady_timer> timer_;
  std::atomic<bool> open_{false};
  std::atomic<bool> arrived_set_{false};
  bool cancelled_seen_ = false;
  std::promise<void> arrived_, cancelled_;
};

// Answers a request with text once the gate is open.
inline Task<HttpResponse> answer_behind(std::shared_ptr<Gate> gate, std::string text) {
  co_await gate->pass(gate);
  co_return text_response(200, std::move(text));
}

// Yields its pieces; at an empty piece it first waits for the gate; ends or fails after the last.
class ScriptedBody final : public BodyReader {
 public:
  ScriptedBody(std::deque<std::string> pieces, std::shared_ptr<Gate> gate = nullptr,
               bool fails = false, std::shared_ptr<std::promise<void>> destroyed = nullptr)
      : pieces_(std::move(pieces)),
        gate_(std::move(gate)),
        fails_(fails),
        destroyed_(std::move(destroyed)) {}
  ~ScriptedBody() override {
    if (destroyed_) destroyed_->set_value();
  }
  Task<Result<std::string>> read() override {
    if (!pieces_.empty() && pieces_.front().empty()) {
      pieces_.pop_front();
      const bool passed = co_await gate_->pass(gate_);
      if (!passed) co_return Error{Code::cancelled, "cancelled"};
    }
    if (pieces_.empty()) {
      if (fails_) co_return Error{Code::unavailable, "the source is gone"};
      co_return std::string();
    }
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    co_return piece;
  }

 private:
  std::deque<std::string> pieces_;
  std::shared_ptr<Gate> gate_;
  bool fails_;
  std::shared_ptr<std::promise<void>> destroyed_;
};

}  // namespace mayfly::io::testing
