// How an instance ends, and what is said of it.

#include "engine/instance.h"

#include <fmt/format.h>

#include <algorithm>

namespace mayfly::engine {
namespace {

using telemetry::Outcome;
using telemetry::Phase;

constexpr milliseconds kEndGrace{1'000};     // between SIGTERM and SIGKILL
constexpr milliseconds kExitNoticed{1'000};  // a program that hangs up ends soon, or not at all
constexpr milliseconds kKillTakes{5'000};

}  // namespace

void Instance::on_closed(const std::string& why) {
  if (state_ == State::gone) return;
  if (!why.empty())
    return dismiss("broke the protocol: it " + why, InstanceProtocol::Ending::broken);
  if (state_ == State::standing) return kill("was ended because it hung up");
  // It hung up: most likely it is about to be gone, and its exit says more than we could.
  const bool idle_now = calls_.empty();
  start_draining();
  if (idle_now && state_ == State::ready) core_->timers.arm(kill_timer_, kExitNoticed);
}

void Instance::drain() {
  const auto keep = shared_from_this();
  start_draining();
  if (slots_used_ == 0 && state_ == State::ready) end_politely();
}

void Instance::end_politely() {
  if (state_ != State::ready) return;
  const auto keep = shared_from_this();
  asked_to_end_ = true;
  state_ = State::ending;
  give_room_back();
  keep_alive_.disarm();
  leave_service();
  const auto wanted = protocol_->farewell(InstanceProtocol::Ending::idle);
  sandbox_->terminate();
  core_->timers.arm(kill_timer_, std::max(kEndGrace, wanted));
}

void Instance::dismiss(std::string why, InstanceProtocol::Ending ending) {
  const bool serves = state_ == State::ready && sandbox_ && protocol_ && !kill_timer_.armed();
  const auto wanted = serves ? protocol_->farewell(ending) : milliseconds(0);
  if (wanted <= milliseconds(0)) return kill(std::move(why));
  const auto keep = shared_from_this();
  asked_to_end_ = true;
  if (kill_reason_.empty()) kill_reason_ = std::move(why);
  state_ = State::ending;
  give_room_back();
  keep_alive_.disarm();
  leave_service();
  sandbox_->terminate();
  core_->timers.arm(kill_timer_, wanted);
}

void Instance::kill(std::string why) {
  if (state_ == State::gone) return;
  asked_to_end_ = true;
  if (kill_reason_.empty() && !exit_) kill_reason_ = std::move(why);
  const auto keep = shared_from_this();
  state_ = State::ending;
  give_room_back();
  keep_alive_.disarm();
  leave_service();
  if (sandbox_) sandbox_->kill();
}

void Instance::on_kill(void* self) {
  auto& instance = *static_cast<Instance*>(self);
  if (instance.sandbox_ == nullptr || instance.exit_) return;
  instance.kill("was ended");
}

io::Task<void> Instance::wait_exit(milliseconds at_most) {
  if (exit_) co_return;
  const auto self = shared_from_this();
  Park park;
  TimerQueue::Entry limit(&Park::wake_by, &park);
  exit_waiters_.push_back(&park);
  core_->timers.arm(limit, at_most);
  (void)co_await park.wait();
  std::erase(exit_waiters_, &park);
}

io::Task<std::shared_ptr<Failure>> Instance::explain_crash(std::shared_ptr<Failure> failure) {
  const auto self = shared_from_this();
  const bool in_init = failure->phase == Phase::init;
  co_await wait_exit(kExitNoticed);
  const bool hung_up = !exit_ && kill_reason_.empty();
  if (!exit_) {
    kill("was ended because it had closed its connection to the engine");
    co_await wait_exit(kKillTakes);
  }
  if (exit_ && !hung_up && (kill_reason_.empty() || exit_->usage.oom_kills > 0))
    failure->exit = exit_text(*exit_);
  const std::string during = in_init ? "while it initialised" : "while the call ran";
  const bool out_of_memory = exit_ && exit_->reason.find("out of memory") != std::string::npos;
  if (out_of_memory) {
    failure->outcome = Outcome::out_of_memory;
    failure->message =
        fmt::format("the instance ended {}: {} (setting --memory)", during, exit_->reason);
  } else if (init_timed_out_) {
    failure->outcome = Outcome::init_failed;
    failure->code = Code::deadline_exceeded;
    failure->message = fmt::format(
        "initialisation took longer than {:.2f} seconds (setting "
        "engine.init_timeout_ms)",
        core_->settings.init_timeout_ms / 1000.0);
  } else if (core_->stopping && !kill_reason_.empty()) {
    failure->outcome = Outcome::platform_error;
    failure->party = telemetry::Party::platform;
    failure->code = Code::unavailable;
    failure->message = "the server stopped " + during;
  } else if (!kill_reason_.empty() && failure->message.empty()) {
    failure->message = fmt::format("the instance {} {}", kill_reason_, during);
  } else if (!failure->message.empty()) {
    // Only the breach of a protocol is a phrase; what failed to initialise has said why.
    if (failure->outcome == Outcome::crash) failure->message += " " + during;
  } else if (exit_ && !hung_up) {
    failure->message = fmt::format("the instance ended {}: {}", during, exit_->reason);
  } else {
    failure->message = fmt::format("the instance could not be ended {}", during);
  }
  if (in_init && !out_of_memory)
    failure->outcome = failure->outcome == Outcome::platform_error ? Outcome::platform_error
                                                                   : Outcome::init_failed;
  if (in_init && !last_error_lines_.empty()) {
    failure->quotes_function = true;
    failure->message += "; it wrote: ";
    failure->message += last_error_lines_;
    while (failure->message.ends_with('\n')) failure->message.pop_back();
  }
  co_return failure;
}

}  // namespace mayfly::engine
