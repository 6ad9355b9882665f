#pragma once
// A few threads for calls that block (RocksDB, files, archives), so that event loops never do.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "io/body.h"

namespace mayfly::io {

class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads) : pool_(threads) {}
  ~BlockingPool() { pool_.join(); }

  // Runs work() on a thread of the pool and resumes the caller on its own loop with the result.
  // Not cancellable: the caller waits until work() returns. work must not throw.
  template <class Work>
  Task<std::invoke_result_t<Work&>> run(Work work) {
    using T = std::invoke_result_t<Work&>;
    auto slot = std::make_shared<std::optional<T>>();
    auto home = co_await boost::asio::this_coro::executor;
    // Named, not a temporary: gcc 12 destroys temporaries of a co_await expression twice.
    Launch<Work, T> launch(pool_, home, std::move(work), slot);
    co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
        std::move(launch), boost::asio::use_awaitable);
    co_return std::move(**slot);
  }

 private:
  template <class Work, class T>
  struct Launch {
    Launch(boost::asio::thread_pool& p, boost::asio::any_io_executor h, Work w,
           std::shared_ptr<std::optional<T>> s)
        : pool(&p), home(std::move(h)), work(std::move(w)), slot(std::move(s)) {}

    boost::asio::thread_pool* pool;
    boost::asio::any_io_executor home;
    Work work;
    std::shared_ptr<std::optional<T>> slot;

    template <class Handler>
    void operator()(Handler handler) {
      boost::asio::post(*pool, Job<Handler>{std::move(work), slot, home, std::move(handler)});
    }

    template <class Handler>
    struct Job {
      Work work;
      std::shared_ptr<std::optional<T>> slot;
      boost::asio::any_io_executor home;
      Handler handler;
      void operator()() {
        slot->emplace(work());
        boost::asio::post(home, std::move(handler));
      }
    };
  };

  boost::asio::thread_pool pool_;
};

}  // namespace mayfly::io
