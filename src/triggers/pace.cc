#include "triggers/pace.h"

#include <algorithm>
#include <cmath>

namespace mayfly::triggers {
namespace {

constexpr auto kSoon = milliseconds(20);
constexpr auto kLong = milliseconds(150);
constexpr double kClose = 0.7;
constexpr double kNothingLeft = 0.15, kMuchLeft = 0.4;
constexpr auto kCloseOnce = milliseconds(200);  // what one change brings is not judged before

}  // namespace

std::uint32_t Window::room(std::uint32_t begun, SteadyTime now) const {
  if (now < paused_until_ || begun >= limit()) return 0;
  return limit() - begun;
}

void Window::on_ran(std::chrono::microseconds waited, SteadyTime now) {
  if (waited <= kSoon) {
    limit_ += probing_ ? 1.0 : 1.0 / limit_;
  } else if (waited >= kLong && now - closed_at_ >= kCloseOnce) {
    limit_ *= kClose;
    closed_at_ = now;
    probing_ = false;
  }
  limit_ = std::clamp(limit_, 1.0, static_cast<double>(limit_max_));
}

void Window::on_refused(std::chrono::seconds retry_after, SteadyTime now) {
  probing_ = false;
  if (now - closed_at_ >= kCloseOnce) {
    limit_ = std::max(1.0, limit_ / 2);
    closed_at_ = now;
  }
  const auto pause = std::clamp(retry_after, seconds(1), seconds(30));
  paused_until_ = std::max(paused_until_, now + pause);
}

bool GiveWay::update(double left, bool somebody_waits) {
  gives_way_ = somebody_waits && left < (gives_way_ ? kMuchLeft : kNothingLeft);
  return gives_way_;
}

std::chrono::seconds backoff(std::uint32_t failed, milliseconds base, milliseconds cap,
                             double random) {
  const int doublings = static_cast<int>(std::min<std::uint32_t>(failed > 0 ? failed - 1 : 0, 40));
  const double most = std::min(std::ldexp(static_cast<double>(base.count()), doublings),
                               static_cast<double>(cap.count()));
  return seconds(static_cast<std::int64_t>(std::ceil(most * random / 1000.0)));
}

}  // namespace mayfly::triggers
