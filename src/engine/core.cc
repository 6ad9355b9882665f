#include "engine/core.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "engine/instance.h"
#include "engine/pool.h"
#include "engine/template_keeper.h"

namespace mayfly::engine {
namespace {

std::uint64_t machine_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)
             : 1ull << 30;
}

}  // namespace

Core::Core(Dispatcher::Parts parts)
    : executor(parts.loop.get_executor()),
      sandboxes(parts.sandboxes),
      telemetry(parts.telemetry),
      metrics(parts.metrics),
      clock(parts.clock),
      protocols(std::move(parts.protocols)),
      runtimes(parts.runtimes),
      settings(std::move(parts.settings)),
      services(parts.services),
      admit(std::move(parts.admit)),
      warm(std::move(parts.warm)),
      door(parts.door),
      cores(std::max(1u, std::thread::hardware_concurrency())),
      timers(parts.loop.get_executor(), parts.clock),
      templates(std::make_unique<TemplateShelf>(settings.templates_bytes_max != 0
                                                    ? settings.templates_bytes_max
                                                    : machine_memory() / 10 * 2)) {
  if (settings.memory_bytes_max == 0) settings.memory_bytes_max = machine_memory() / 10 * 8;
  if (settings.starts_parallel_max == 0) settings.starts_parallel_max = 2 * cores;
  node.memory_max = settings.memory_bytes_max;
  node.instances_max = settings.instances_max;
}

Core::~Core() = default;

std::string Core::key_of(const functions::Version& version) const {
  return fmt::format("{}:{}:{}", version.function, version.number, version.revision);
}

std::shared_ptr<Pool> Core::pool_for(const functions::VersionPtr& version) {
  if (const auto found = by_address_.find(version.get()); found != by_address_.end())
    return found->second;
  auto key = key_of(*version);
  auto& pool = pools[key];
  if (!pool) pool = std::make_shared<Pool>(shared_from_this(), version, key);
  // Only the object that the pool holds may be found by its address: others may die.
  if (pool->version() == version) by_address_[version.get()] = pool;
  return pool;
}

std::shared_ptr<Pool> Core::find_pool(const functions::Version& version) const {
  const auto found = pools.find(key_of(version));
  return found == pools.end() ? nullptr : found->second;
}

void Core::forget_address(const functions::Version* version) {
  by_address_.erase(version);
}

void Core::forget(const Pool& pool) {
  by_address_.erase(pool.version().get());
  const auto found = pools.find(pool.key());
  if (found != pools.end() && found->second.get() == &pool) pools.erase(found);
}

void Core::forget_all() {
  launch_queue_.clear();
  by_address_.clear();
  const auto gone = std::exchange(pools, {});  // a pool that ends may ask for the others
}

void Core::queue_launch(std::shared_ptr<Pool> pool) {
  if (std::find(launch_queue_.begin(), launch_queue_.end(), pool) == launch_queue_.end())
    launch_queue_.push_back(std::move(pool));
  pump_launches();
}

void Core::launch_over() {
  --launching_;
  pump_launches();
}

void Core::pump_launches() {
  if (pumping_) return;  // a launch that fails at once comes back in here
  pumping_ = true;
  while (launching_ < settings.starts_parallel_max && !launch_queue_.empty()) {
    const auto pool = std::move(launch_queue_.front());
    launch_queue_.pop_front();
    ++launching_;  // before: a start may fail, and be over, at once
    const auto launched = pool->launch_next();
    if (launched == Pool::Launch::none) --launching_;
    if (launched == Pool::Launch::one_and_more) launch_queue_.push_back(pool);
  }
  pumping_ = false;
}

bool Core::reserve(const Pool& pool, std::uint64_t memory_bytes) {
  if (!fits(memory_bytes)) {
    std::vector<std::shared_ptr<Instance>> candidates;
    std::vector<scaler::Idle> idle;
    for (const auto& [key, other] : pools) {
      if (other.get() == &pool) continue;
      for (auto& instance : other->idle_instances()) {
        idle.push_back({instance->idle_since, instance->memory_bytes(), other->rebuild_cost()});
        candidates.push_back(std::move(instance));
      }
    }
    const auto victims = scaler::make_room(node, memory_bytes, idle, now());
    if (!victims) return false;
    for (const auto index : *victims) candidates[index]->make_way();
  }
  ++node.instances;
  node.memory_used += memory_bytes;
  return true;
}

void Core::release(std::uint64_t memory_bytes) {
  --node.instances;
  node.memory_used -= memory_bytes;
}

std::string Core::why_full(std::uint64_t memory_bytes) const {
  if (node.instances >= node.instances_max)
    return fmt::format(
        "all {} instances that this machine may run are busy "
        "(setting engine.instances_max)",
        node.instances_max);
  return fmt::format(
      "an instance needs {} MB and {} of {} MB are committed to busy instances "
      "(setting engine.memory_bytes_max)",
      memory_bytes >> 20, node.memory_used >> 20, node.memory_max >> 20);
}

const ProtocolFactory* Core::factory_for(const functions::Version& version) const {
  for (const auto* factory : protocols)
    if (factory->serves(version)) return factory;
  return nullptr;
}

void Core::call_over() {
  if (--calls_running == 0) quiet.wake();
}

}  // namespace mayfly::engine
