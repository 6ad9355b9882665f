#pragma once
// How many requests each API key has had in its day, week or month. The counts last: they are taken
// from the store in leases, so that not every request waits for the disk; the end of a server, by
// a crash or not, counts at most the rest of one lease too much. Belongs to one loop.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "functions/api.h"
#include "io/blocking.h"
#include "io/body.h"
#include "io/keyed_lock.h"
#include "store/store.h"

namespace mayfly::gateway {

// "2026-11-21", "2026-W47" or "2026-11", in UTC.
std::string period_name(functions::QuotaPeriod period, WallTime now);

class Quotas {
 public:
  struct Parts {
    store::Store& store;
    io::BlockingPool& pool;
    const Clock& clock;
  };
  explicit Quotas(Parts parts) : parts_(parts) {}

  // False when the key has had its share. key names plan and key of one application.
  io::Task<Result<bool>> take(std::string key, functions::UsagePlan plan);

 private:
  struct Lease {
    std::string period;
    std::uint64_t left = 0;
    bool over = false;  // the store has no more for this period
    std::uint64_t quota = 0;
  };
  // What the lease in memory says; nullopt: it is used up, or of another period.
  std::optional<bool> from_memory(const std::string& key, const std::string& period,
                                  std::uint64_t quota);

  Parts parts_;
  io::KeyedLock taking_;  // one lease at a time, or a crash would count several too much
  std::map<std::string, Lease> leases_;
};

}  // namespace mayfly::gateway
