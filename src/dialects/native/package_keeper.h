#pragma once
// Deletes packages that nothing uses any more, in the background, and no sooner than is safe: a
// package that was uploaded but is not deployed yet, and one whose last instances still finish
// their work, stay for a grace. Belongs to one loop.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/clock.h"
#include "functions/packages.h"
#include "io/blocking.h"

namespace mayfly::dialects::native {

class PackageKeeper : public std::enable_shared_from_this<PackageKeeper> {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    io::BlockingPool& pool;
    const Clock& clock;
    std::function<std::set<std::string>()> in_use;                     // asked on the loop
    std::function<std::size_t(const std::set<std::string>&)> collect;  // called on the pool
    std::chrono::milliseconds grace;
  };
  explicit PackageKeeper(Parts parts);

  // Held while packages are added or looked up for use: nothing is deleted meanwhile.
  class Hold {
   public:
    explicit Hold(std::shared_ptr<PackageKeeper> keeper) : keeper_(std::move(keeper)) {}
    Hold(Hold&&) = default;
    Hold& operator=(Hold&&) = delete;
    ~Hold();

   private:
    std::shared_ptr<PackageKeeper> keeper_;
  };
  // Waits while a deletion runs.
  io::Task<Hold> hold();

  // The package stays for the grace from now on.
  void touch(const std::string& sha256);

  // Deletes what may go: now, and again when graces end.
  void collect();

 private:
  static io::Task<void> run(std::shared_ptr<PackageKeeper> self);
  void arm();

  Parts parts_;
  std::map<std::string, SteadyTime> keep_until_;
  std::size_t holds_ = 0;
  bool running_ = false;
  bool wanted_ = false;
  boost::asio::steady_timer settled_;  // cancelled whenever a deletion has ended
  boost::asio::steady_timer later_;
};

}  // namespace mayfly::dialects::native
