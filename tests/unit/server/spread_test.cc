#include "server/spread.h"

#include <gtest/gtest.h>

namespace mayfly::server {
namespace {

SpreadView full() {
  SpreadView view;
  view.first_busy = 0.9;
  view.cores_idle = 0.2;
  view.share = 1;
  return view;
}

SpreadStep after(SpreadPolicy& policy, const SpreadView& view, int looks) {
  SpreadStep last = SpreadStep::stay;
  for (int i = 0; i < looks; ++i) last = policy.look(view);
  return last;
}

TEST(Spread, AFullLoopIsHelpedWhenItStaysFull) {
  SpreadPolicy policy{SpreadSettings()};
  EXPECT_EQ(policy.look(full()), SpreadStep::stay);
  EXPECT_EQ(policy.look(full()), SpreadStep::spread);
}

TEST(Spread, NotForAMoment) {
  SpreadPolicy policy{SpreadSettings()};
  SpreadView calm = full();
  calm.first_busy = 0.3;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(policy.look(full()), SpreadStep::stay);
    EXPECT_EQ(policy.look(calm), SpreadStep::stay);
  }
}

TEST(Spread, NotWhenItWouldOnlyTakeFromOthers) {
  for (const auto spoil :
       {+[](SpreadView& v) { v.cores_idle = 0.01; }, +[](SpreadView& v) { v.share = 0.1; },
        +[](SpreadView& v) { v.room_wanted = true; }, +[](SpreadView& v) { v.first_busy = 0.5; }}) {
    SpreadPolicy policy{SpreadSettings()};
    SpreadView view = full();
    spoil(view);
    EXPECT_EQ(after(policy, view, 100), SpreadStep::stay);
  }
}

TEST(Spread, EndsWhenOneLoopCanDoItForAWhile) {
  SpreadPolicy policy{SpreadSettings()};
  SpreadView view = full();
  view.spread = true;
  view.first_busy = view.beside_busy = 0.5;  // one could not
  EXPECT_EQ(after(policy, view, 1000), SpreadStep::stay);
  view.first_busy = view.beside_busy = 0.1;
  EXPECT_EQ(after(policy, view, 49), SpreadStep::stay);
  EXPECT_EQ(policy.look(view), SpreadStep::withdraw);
}

TEST(Spread, EndsAtOnceWhenTheMachineHasNoRoomLeft) {
  SpreadPolicy policy{SpreadSettings()};
  SpreadView view = full();
  view.spread = view.room_wanted = true;
  EXPECT_EQ(policy.look(view), SpreadStep::withdraw);
}

}  // namespace
}  // namespace mayfly::server
