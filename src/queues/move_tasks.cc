#include "queues/move_tasks.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "base/ids.h"
#include "base/log.h"

namespace mayfly::queues {

namespace asio = boost::asio;

namespace {

constexpr char kMovePrefix[] = "queues/move/";  // + id: MoveTask
constexpr std::uint32_t kMessagesOfStep = 100;  // of one transaction
constexpr std::size_t kTasksMax = 1000;         // remembered

}  // namespace

MoveTasks::~MoveTasks() {
  *alive_ = false;
}

Status MoveTasks::load() {
  Status good = ok();
  MAYFLY_TRY(parts_.store.scan({kMovePrefix, store::prefix_end(kMovePrefix)},
                               [&](std::string_view, std::string_view record) {
                                 auto task = decode_move(record);
                                 if (task.has_error()) {
                                   good = task.error();
                                   return false;
                                 }
                                 auto running = std::make_shared<Running>();
                                 running->task = std::move(*task);
                                 tasks_.push_back(std::move(running));
                                 return true;
                               }));
  MAYFLY_TRY(good);
  std::sort(tasks_.begin(), tasks_.end(), [](const RunningPtr& a, const RunningPtr& b) {
    return a->task.started_ms > b->task.started_ms;
  });
  for (const auto& running : tasks_)
    if (running->task.active()) launch(running);
  return ok();
}

// The place of the oldest task that has ended, when there are too many.
store::Transaction MoveTasks::forget_oldest() {
  store::Transaction gone;
  if (tasks_.size() < kTasksMax) return gone;
  const auto oldest = std::find_if(tasks_.rbegin(), tasks_.rend(), [](const RunningPtr& running) {
    return !running->task.active();
  });
  if (oldest == tasks_.rend()) return gone;
  gone.remove(kMovePrefix + (*oldest)->task.id);
  tasks_.erase(std::next(oldest).base());
  return gone;
}

io::Task<Result<MoveTask>> MoveTasks::start(MoveTask wanted) {
  if (stopping_) co_return Error{Code::unavailable, "The server is stopping."};
  for (const auto& other : tasks_)
    if (other->task.active() && other->task.source == wanted.source)
      co_return Error{Code::already_exists,
                      "Another task moves messages out of queue " + wanted.source + " already."};
  auto running = std::make_shared<Running>();
  running->task = std::move(wanted);
  MoveTask& task = running->task;
  task.id = new_uuid();
  task.state = MoveTask::State::running;
  task.moved = 0;
  task.started_ms = to_epoch_ms(parts_.clock.wall_now());
  if (const auto counts = parts_.engine.counts(task.source); counts.has_value())
    task.to_move = counts->visible;
  store::Transaction transaction = forget_oldest();
  transaction.put(kMovePrefix + task.id, encode(task));
  tasks_.push_front(running);  // holds its place while it is written
  auto writing = parts_.committer.commit(std::move(transaction), store::Durability::synced);
  const auto alive = alive_;
  const Status written = co_await std::move(writing);
  if (!*alive) co_return Error{Code::unavailable, "The server is stopping."};
  if (written.has_error()) {
    tasks_.erase(std::find(tasks_.begin(), tasks_.end(), running));
    co_return written.error();
  }
  launch(running);
  co_return running->task;
}

void MoveTasks::launch(const RunningPtr& running) {
  asio::co_spawn(parts_.loop, run(alive_, this, running),
                 [alive = alive_, running](std::exception_ptr failed) {
                   if (!failed || !*alive) return;
                   log::error("the move of messages of queue {} broke off", running->task.source);
                   running->task.state = MoveTask::State::failed;
                   running->task.failure = "The server had a fault.";
                 });
}

io::Task<void> MoveTasks::run(std::shared_ptr<bool> alive, MoveTasks* self, RunningPtr running) {
  using State = MoveTask::State;
  MoveTask& task = running->task;
  const std::uint32_t step =
      task.per_second ? std::min(kMessagesOfStep, task.per_second) : kMessagesOfStep;
  while (task.state == State::running) {
    auto moving = self->parts_.engine.move(task.source, task.destination, step);
    const auto moved = co_await std::move(moving);
    // What is cut off here goes on after the next start.
    if (!*alive || self->stopping_) co_return;
    if (moved.has_error()) {
      task.failure = moved.error().describe();
      task.state = State::failed;
      break;
    }
    task.moved += *moved;
    if (*moved == 0) {
      if (task.state == State::running) task.state = State::completed;
      break;
    }
    auto noting = self->write(running, store::Durability::buffered);
    ignore(co_await std::move(noting), "it is written again when the task ends");
    if (!*alive || self->stopping_) co_return;
    if (task.per_second == 0 || task.state != State::running) continue;
    running->pause = std::make_unique<asio::steady_timer>(self->parts_.loop);
    running->pause->expires_after(microseconds(1'000'000ll * *moved / task.per_second));
    auto pausing = running->pause->async_wait(asio::as_tuple(asio::use_awaitable));
    co_await std::move(pausing);
    if (!*alive || self->stopping_) co_return;
  }
  if (task.state == State::cancelling) task.state = State::cancelled;
  auto ending = self->write(running, store::Durability::synced);
  if (const Status written = co_await std::move(ending); written.has_error())
    log::warn("the end of the move of messages of queue {} was not written: {}", task.source,
              written.error().describe());
}

io::Task<Status> MoveTasks::write(RunningPtr running, store::Durability durability) {
  store::Transaction transaction;
  transaction.put(kMovePrefix + running->task.id, encode(running->task));
  return parts_.committer.commit(std::move(transaction), durability);
}

std::vector<MoveTask> MoveTasks::of(const std::string& source) const {
  std::vector<MoveTask> found;
  for (const auto& running : tasks_)
    if (running->task.source == source) found.push_back(running->task);
  return found;
}

io::Task<Result<MoveTask>> MoveTasks::cancel(std::string id) {
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&id](const RunningPtr& running) {
    return running->task.id == id;
  });
  if (found == tasks_.end()) co_return Error{Code::not_found, "There is no such task."};
  const RunningPtr running = *found;
  if (running->task.state != MoveTask::State::running)
    co_return Error{Code::conflict, "The task does not run."};
  running->task.state = MoveTask::State::cancelling;
  if (running->pause) running->pause->cancel();
  auto writing = write(running, store::Durability::synced);
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  co_return running->task;
}

void MoveTasks::stop() {
  stopping_ = true;
  for (const auto& running : tasks_)
    if (running->pause) running->pause->cancel();
}

}  // namespace mayfly::queues
