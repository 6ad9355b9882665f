#pragma once
// Token buckets by name. Belongs to one loop; pure but for its memory.

#include <algorithm>
#include <map>
#include <string>

#include "base/clock.h"
#include "functions/api.h"

namespace mayfly::gateway {

class Throttles {
 public:
  // True when one more request fits; it is counted then.
  bool take(const std::string& name, const functions::Throttle& limit, SteadyTime now) {
    if (limit.rate <= 0) return true;
    const double most = limit.burst > 0 ? limit.burst : std::max(1.0, limit.rate);
    if (buckets_.size() >= kBucketsMax && !buckets_.contains(name)) buckets_.clear();
    auto [found, is_new] = buckets_.try_emplace(name, Bucket{most, now});
    Bucket& bucket = found->second;
    const double passed = std::chrono::duration<double>(now - bucket.at).count();
    bucket.tokens = std::min(most, bucket.tokens + std::max(0.0, passed) * limit.rate);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens;
    SteadyTime at;
  };
  // Names come from what was deployed, never from requests; this is for apps that come and go.
  static constexpr std::size_t kBucketsMax = 100'000;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace mayfly::gateway
