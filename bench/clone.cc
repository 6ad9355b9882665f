// How long a clone takes: from Sandbox::clone to the clone's first instruction after it is inside,
// and to clone() resumed, for templates that have written 2, 20 and 50 MB. As root:
//   ninja -C build bench_clone && build/bench_clone [clones for each size]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../tests/sandbox/fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Series {
  std::vector<double> values;
  double at(double q) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
  }
  void print(const char* name) {
    std::printf("  %s p10 %.0f p50 %.0f p90 %.0f p99 %.0f us\n", name, at(0.1), at(0.5), at(0.9),
                at(0.99));
  }
};

double since_epoch_us(steady_clock::time_point time) {
  return static_cast<double>(duration_cast<microseconds>(time.time_since_epoch()).count());
}

int measure(World& world, const std::string& megabytes, int clones) {
  auto source = world.launch_template({"honest", megabytes});
  if (source.has_error()) {
    std::fprintf(stderr, "%s\n", source.error().describe().c_str());
    return 1;
  }
  source.value()->keep_shells(4);
  Series first, resumed;
  for (int i = 0; i < clones; ++i) {
    // As between calls: the pool has filled again, and nothing of the last clone is left to do.
    ::usleep(30'000);
    auto start = steady_clock::now();
    auto made = world.clone(*source.value(), {"time"});
    auto end = steady_clock::now();
    if (made.has_error()) {
      std::fprintf(stderr, "%s\n", made.error().describe().c_str());
      return 1;
    }
    auto output = world.finish(*made.value(), milliseconds(5000));
    if (output.has_error() || output.value().exit.status != 0) return 1;
    first.values.push_back(std::atof(output.value().out.c_str()) - since_epoch_us(start));
    resumed.values.push_back(duration<double, std::micro>(end - start).count());
  }
  std::printf("%s MB of dirty memory, %d clones\n", megabytes.c_str(), clones);
  first.print("first instruction");
  resumed.print("clone() resumed  ");
  return 0;
}

}  // namespace
}  // namespace mayfly::sandbox_tests

int main(int argc, char** argv) {
  using namespace mayfly::sandbox_tests;
  int clones = argc > 1 ? std::atoi(argv[1]) : 200;
  World world;
  if (!world.error.empty()) {
    std::fprintf(stderr, "%s\n", world.error.c_str());
    return 1;
  }
  for (const char* megabytes : {"2", "20", "50"}) {
    if (measure(world, megabytes, clones) != 0) return 1;
  }
  return 0;
}
