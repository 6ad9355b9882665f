// link: mayfly_triggers
// Expressions of schedules: whatever is one has ticks that grow, and each fits when it is asked for
// from just before.
#include <cstdlib>
#include <string_view>

#include "triggers/when.h"

using mayfly::WallTime;
using mayfly::triggers::When;
using mayfly::triggers::Zone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto berlin = Zone::load("Europe/Berlin");
  static const auto utc = Zone::load("UTC");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)Zone::parse("x", text);
  const auto when = When::parse(text);
  if (when.has_error()) return 0;
  const WallTime start = WallTime(std::chrono::seconds(1'774'700'000));  // shortly before a gap
  for (const auto* zone : {&berlin, &utc}) {
    if (zone->has_error()) continue;
    WallTime at = start;
    for (int i = 0; i < 5; ++i) {
      const auto next = when->next(at, ***zone, start);
      if (!next) break;
      if (*next <= at) std::abort();
      if (when->next(*next - std::chrono::seconds(1), ***zone, start) != next) std::abort();
      at = *next;
    }
  }
  return 0;
}
