#include "dialects/native/package_keeper.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace mayfly::dialects::native {

namespace asio = boost::asio;

PackageKeeper::PackageKeeper(Parts parts)
    : parts_(std::move(parts)), settled_(parts_.loop, SteadyTime::max()), later_(parts_.loop) {}

PackageKeeper::Hold::~Hold() {
  if (keeper_ && --keeper_->holds_ == 0 && keeper_->wanted_) keeper_->collect();
}

io::Task<PackageKeeper::Hold> PackageKeeper::hold() {
  const auto self = shared_from_this();
  while (running_) {
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await settled_.async_wait(token);
  }
  ++holds_;
  co_return Hold(self);
}

void PackageKeeper::touch(const std::string& sha256) {
  keep_until_[sha256] = parts_.clock.steady_now() + parts_.grace;
}

void PackageKeeper::collect() {
  if (running_ || holds_ > 0) {
    wanted_ = true;
    return;
  }
  running_ = true;
  wanted_ = false;
  asio::co_spawn(parts_.loop, run(shared_from_this()), [](std::exception_ptr failed) {
    if (failed) log::error("deleting unused packages broke off");
  });
}

io::Task<void> PackageKeeper::run(std::shared_ptr<PackageKeeper> self) {
  const SteadyTime now = self->parts_.clock.steady_now();
  std::erase_if(self->keep_until_, [now](const auto& each) { return each.second <= now; });
  std::set<std::string> keep = self->parts_.in_use();
  for (const auto& [sha256, until] : self->keep_until_) keep.insert(sha256);
  auto work = [collect = self->parts_.collect, keep] { return collect(keep); };
  const std::size_t removed = co_await self->parts_.pool.run(work);
  if (removed > 0) log::info("deleted {} packages that nothing uses any more", removed);
  self->running_ = false;
  self->settled_.cancel();
  self->arm();
  if (self->wanted_) self->collect();
}

void PackageKeeper::arm() {
  const auto in_use = parts_.in_use();
  SteadyTime earliest = SteadyTime::max();
  for (const auto& [sha256, until] : keep_until_)
    if (!in_use.contains(sha256)) earliest = std::min(earliest, until);
  if (earliest == SteadyTime::max()) return;
  later_.expires_at(earliest);
  later_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (const auto self = weak.lock(); self && !cancelled) self->collect();
  });
}

}  // namespace mayfly::dialects::native
