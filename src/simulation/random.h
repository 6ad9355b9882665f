#pragma once
// Random numbers that are the same on every machine and with every library: the standard leaves its
// distributions to the implementation. Not for secrets. Thread-compatible.

#include <cmath>
#include <cstdint>

namespace mayfly::simulation {

class Random {
 public:
  // Different streams of one seed are independent.
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0)
      : state_(mix(seed + 0x9e3779b97f4a7c15ull) ^ mix(stream * 0xda942042e4dd58b5ull + 1)) {}

  std::uint64_t next() {  // splitmix64
    state_ += 0x9e3779b97f4a7c15ull;
    return mix(state_);
  }
  // In [0, 1), and in (0, 1].
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  double uniform_positive() { return double((next() >> 11) + 1) * 0x1p-53; }
  // Mean 1.
  double exponential() { return -std::log(uniform_positive()); }
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform_positive()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  // Mean `mean`, sigma of the logarithm.
  double lognormal(double mean, double sigma) {
    return mean * std::exp(sigma * normal() - sigma * sigma / 2);
  }
  // Gamma with mean 1 and this shape (Marsaglia and Tsang 2000).
  double gamma(double shape) {
    const double boosted = shape < 1 ? shape + 1 : shape;
    const double d = boosted - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    double sample = 0;
    for (;;) {
      const double x = normal(), v = 1 + c * x;
      if (v <= 0) continue;
      const double cube = v * v * v, u = uniform_positive();
      if (std::log(u) < 0.5 * x * x + d - d * cube + d * std::log(cube)) {
        sample = d * cube;
        break;
      }
    }
    if (shape < 1) sample *= std::pow(uniform_positive(), 1 / shape);
    return sample / shape;
  }

 private:
  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
  std::uint64_t state_;
};

}  // namespace mayfly::simulation
