#include "server/spread.h"

namespace mayfly::server {
namespace {

// A function with less of the requests would not unburden the loop.
constexpr double kShare = 0.3;

}  // namespace

SpreadStep SpreadPolicy::look(const SpreadView& view) {
  if (view.spread) {
    if (view.room_wanted) {
      seen_ = 0;
      return SpreadStep::withdraw;
    }
    const bool quiet = view.first_busy + view.beside_busy < settings_.quiet;
    seen_ = quiet ? seen_ + 1 : 0;
    if (seen_ < settings_.quiet_looks) return SpreadStep::stay;
    seen_ = 0;
    return SpreadStep::withdraw;
  }
  const bool wanted = view.share >= kShare && view.first_busy >= settings_.busy &&
                      view.cores_idle >= settings_.idle && !view.room_wanted;
  seen_ = wanted ? seen_ + 1 : 0;
  if (seen_ < settings_.looks) return SpreadStep::stay;
  seen_ = 0;
  return SpreadStep::spread;
}

}  // namespace mayfly::server
