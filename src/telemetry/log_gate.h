#pragma once
// What passes of the functions' output: bounds on a line and on one invocation, and the listeners
// of `logs -f`. Thread-safe.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "telemetry/telemetry.h"

namespace mayfly::telemetry {

// Cuts line.text to at most max bytes, mark included, at a character's border. Returns the bytes
// cut.
std::uint64_t cut_line(LogLine& line, std::uint64_t max);

class LogGate {
 public:
  explicit LogGate(const Limits& limits) : limits_(limits) {}

  enum class Verdict {
    pass,
    pass_with_mark,  // the last line of this invocation; a mark must follow
    drop,
  };
  // Bounds what one invocation may write. Lines outside of invocations pass: the bound on the
  // function holds for them.
  Verdict admit(const LogLine& line);

  std::shared_ptr<void> follow(std::string function, Telemetry::LogListener listener);
  void tell(const LogLine& line);

 private:
  struct Listener {
    std::string function;
    Telemetry::LogListener call;
    std::recursive_mutex mutex;  // recursive: a listener may drop its own token
    bool gone = false;           // protected by mutex
  };
  using Listeners = std::vector<std::shared_ptr<Listener>>;

  const Limits limits_;
  std::mutex mutex_;
  // Bytes by request id, in two generations, so that what ended long ago is forgotten while what
  // still writes stays. Protected by mutex_.
  std::unordered_map<std::string, std::uint64_t> young_, old_;

  struct Following {
    std::mutex mutex;
    std::shared_ptr<const Listeners> listeners = std::make_shared<Listeners>();
    std::atomic<std::size_t> count = 0;
  };
  // Shared with the tokens, which may outlive this.
  std::shared_ptr<Following> following_ = std::make_shared<Following>();
};

}  // namespace mayfly::telemetry
