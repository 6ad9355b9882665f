#include "gateway/quotas.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mayfly::gateway {
namespace {

constexpr std::uint64_t kLeaseMax = 1000;
constexpr int kLeaseTries = 8;

// Takes up to wanted of what is left in the store; 0 when there is none. Blocks.
struct TakeLease {
  store::Store* store;
  std::string row, period;
  std::uint64_t quota, wanted;

  // The row is "PERIOD COUNT": one row for each key, whatever time passes.
  Result<std::uint64_t> operator()() const {
    for (int attempt = 0; attempt < kLeaseTries; ++attempt) {
      std::optional<std::string> before;
      auto there = store->get(row);
      if (there.has_value()) {
        before = *there;
      } else if (there.error().code != Code::not_found) {
        return std::move(there).error();
      }
      std::uint64_t used = 0;
      if (before && before->starts_with(period + " "))
        std::from_chars(before->data() + period.size() + 1, before->data() + before->size(), used);
      if (used >= quota) return std::uint64_t{0};
      const std::uint64_t taken = std::min(wanted, quota - used);
      store::Transaction transaction;
      transaction.require(row, before).put(row, period + " " + std::to_string(used + taken));
      const Status done = store->commit(transaction, store::Durability::synced);
      if (done.has_value()) return taken;
      if (done.error().code != Code::conflict) return done.error();
    }
    return Error{Code::unavailable, "The count of an API key is changed too often.", "quota"};
  }
};

}  // namespace

std::string period_name(functions::QuotaPeriod period, WallTime now) {
  const auto time = fmt::gmtime(static_cast<std::time_t>(to_epoch_ms(now) / 1000));
  switch (period) {
    case functions::QuotaPeriod::day:
      return fmt::format("{:%Y-%m-%d}", time);
    case functions::QuotaPeriod::week:
      return fmt::format("{:%G-W%V}", time);
    case functions::QuotaPeriod::month:
      break;
  }
  return fmt::format("{:%Y-%m}", time);
}

std::optional<bool> Quotas::from_memory(const std::string& key, const std::string& period,
                                        std::uint64_t quota) {
  Lease& lease = leases_[key];
  if (lease.period != period || lease.quota != quota) lease = {period, 0, false, quota};
  if (lease.left == 0) return lease.over ? std::optional(false) : std::nullopt;
  --lease.left;
  return true;
}

io::Task<Result<bool>> Quotas::take(std::string key, functions::UsagePlan plan) {
  if (plan.quota == 0) co_return true;
  const std::string period = period_name(plan.period, parts_.clock.wall_now());
  if (const auto known = from_memory(key, period, plan.quota)) co_return *known;
  auto locking = taking_.lock(key);
  const auto guard = co_await std::move(locking);
  if (guard.has_error()) co_return guard.error();
  if (const auto known = from_memory(key, period, plan.quota)) co_return *known;
  TakeLease job{&parts_.store, "gateway/quota/" + key, period, plan.quota,
                std::clamp<std::uint64_t>(plan.quota / 100, 1, kLeaseMax)};
  auto taking = parts_.pool.run(std::move(job));
  Result<std::uint64_t> taken = co_await std::move(taking);
  if (taken.has_error()) co_return std::move(taken).error();
  // Requests of another period or quota may have changed the lease meanwhile: then this one is its
  // own, and the rest is counted too much.
  if (*taken == 0) {
    Lease& now = leases_[key];
    if (now.period == period && now.quota == plan.quota) now.over = true;
    co_return false;
  }
  Lease& now = leases_[key];
  if (now.period == period && now.quota == plan.quota) now.left += *taken - 1;
  co_return true;
}

}  // namespace mayfly::gateway
