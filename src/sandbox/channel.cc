#include "sandbox/channel.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "base/log.h"
#include "os/ipc.h"

namespace mayfly::sandbox {

namespace asio = boost::asio;

namespace {

constexpr std::uint8_t kSocketsAtOnce = 4;
constexpr int kRestartFirstMs = 50, kRestartMaxMs = 5000;

std::string exit_reason(const Record& record) {
  const Exit& exit = record.exit;
  if (exit.usage.oom_kills > 0 && (exit.signalled ? exit.status == SIGKILL : exit.status != 0)) {
    return "out of memory (limit " + std::to_string(record.memory_bytes >> 20) + " MB)";
  }
  if (!exit.signalled) return "exited with status " + std::to_string(exit.status);
  const char* name = ::sigabbrev_np(exit.status);
  return name != nullptr ? std::string("killed by SIG") + name
                         : "killed by signal " + std::to_string(exit.status);
}

}  // namespace

Task<bool> Event::wait() {
  auto token = asio::as_tuple(asio::use_awaitable);
  while (!set_) {
    (void)co_await timer_.async_wait(token);
    auto state = co_await asio::this_coro::cancellation_state;
    if (!set_ && state.cancelled() != asio::cancellation_type::none) co_return false;
  }
  co_return true;
}

Channel::Channel(asio::any_io_executor executor, std::shared_ptr<SharedSpawner> shared)
    : executor_(std::move(executor)),
      shared_(std::move(shared)),
      retry_(executor_),
      connected_(std::make_shared<Event>(executor_)) {}

void Channel::open() {
  attach();
  ready_ = true;
  connected_->set();
}

void Channel::attach() {
  ++generation_;
  writing_ = false;
  int copy = -1;
  {
    std::lock_guard lock(shared_->mutex);
    if (!shared_->stopping) copy = ::fcntl(shared_->link.socket.get(), F_DUPFD_CLOEXEC, 0);
  }
  if (copy < 0) return;
  ignore(os::set_nonblocking(copy), "a socket pair can be non-blocking");
  socket_.emplace(executor_, copy);
  arm_read();
}

void Channel::close() {
  closed_ = true;
  ready_ = false;
  ++generation_;
  retry_.cancel();
  socket_.reset();
  for (auto& [handle, record] : records_) {
    if (!record->launched.is_set()) record->failure = gone();
    finish(*record);
  }
  records_.clear();
  for (auto& [request, wait] : waits_) {
    wait->failure = gone();
    wait->done.set();
  }
  waits_.clear();
  connected_->set();
}

Error Channel::gone() const {
  return Error{Code::unavailable,
               closed_ ? "the server is stopping"
                       : "mayfly-spawner has died and all sandboxes with it; it is being restarted",
               "sandbox", 0};
}

void Channel::finish(Record& record) {
  record.spare_sockets.clear();
  if (!record.exited.is_set() && record.exit.reason.empty()) {
    record.exit.signalled = true;
    record.exit.status = SIGKILL;
    record.exit.reason = closed_ ? "killed: the server is stopping"
                                 : "killed: mayfly-spawner died and all sandboxes with it";
  }
  record.launched.set();
  record.exited.set();
}

void Channel::arm_read() {
  socket_->async_wait(asio::posix::descriptor_base::wait_read,
                      [self = shared_from_this(), generation = generation_](auto error) {
                        if (error || generation != self->generation_) return;
                        self->on_readable();
                      });
}

void Channel::on_readable() {
  auto generation = generation_;
  while (generation == generation_) {
    auto received = os::receive_message(socket_->native_handle(), wire::kSpawnerMessageMax);
    if (received.has_error() && received.error().sys_errno == EAGAIN) return arm_read();
    if (received.has_error() || received.value().bytes.empty()) return on_death();
    dispatch(std::move(received).value());
  }
}

void Channel::arm_write() {
  writing_ = true;
  socket_->async_wait(asio::posix::descriptor_base::wait_write,
                      [self = shared_from_this(), generation = generation_](auto error) {
                        if (generation != self->generation_) return;
                        self->writing_ = false;
                        if (!error) self->flush();
                      });
}

void Channel::flush() {
  while (!outgoing_.empty()) {
    std::vector<int> fds;
    for (const auto& fd : outgoing_.front().fds) fds.push_back(fd.get());
    auto sent = os::send_message(socket_->native_handle(), outgoing_.front().bytes, fds);
    if (sent.has_error() && sent.error().sys_errno == EAGAIN) {
      if (!writing_) arm_write();
      return;
    }
    // A dead spawner shows on the reading side, which fails whoever waits.
    outgoing_.pop_front();
  }
}

Status Channel::request(const wire::SpawnerMessage& message, std::vector<os::Fd> fds) {
  if (!ready_ || !socket_) return gone();
  Outgoing outgoing{wire::encode_spawner_message(message), std::move(fds)};
  if (outgoing.bytes.size() > wire::kSpawnerMessageMax) {
    return Error{Code::too_large,
                 "arguments and environment of a sandbox are over " +
                     std::to_string(wire::kSpawnerMessageMax / 1024) + " KB; make --env smaller",
                 "launch sandbox", E2BIG};
  }
  outgoing_.push_back(std::move(outgoing));
  if (!writing_) flush();
  return ok();
}

std::shared_ptr<Record> Channel::add_record(std::string id, const Limits& limits) {
  auto record = std::make_shared<Record>(executor_);
  record->handle = next_++;
  record->id = std::move(id);
  record->memory_bytes = limits.memory_bytes;
  records_[record->handle] = record;
  return record;
}

Task<Result<void>> Channel::wait_connected() {
  auto event = connected_;
  bool waited = co_await event->wait();
  if (!waited) co_return Error{Code::cancelled, "the launch was cancelled", "launch sandbox", 0};
  if (!ready_) co_return gone();
  co_return ok();
}

void Channel::signal(Record& record, wire::SpawnerSignalKind kind) {
  if (record.exited.is_set() || closed_) return;
  ignore(request(wire::SpawnerSignal{record.handle, kind}),
         "without a spawner there is no sandbox either");
}

Task<Result<os::Fd>> Channel::make_socket(std::shared_ptr<Record> record) {
  auto self = shared_from_this();
  if (record->spare_sockets.empty() && !record->exited.is_set()) {
    auto wait = std::make_shared<SocketsWait>(executor_);
    auto number = next_++;
    auto sent = request(wire::SpawnerSockets{record->handle, number, kSocketsAtOnce});
    if (sent.has_error()) co_return std::move(sent).error();
    waits_[number] = wait;
    bool waited = co_await wait->done.wait();
    waits_.erase(number);
    if (!waited) co_return Error{Code::cancelled, "cancelled", "make socket", 0};
    if (wait->failure) co_return *wait->failure;
    if (record->exited.is_set()) wait->sockets.clear();
    for (auto& socket : wait->sockets) record->spare_sockets.push_back(std::move(socket));
  }
  if (record->spare_sockets.empty()) {
    co_return Error{Code::unavailable, "the sandbox has ended: " + record->exit.reason,
                    "make socket", 0};
  }
  os::Fd socket = std::move(record->spare_sockets.front());
  record->spare_sockets.pop_front();
  co_return socket;
}

void Channel::dispatch(os::Received received) {
  if (!ready_) {
    auto abilities = read_ready(received.bytes);
    if (abilities.has_error()) {
      log::error("mayfly-spawner cannot start again: {}", abilities.error().describe());
      return;  // it ends, and is tried again
    }
    ready_ = true;
    restart_ms_ = 0;
    connected_->set();
    return;
  }
  auto message = wire::decode_spawner_message(received.bytes);
  if (message.has_error()) {
    log::error("message from mayfly-spawner: {}", message.error().describe());
    return;
  }
  if (auto* launched = std::get_if<wire::SpawnerLaunched>(&message.value())) {
    on_launched(*launched, std::move(received.fds));
  } else if (auto* failed = std::get_if<wire::SpawnerFailed>(&message.value())) {
    on_failed(*failed);
  } else if (auto* exited = std::get_if<wire::SpawnerExited>(&message.value())) {
    on_exited(*exited);
  } else if (auto* sockets = std::get_if<wire::SpawnerSocketsReady>(&message.value())) {
    auto wait = waits_.find(sockets->request);
    if (wait == waits_.end()) return;
    wait->second->sockets = std::move(received.fds);
    wait->second->done.set();
  }
}

void Channel::on_launched(const wire::SpawnerLaunched& message, std::vector<os::Fd> fds) {
  auto found = records_.find(message.handle);
  if (found == records_.end()) return;
  Record& record = *found->second;
  record.usage_kind = static_cast<os::UsageKind>(message.usage_kind);
  for (std::size_t i = 0; i < fds.size(); ++i) {
    (i < message.usage_fds ? record.usage_fds : record.listeners).push_back(std::move(fds[i]));
  }
  if (message.services && !record.listeners.empty()) {
    record.services = std::move(record.listeners.back());
    record.listeners.pop_back();
  }
  record.from_zygote = message.from_zygote;
  record.no_zygote = message.no_zygote;
  record.launched.set();
}

void Channel::on_failed(const wire::SpawnerFailed& message) {
  Error error{static_cast<Code>(message.code), message.text, message.step, message.sys_errno};
  if (message.request != 0) {
    auto wait = waits_.find(message.request);
    if (wait == waits_.end()) return;
    wait->second->failure = std::move(error);
    wait->second->done.set();
    return;
  }
  auto found = records_.find(message.handle);
  if (found == records_.end()) {
    log::error("mayfly-spawner: {}", error.describe());
    return;
  }
  auto record = found->second;
  records_.erase(found);
  record->failure = std::move(error);
  finish(*record);
}

void Channel::on_exited(const wire::SpawnerExited& message) {
  auto found = records_.find(message.handle);
  if (found == records_.end()) return;
  auto record = found->second;
  records_.erase(found);
  record->exit.signalled = message.signalled;
  record->exit.status = message.status;
  record->exit.usage = {message.cpu_us, message.memory_peak_bytes, message.oom_kills};
  record->exit.reason = exit_reason(*record);
  finish(*record);
}

void Channel::on_death() {
  bool was_ready = ready_;
  ready_ = false;
  ++generation_;
  socket_.reset();
  outgoing_.clear();
  auto records = std::move(records_);
  records_.clear();
  for (auto& [handle, record] : records) {
    if (!record->launched.is_set()) record->failure = gone();
    finish(*record);
  }
  auto waits = std::move(waits_);
  waits_.clear();
  for (auto& [request, wait] : waits) {
    wait->failure = gone();
    wait->done.set();
  }
  // Launches wait for one attempt to restart, and are told when it fails.
  connected_->set();
  connected_ = std::make_shared<Event>(executor_);
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->stopping) return;
  }
  if (was_ready) log::error("mayfly-spawner has died; restarting it");
  restart_ms_ = restart_ms_ == 0 ? 1 : std::clamp(restart_ms_ * 2, kRestartFirstMs, kRestartMaxMs);
  retry_.expires_after(std::chrono::milliseconds(restart_ms_));
  retry_.async_wait([self = shared_from_this()](auto error) {
    if (!error && !self->closed_) self->restart();
  });
}

void Channel::restart() {
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->stopping) return;
    // The socket is closed, so the process is dead or dying.
    end_spawner(shared_->link, std::chrono::milliseconds(1000));
    auto link = start_spawner(shared_->options);
    if (link.has_error()) {
      log::error("mayfly-spawner cannot be started: {}", link.error().describe());
    } else {
      shared_->link = std::move(link).value();
    }
  }
  attach();
  if (!socket_) on_death();
}

}  // namespace mayfly::sandbox
