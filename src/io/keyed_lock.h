#pragma once
// A lock for coroutines of one loop, one for each key, first come first served: those who change
// the same thing wait for each other, others go on.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "io/body.h"

namespace mayfly::io {

class KeyedLock {
 public:
  // Releases on destruction. Must not outlive the lock.
  class Guard {
   public:
    Guard() = default;
    Guard(KeyedLock* owner, std::string key) : owner_(owner), key_(std::move(key)) {}
    Guard(Guard&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), key_(std::move(other.key_)) {}
    Guard& operator=(Guard&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Guard() {
      if (owner_ != nullptr) owner_->release(key_);
    }

   private:
    KeyedLock* owner_ = nullptr;
    std::string key_;
  };

  // An error only when the caller was cancelled while it waited.
  Task<Result<Guard>> lock(std::string key) {
    auto executor = co_await boost::asio::this_coro::executor;
    if (!held_.contains(key)) {
      held_.try_emplace(key);
      co_return Guard(this, std::move(key));
    }
    auto waiter = std::make_shared<Waiter>(executor);
    held_[key].push_back(waiter);
    co_await waiter->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (waiter->granted) co_return Guard(this, std::move(key));
    std::erase(held_[key], waiter);
    co_return Error{Code::cancelled, "The request was given up."};
  }

  bool held(const std::string& key) const { return held_.contains(key); }

 private:
  struct Waiter {
    explicit Waiter(const boost::asio::any_io_executor& executor)
        : timer(executor, boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer timer;
    bool granted = false;
  };

  void release(const std::string& key) {
    const auto found = held_.find(key);
    if (found == held_.end()) return;
    auto& waiting = found->second;
    if (waiting.empty()) {
      held_.erase(found);
      return;
    }
    const auto next = waiting.front();
    waiting.pop_front();
    next->granted = true;  // the key stays held, now by next
    next->timer.cancel();
  }

  std::unordered_map<std::string, std::deque<std::shared_ptr<Waiter>>> held_;
};

}  // namespace mayfly::io
