#pragma once
// A queue engine that keeps what was committed, for tests of what sends; also goes to the store.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "queues/engine.h"

namespace mayfly::triggers::testing {

class RecordingQueues final : public queues::QueueEngine {
 public:
  explicit RecordingQueues(store::Store& store) : store_(store) {}

  void add(const std::string& name, std::uint32_t bytes_max = 1'048'576) {
    auto info = std::make_shared<queues::QueueInfo>();
    info->name = name;
    info->settings.fifo = name.ends_with(".fifo");
    info->settings.message_bytes_max = bytes_max;
    queues_[name] = info;
  }
  void drop(const std::string& name) { queues_.erase(name); }

  // By queue, in the order in which they came.
  std::map<std::string, std::vector<queues::NewMessage>> sent;
  std::uint32_t commits = 0;
  Status fail_next = ok();

  io::Task<Result<std::vector<queues::Sent>>> commit(queues::Batch batch) override {
    ++commits;
    if (fail_next.has_error()) {
      const Error error = fail_next.error();
      fail_next = ok();
      co_return error;
    }
    for (const auto& [queue, message] : batch.sends)
      if (!queues_.contains(queue)) co_return Error{Code::not_found, "no queue " + queue};
    if (Status written = store_.commit(batch.also, store::Durability::synced); written.has_error())
      co_return written.error();
    std::vector<queues::Sent> results;
    for (auto& [queue, message] : batch.sends) {
      sent[queue].push_back(std::move(message));
      results.push_back({queue + "-" + std::to_string(sent[queue].size())});
    }
    co_return results;
  }

  queues::QueuePtr find(const std::string& name) const override {
    const auto found = queues_.find(name);
    return found == queues_.end() ? nullptr : found->second;
  }
  std::vector<queues::QueuePtr> list() const override { return {}; }
  Result<queues::Counts> counts(const std::string&) const override { return queues::Counts{}; }
  io::Task<Status> create(queues::QueueInfo info) override {
    add(info.name);
    co_return ok();
  }
  io::Task<Status> update(queues::QueueInfo, queues::QueuePtr) override { co_return ok(); }
  io::Task<Status> remove(std::string name) override {
    drop(name);
    co_return ok();
  }
  io::Task<std::vector<Result<queues::Sent>>> send(
      std::string queue, std::vector<queues::NewMessage> messages) override {
    std::vector<Result<queues::Sent>> results;
    for (auto& message : messages) {
      sent[queue].push_back(std::move(message));
      results.emplace_back(queues::Sent{});
    }
    co_return results;
  }
  io::Task<Result<std::vector<queues::Message>>> receive(std::string,
                                                         queues::ReceiveOptions) override {
    co_return std::vector<queues::Message>();
  }
  io::Task<std::vector<Status>> settle(std::string, std::vector<std::string> receipts) override {
    co_return std::vector<Status>(receipts.size());
  }
  io::Task<std::vector<Status>> change_visibility(std::string,
                                                  std::vector<Visibility> changes) override {
    co_return std::vector<Status>(changes.size());
  }
  io::Task<Status> dead_letter(std::string, std::vector<std::string>, std::string,
                               std::string) override {
    co_return ok();
  }
  io::Task<Result<std::uint32_t>> move(std::string, std::string, std::uint32_t) override {
    co_return 0u;
  }
  io::Task<Status> purge(std::string) override { co_return ok(); }
  io::Task<Result<std::vector<queues::Message>>> peek(std::string, std::uint32_t) override {
    co_return std::vector<queues::Message>();
  }
  io::Task<void> stop() override { co_return; }

 private:
  store::Store& store_;
  std::map<std::string, queues::QueuePtr> queues_;
};

// Runs a task to its end on a loop that has nothing else to do.
template <class T>
T run(boost::asio::io_context& loop, io::Task<T> task) {
  std::optional<T> result;
  std::exception_ptr failed;
  boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr thrown, T value) {
    failed = thrown;
    if (!thrown) result.emplace(std::move(value));
  });
  loop.restart();
  while (!result && !failed && loop.run_one() > 0) {
  }
  if (failed) std::rethrow_exception(failed);
  return std::move(*result);
}

class TestClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return SteadyTime(wall.time_since_epoch()); }
  WallTime wall_now() const override { return wall; }
  WallTime wall = from_epoch_us(1'795'255'200'000'000);  // 2026-11-21T10:00:00Z
};

}  // namespace mayfly::triggers::testing
