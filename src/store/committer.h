#pragma once
// Group commit: many small transactions share one write and one fsync. One thread writes; all that
// comes while it does is its next group. Completions come back to the loop together, in the order
// in which the transactions were handed over, which is the order in which they are evaluated.

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "io/body.h"
#include "store/store.h"

namespace mayfly::store {

// Belongs to one loop: commit(), submit() and the completions run there. The store outlives it.
class Committer {
 public:
  Committer(Store& store, boost::asio::any_io_executor loop);
  // Writes what was handed over; completions that have not run by then never do.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Resumes when the transaction is written (synced: durable) or refused; errors as
  // Store::commit. Not cancellable. Buffered transactions force no sync.
  io::Task<Status> commit(Transaction transaction, Durability durability);

  // The same for callers that are no coroutine. done gets the transaction back, for what it may
  // want to move out of it. An empty transaction is a barrier: it completes behind all before it.
  using Done = std::function<void(const Status&, Transaction&)>;
  void submit(Transaction transaction, Durability durability, Done done);

  // What it did so far. Any thread.
  struct Totals {
    std::uint64_t groups = 0, transactions = 0;
  };
  Totals totals() const;

 private:
  struct Work {
    Transaction transaction;
    Durability durability;
    Done done;
    Status status;
  };
  using Group = std::vector<Work>;
  struct Launch;

  void hand_over();
  void run();

  Store& store_;
  const boost::asio::any_io_executor loop_;
  Group gathered_;  // of this turn of the loop
  bool flush_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::atomic<bool> idle_{true};  // the writer waits

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Protected by mutex_.
  Group queued_;
  bool stopping_ = false;
  Totals totals_;

  std::thread writer_;
};

}  // namespace mayfly::store
