#include "engine/pool_stats.h"

#include <algorithm>

namespace mayfly::engine {

void add(PoolStats& sum, const PoolStats& more) {
  sum.instances += more.instances;
  sum.starting += more.starting;
  sum.busy += more.busy;
  sum.running += more.running;
  sum.waiting += more.waiting;
  sum.memory_bytes += more.memory_bytes;
  sum.templates += more.templates;
  sum.template_bytes += more.template_bytes;
  sum.shells += more.shells;
  sum.clones += more.clones;
  if (sum.start_failure.empty()) sum.start_failure = more.start_failure;
}

void merge(std::vector<PoolStats>& all, const std::vector<PoolStats>& more) {
  for (const auto& one : more) {
    const auto known = std::find_if(all.begin(), all.end(), [&one](const PoolStats& each) {
      return each.function == one.function && each.version == one.version &&
             each.revision == one.revision;
    });
    if (known == all.end())
      all.push_back(one);
    else
      add(*known, one);
  }
}

}  // namespace mayfly::engine
