#include "store/committer.h"

#include <boost/asio/post.hpp>

namespace mayfly::store {

namespace asio = boost::asio;

namespace {

// Worth a sync of its own where the disk has nothing else to do.
constexpr std::size_t kEnough = 16;

using Handler = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;

// A waiting coroutine: std::function wants what can be copied.
struct Waiting {
  std::optional<Handler> handler;
  Status status;
};

}  // namespace

struct Committer::Launch {
  Committer* committer;
  Transaction transaction;
  Durability durability;
  std::shared_ptr<Waiting> waiting;

  void operator()(Handler handler) {
    waiting->handler.emplace(std::move(handler));
    committer->submit(std::move(transaction), durability,
                      [waiting = waiting](const Status& status, Transaction&) {
                        waiting->status = status;
                        Handler local(std::move(*waiting->handler));
                        waiting->handler.reset();
                        local();
                      });
  }
};

Committer::Committer(Store& store, asio::any_io_executor loop)
    : store_(store), loop_(std::move(loop)), writer_([this] { run(); }) {}

Committer::~Committer() {
  *alive_ = false;
  {
    std::lock_guard lock(mutex_);
    for (auto& work : gathered_) queued_.push_back(std::move(work));
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

io::Task<Status> Committer::commit(Transaction transaction, Durability durability) {
  auto waiting = std::make_shared<Waiting>();
  // Named, not a temporary: gcc 12 destroys temporaries of a co_await expression twice.
  Launch launch{this, std::move(transaction), durability, waiting};
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(std::move(launch),
                                                                       asio::use_awaitable);
  co_return waiting->status;
}

void Committer::submit(Transaction transaction, Durability durability, Done done) {
  gathered_.push_back({std::move(transaction), durability, std::move(done), ok()});
  // A writer that waits begins with a part of the turn: otherwise the loop and the writer take
  // turns when many requests come at once, and neither uses its core.
  if (gathered_.size() >= kEnough && idle_.load(std::memory_order_relaxed)) hand_over();
  if (std::exchange(flush_posted_, true)) return;
  // What this turn of the loop still brings goes along.
  asio::post(loop_, [this, alive = alive_] {
    if (!*alive) return;
    flush_posted_ = false;
    if (!gathered_.empty()) hand_over();
  });
}

void Committer::hand_over() {
  {
    std::lock_guard lock(mutex_);
    if (queued_.empty())
      queued_.swap(gathered_);
    else
      for (auto& work : gathered_) queued_.push_back(std::move(work));
  }
  gathered_.clear();
  wake_.notify_one();
}

void Committer::run() {
  std::vector<Store::Change> changes;
  for (;;) {
    auto group = std::make_shared<Group>();
    {
      std::unique_lock lock(mutex_);
      idle_ = queued_.empty();
      wake_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
      idle_ = false;
      if (queued_.empty()) return;
      group->swap(queued_);
      ++totals_.groups;
      totals_.transactions += group->size();
    }
    changes.clear();
    for (const auto& work : *group) changes.push_back({&work.transaction, work.durability, ok()});
    store_.commit_group(changes);
    for (std::size_t i = 0; i < changes.size(); ++i)
      (*group)[i].status = std::move(changes[i].status);
    asio::post(loop_, [group = std::move(group), alive = alive_] {
      for (auto& work : *group)
        if (*alive && work.done) work.done(work.status, work.transaction);
    });
  }
}

Committer::Totals Committer::totals() const {
  std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace mayfly::store
