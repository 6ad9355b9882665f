#pragma once
// What the pools of one node share: the parts they were built from, the timers, the machine's room
// and the gate for starts. Private to the engine; on one loop only.

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "engine/dispatcher.h"
#include "engine/park.h"
#include "engine/scaler.h"
#include "engine/timer_queue.h"

namespace mayfly::engine {

class Pool;
class TemplateShelf;

class Core : public std::enable_shared_from_this<Core> {
 public:
  explicit Core(Dispatcher::Parts parts);
  ~Core();

  // The pool of a version; made when there is none.
  std::shared_ptr<Pool> pool_for(const functions::VersionPtr& version);
  std::shared_ptr<Pool> find_pool(const functions::Version& version) const;
  void forget(const Pool& pool);
  void forget_address(const functions::Version* version);
  // At the end: pools and core own each other until then.
  void forget_all();

  // Asks for one start after another for as long as the pool wants more; fair between pools.
  void queue_launch(std::shared_ptr<Pool> pool);
  void launch_over();

  // Books room for an instance, ending idle ones of other pools when that is what it takes.
  bool reserve(const Pool& pool, std::uint64_t memory_bytes);
  void release(std::uint64_t memory_bytes);
  bool fits(std::uint64_t memory_bytes) const { return scaler::fits(node, memory_bytes); }
  // Which setting is in the way, as a sentence for the caller who is refused.
  std::string why_full(std::uint64_t memory_bytes) const;

  const ProtocolFactory* factory_for(const functions::Version& version) const;
  SteadyTime now() const { return clock.steady_now(); }

  void call_began() { ++calls_running; }
  void call_over();

  boost::asio::any_io_executor executor;
  sandbox::Sandboxes& sandboxes;
  telemetry::Telemetry& telemetry;
  telemetry::Metrics& metrics;
  const Clock& clock;
  const std::vector<const ProtocolFactory*> protocols;
  const functions::RuntimeTable& runtimes;
  EngineSettings settings;
  FunctionServices* const services;  // may be null
  const Admit admit;                 // may be null
  const Warm warm;                   // may be null
  ServicesDoor* const door;          // may be null
  std::uint32_t cores;

  TimerQueue timers;
  scaler::NodeView node;
  const std::unique_ptr<TemplateShelf> templates;  // outlives the pools
  std::unordered_map<std::string, std::shared_ptr<Pool>> pools;
  bool stopping = false;
  std::uint64_t calls_running = 0;
  SteadyTime awaited_at{};  // when the last call came that somebody waits for
  Park quiet;               // stop() waits here for the last call

 private:
  void pump_launches();
  std::string key_of(const functions::Version& version) const;

  std::deque<std::shared_ptr<Pool>> launch_queue_;
  std::uint32_t launching_ = 0;
  bool pumping_ = false;
  // The hot path finds its pool by the address of the version, which the pool keeps alive.
  std::unordered_map<const functions::Version*, std::shared_ptr<Pool>> by_address_;
};

}  // namespace mayfly::engine
