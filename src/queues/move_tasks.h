#pragma once
// Messages that go from one queue to another in the background, mostly dead letters back to where
// they came from. A task is durable: one that a stop of the server cut off goes on at its next
// start.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queues/engine.h"
#include "store/committer.h"
#include "store/store.h"

namespace mayfly::queues {

struct MoveTask {
  enum class State : std::uint8_t { running, completed, cancelling, cancelled, failed };
  std::string id;  // a UUID
  std::string source;
  std::string destination;       // empty: where each message came from
  std::uint32_t per_second = 0;  // 0: as fast as it goes
  State state = State::running;
  std::string failure;        // a sentence; of failed ones
  std::uint64_t moved = 0;    // after a kill it may lack what was moved last
  std::uint64_t to_move = 0;  // when it began
  std::int64_t started_ms = 0;

  bool active() const { return state == State::running || state == State::cancelling; }
};

std::string encode(const MoveTask& task);
Result<MoveTask> decode_move(std::string_view record);

// Belongs to the engine's loop; everything in parts outlives it.
class MoveTasks {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    QueueEngine& engine;
    store::Store& store;
    store::Committer& committer;
    const Clock& clock;
  };
  explicit MoveTasks(Parts parts) : parts_(std::move(parts)) {}
  ~MoveTasks();

  // Reads the store (blocks) and goes on with what was not done.
  Status load();

  // Id, state, counts and time of what is wanted are set here; durable when it resumes.
  // already_exists while another task takes from the same source.
  io::Task<Result<MoveTask>> start(MoveTask wanted);
  // Those of a source, newest first.
  std::vector<MoveTask> of(const std::string& source) const;
  // not_found; conflict when it does not run (any more).
  io::Task<Result<MoveTask>> cancel(std::string id);

  // The tasks leave what they have not moved until the next start. Before the engine stops.
  void stop();

 private:
  struct Running {
    MoveTask task;
    std::unique_ptr<boost::asio::steady_timer> pause;
  };
  using RunningPtr = std::shared_ptr<Running>;

  void launch(const RunningPtr& running);
  static io::Task<void> run(std::shared_ptr<bool> alive, MoveTasks* self, RunningPtr running);
  io::Task<Status> write(RunningPtr running, store::Durability durability);
  store::Transaction forget_oldest();

  Parts parts_;
  std::deque<RunningPtr> tasks_;  // newest first
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool stopping_ = false;
};

}  // namespace mayfly::queues
