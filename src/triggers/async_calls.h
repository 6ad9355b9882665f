#pragma once
// The one durable way by which anything invokes a function without waiting: async calls over HTTP,
// schedules, topics, rules, destinations. A call is accepted once it is on disk; then it runs as
// soon as the dispatcher has room, comes again with backoff when it fails, and ends with a record
// that can be looked up, cancelled or run again. Deliveries to other targets ride along the same
// way. How: docs/decisions/0015-async-calls-and-schedules.md.
//
// Belongs to the engine's loop. Calls of one function wait in a queue of their own, so that a slow
// function holds back nobody else.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/invocation.h"
#include "io/blocking.h"
#include "queues/engine.h"
#include "store/committer.h"
#include "triggers/call_record.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

// Settings calls.*; a function's own `async:` goes before the first two.
struct CallSettings {
  std::uint32_t retries = 2;
  std::int64_t max_age_s = 21'600;
  std::uint32_t backoff_ms = 1'000, backoff_ms_max = 300'000;
  std::uint64_t inline_bytes_max = 256 * 1024;  // a longer payload goes to a file
  std::uint64_t payload_bytes_max = 64u << 20;
  std::uint64_t result_bytes_max = 64 * 1024;   // of an answer that is kept; the rest is cut
  std::uint64_t keep_payload_bytes = 4 * 1024;  // of succeeded calls, so that they can run again
  std::int64_t keep_s = 86'400;                 // records of calls that are over
  std::uint64_t records_max = 1'000'000;        // then the oldest that are over go before that
  std::int64_t idempotency_s = 86'400;
  std::uint32_t concurrency_max = 512;  // calls of one function that are begun at once
  std::uint32_t hold_s = 30;            // for so long at a time a call that runs is held
};

struct NewCall {
  CallMessage message;  // without id and time
  // The same key for the same target within idempotency_s is the same call; may be empty.
  std::string idempotency_key;
};

struct AcceptedCall {
  std::string id;
  bool duplicate = false;  // of an earlier one, by its idempotency key
};

// What makes a call durable, to be part of a larger batch.
struct PreparedCall {
  std::string id;
  std::string queue;
  queues::NewMessage message;
  std::vector<store::Entry> puts;
  void add_to(queues::Batch& batch) &&;
};

struct CallFilter {
  std::string function;
  std::optional<CallState> state;
  std::string before;  // id: older than this one
  std::size_t limit = 100;
};
struct CallPage {
  std::vector<CallRecord> calls;  // newest first, without results and payloads
  std::string next;               // for before; empty: there are no more
};

class AsyncCalls {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    queues::QueueEngine& queues;
    store::Store& store;
    store::Committer& committer;
    io::BlockingPool& pool;
    const Clock& clock;
    Targets& targets;  // gets the kind function from here
    std::function<functions::VersionPtr(const std::string& name, const std::string& qualifier)>
        find_version;
    engine::Invoke invoke;
    CallSettings settings;
    std::string region, account;  // for ARNs
    std::string spill_folder;
    // Settings of the name that a call goes by, in place of its version's; null: there are none.
    std::function<std::optional<functions::AsyncSettings>(const std::string& name,
                                                          const std::string& qualifier)>
        find_own_settings = {};
    // How many calls of a function may be begun at once just now, since somebody waits for the
    // cores: at least 1. accepting: calls are being accepted. Null: as many as there is room for.
    std::function<std::uint32_t(const std::string& function, bool accepting)> begun_most = {};
  };
  explicit AsyncCalls(Parts parts);
  ~AsyncCalls();

  // At start, before start(); blocks. Reads what an earlier server left.
  Status open();
  // Begins to run calls.
  void start();

  // Durable when it resumes. The call is taken apart, and lives until then. invalid_argument,
  // too_large, unavailable (stopping), io_error.
  io::Task<Result<AcceptedCall>> accept(NewCall&& call);
  // Everything but the commit; no idempotency key. A payload over the inline limit is in its file
  // then, and is removed at the next start when nobody commits.
  io::Task<Result<PreparedCall>> prepare(NewCall call);
  // A delivery as part of a batch: straight into its queue when the target is one, else as a call.
  io::Task<Status> add_delivery(queues::Batch* batch, Target target, Delivery delivery,
                                std::uint32_t hops);

  // By the call's id, or by the alias (X-Call-Id) of the newest call that has it. not_found.
  io::Task<Result<CallRecord>> find(std::string id);
  io::Task<Result<CallPage>> list(CallFilter filter);
  // It does not run (again), and is told so when it runs. conflict when it is over.
  io::Task<Result<CallRecord>> cancel(std::string id);
  // A new call with the payload of one that is over. conflict when that runs, or was not kept.
  io::Task<Result<AcceptedCall>> run_again(std::string id);

  // Takes no more calls from the queues; what runs has this long, then it is given back to run
  // after the next start. Total.
  io::Task<void> stop(milliseconds grace);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// Refuses targets under `async:` that are none; for the ways in of deploys.
Status check_async_targets(const functions::AsyncSettings& settings);

}  // namespace mayfly::triggers
