#pragma once
// When the calls of a function are worth a loop beside the first one, and when not any more. Pure.

#include <cstdint>

namespace mayfly::server {

struct SpreadSettings {
  double busy = 0.6;    // of the first loop's time: from here on it looks for help
  double idle = 0.05;   // of all cores: with less, another loop would only take from the functions
  double quiet = 0.45;  // of both loops' time together: below, one can do it
  int looks = 2;        // so often in a row, a tenth of a second apart
  int quiet_looks = 50;
};

// Since the last look.
struct SpreadView {
  double first_busy = 0;     // share of its time that the first loop ran
  double beside_busy = 0;    // of the loop beside it
  double cores_idle = 1;     // share of all cores
  double share = 0;          // of the first loop's requests that are plain calls of the function
  bool spread = false;       // it has the loop beside
  bool room_wanted = false;  // calls wait for instances that the machine has no room for
};

enum class SpreadStep { stay, spread, withdraw };

// Of one function and one loop beside. Remembers how often it saw the same.
class SpreadPolicy {
 public:
  explicit SpreadPolicy(SpreadSettings settings) : settings_(settings) {}
  SpreadStep look(const SpreadView& view);

 private:
  SpreadSettings settings_;
  int seen_ = 0;
};

}  // namespace mayfly::server
