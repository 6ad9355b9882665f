#include "simulation/measures.h"

#include <algorithm>
#include <cmath>

namespace mayfly::simulation {

void WeightedHistogram::add(double value, double weight) {
  total_ += weight;
  if (value < std::ldexp(1.0, kLeastLog2)) {
    zero_ += weight;
    return;
  }
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);  // in [0.5, 1)
  const int octave = exponent - 1 - kLeastLog2;
  const int step = static_cast<int>((mantissa - 0.5) * 2 * kPerOctave);
  const int last = kPerOctave * kOctaves - 1;
  bins_[static_cast<std::size_t>(std::min(octave * kPerOctave + step, last))] += weight;
}

double WeightedHistogram::at(double share) const {
  if (total_ <= 0) return 0;
  const double wanted = share * total_ * (1 - 1e-12);
  double sum = zero_;
  if (sum >= wanted) return 0;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    sum += bins_[i];
    if (sum < wanted) continue;
    const int octave = static_cast<int>(i) / kPerOctave, step = static_cast<int>(i) % kPerOctave;
    return std::ldexp(1.0 + (step + 0.5) / kPerOctave, octave + kLeastLog2);
  }
  return std::ldexp(1.0, kOctaves + kLeastLog2);
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const double place = std::ceil(share * double(values.size())) - 1;
  const auto at = static_cast<std::ptrdiff_t>(std::clamp(place, 0.0, double(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

}  // namespace mayfly::simulation
