#pragma once
// The queue engine of one server, on its store. What receivers need to find a message is in memory;
// bodies are too while they fit a budget, and are read from the store beyond it.
//
// Names that begin with a dot are for the platform's own queues: dialects do not show them, the
// limits of SQS on settings do not bind them, and what was received from them is visible again when
// the server starts: only the server itself receives from them.

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "io/blocking.h"
#include "queues/engine.h"
#include "store/committer.h"

namespace mayfly::queues {

struct EmbeddedSettings {
  // For bodies, all queues together (queues.memory_bytes_max).
  std::uint64_t memory_bytes_max = 256ull << 20;
};

// Thread safety: as QueueEngine, one loop.
class EmbeddedEngine : public QueueEngine {
 public:
  // Does what is due by the clock: delays, visibility, retention, waits. The engine calls it by its
  // own timer; tests call it after they moved a virtual clock.
  virtual void run_due() = 0;

  struct Memory {
    std::uint64_t messages = 0;    // of all queues
    std::uint64_t body_bytes = 0;  // that are in memory
  };
  virtual Memory memory() const = 0;
};

// All of them outlive the engine.
struct EmbeddedParts {
  boost::asio::any_io_executor loop;
  store::Store& store;
  store::Committer& committer;
  io::BlockingPool& pool;
  const Clock& clock;
  EmbeddedSettings settings;
};

// Reads the index of all queues from the store; blocks meanwhile.
Result<std::unique_ptr<EmbeddedEngine>> make_embedded_engine(EmbeddedParts parts);

}  // namespace mayfly::queues
