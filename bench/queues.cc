// The queue engine alone, on a store of its own in FOLDER: durable sends of 64 producers one by one
// and in tens; a backlog of a million, its memory, a restart on it, draining and purging it.
// bench_queues FOLDER [MESSAGES] [BACKLOG]

#include <malloc.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "queues/embedded.h"

namespace {

using namespace mayfly;

constexpr int kProducers = 64;
constexpr std::size_t kBodyBytes = 200;

struct Bench {
  explicit Bench(const std::string& folder, std::uint64_t memory)
      : store(std::move(*store::open_rocksdb(folder))), committer(*store, loop.get_executor()) {
    engine = std::move(*queues::make_embedded_engine(
        {loop.get_executor(), *store, committer, pool, clock, {memory}}));
  }
  boost::asio::io_context loop{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      loop.get_executor()};
  SystemClock clock;
  std::unique_ptr<store::Store> store;
  store::Committer committer;
  io::BlockingPool pool{4};
  std::unique_ptr<queues::EmbeddedEngine> engine;
  std::uint64_t left = 0, done = 0, failed = 0;
  std::vector<double> latency_ms;
};

double seconds_since(SteadyTime start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double resident_mb() {
  std::ifstream in("/proc/self/statm");
  double pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * 4096 / 1e6;
}

io::Task<void> produce(Bench* bench, std::string queue, std::size_t batch) {
  while (bench->left > 0) {
    const std::size_t count = std::min<std::uint64_t>(batch, bench->left);
    bench->left -= count;
    std::vector<queues::NewMessage> messages(count);
    for (auto& message : messages) message.body.assign(kBodyBytes, 'x');
    const auto start = std::chrono::steady_clock::now();
    const auto sent = co_await bench->engine->send(queue, std::move(messages));
    bench->latency_ms.push_back(seconds_since(start) * 1e3);
    for (const auto& one : sent) ++(one.has_value() ? bench->done : bench->failed);
  }
}

io::Task<void> consume(Bench* bench, std::string queue, std::uint32_t batch) {
  for (;;) {
    queues::ReceiveOptions options;
    options.max = batch;
    auto got = co_await bench->engine->receive(queue, options);
    if (got.has_error() || got->empty()) co_return;
    std::vector<std::string> receipts;
    for (auto& message : *got) receipts.push_back(std::move(message.receipt));
    const auto settled = co_await bench->engine->settle(queue, std::move(receipts));
    for (const auto& one : settled) ++(one.has_value() ? bench->done : bench->failed);
  }
}

io::Task<void> make(Bench* bench, std::string name) {
  queues::QueueInfo info;
  info.name = name;
  const auto made = co_await bench->engine->create(std::move(info));
  if (made.has_error()) std::abort();
}

io::Task<void> purge(Bench* bench, std::string name) {
  const auto purged = co_await bench->engine->purge(name);
  if (purged.has_error()) std::abort();
}

void spawn(Bench& bench, io::Task<void> task) {
  boost::asio::co_spawn(bench.loop, std::move(task), [](std::exception_ptr failed) {
    if (failed) std::abort();
  });
}
// Runs until nothing is under way but timers.
void run(Bench& bench, const std::function<bool()>& done) {
  while (!done()) bench.loop.run_one();
}

void report(Bench& bench, const char* what, double seconds) {
  auto& all = bench.latency_ms;
  std::sort(all.begin(), all.end());
  const auto at = [&all](double share) {
    return all.empty() ? 0.0 : all[static_cast<std::size_t>(share * double(all.size() - 1))];
  };
  const auto totals = bench.committer.totals();
  std::printf(
      "%-28s %9.0f/s  p50 %6.2f ms  p99 %6.2f ms  max %6.2f ms  failed %llu  (%.1f a group)\n",
      what, double(bench.done) / seconds, at(0.5), at(0.99), at(1.0),
      static_cast<unsigned long long>(bench.failed),
      double(totals.transactions) / double(std::max<std::uint64_t>(1, totals.groups)));
  std::fflush(stdout);
  all.clear();
}

void send_many(Bench& bench, const char* what, const std::string& queue, std::uint64_t count,
               std::size_t batch) {
  bench.left = count;
  bench.done = bench.failed = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kProducers; ++i) spawn(bench, produce(&bench, queue, batch));
  run(bench, [&] { return bench.done + bench.failed == count; });
  report(bench, what, seconds_since(start));
}

void backlog(const std::string& folder, std::uint64_t count) {
  {
    Bench bench(folder, 0);
    spawn(bench, make(&bench, "backlog"));
    run(bench, [&] { return bench.engine->find("backlog") != nullptr; });
    malloc_trim(0);
    const double before = resident_mb();
    send_many(bench, "backlog, in hundreds", "backlog", count, 100);
    malloc_trim(0);
    std::printf(
        "memory                       %9.0f bytes a message (resident, bodies on the store)\n",
        (resident_mb() - before) * 1e6 / double(count));
  }
  const auto start = std::chrono::steady_clock::now();
  Bench bench(folder, 0);
  std::printf("start on the backlog         %9.2f s\n", seconds_since(start));
  bench.done = bench.failed = 0;
  const auto drained = std::chrono::steady_clock::now();
  for (int i = 0; i < kProducers; ++i) spawn(bench, consume(&bench, "backlog", 10));
  run(bench, [&] { return bench.done + bench.failed == count; });
  report(bench, "drain, in tens", seconds_since(drained));

  send_many(bench, "backlog again", "backlog", count, 100);
  const auto purged = std::chrono::steady_clock::now();
  spawn(bench, purge(&bench, "backlog"));
  double longest = 0;
  while (bench.engine->memory().messages > 0) {
    const auto turn = std::chrono::steady_clock::now();
    bench.loop.poll_one();
    longest = std::max(longest, seconds_since(turn) * 1e3);
  }
  std::printf("purge                        %9.2f s, longest turn of the loop %.2f ms\n",
              seconds_since(purged), longest);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "bench_queues FOLDER [MESSAGES] [BACKLOG]\n");
    return 2;
  }
  const std::string folder = argv[1];
  const std::uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 300'000;
  const std::uint64_t behind = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1'000'000;
  {
    Bench bench(folder + "/a", 256u << 20);
    spawn(bench, make(&bench, "q"));
    run(bench, [&] { return bench.engine->find("q") != nullptr; });
    send_many(bench, "send one by one", "q", messages, 1);
    send_many(bench, "send in tens", "q", messages, 10);
    bench.done = bench.failed = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kProducers; ++i) spawn(bench, consume(&bench, "q", 10));
    run(bench, [&] { return bench.done + bench.failed == 2 * messages; });
    report(bench, "drain from memory, in tens", seconds_since(start));
  }
  backlog(folder + "/b", behind);
  return 0;
}
