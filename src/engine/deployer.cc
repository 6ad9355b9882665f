#include "engine/deployer.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <optional>
#include <unordered_map>

#include "base/log.h"

namespace mayfly::engine {
namespace {

namespace asio = boost::asio;

// Turns of the changes of one function, first come first served.
struct Line {
  bool busy = false;
  std::deque<std::shared_ptr<asio::steady_timer>> waiting;
};

// The result of a change that runs on its own, and its caller's alarm clock.
template <class T>
struct Slot {
  explicit Slot(asio::io_context& loop) : done(loop, SteadyTime::max()) {}
  std::optional<T> result;
  asio::steady_timer done;
};

}  // namespace

struct Deployer::State : std::enable_shared_from_this<State> {
  explicit State(Parts p) : parts(p) {}

  Parts parts;
  std::unordered_map<std::string, Line> lines;
  std::size_t running = 0;

  io::Task<void> enter(std::string function) {
    Line& line = lines[function];
    if (!line.busy) {
      line.busy = true;
      co_return;
    }
    auto turn = std::make_shared<asio::steady_timer>(parts.loop, SteadyTime::max());
    line.waiting.push_back(turn);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await turn->async_wait(token);
  }

  // Hands the turn to the next, who finds line.busy still set.
  void leave(const std::string& function) {
    const auto found = lines.find(function);
    if (found->second.waiting.empty()) {
      lines.erase(found);
      return;
    }
    auto next = found->second.waiting.front();
    found->second.waiting.pop_front();
    next->cancel();
  }

  io::Task<Result<Deployed>> do_deploy(DeployRequest request) {
    const auto before = parts.catalogue.find(request.function, "");
    auto prepared =
        co_await parts.catalogue.prepare(request.function, request.settings, request.package);
    if (prepared.has_error()) co_return prepared.error();

    Deployed done;
    done.created = before == nullptr;
    if (prepared->unchanged) {
      done.version = prepared->version;
      done.unchanged = true;
      done.detected = done.version->notes;
      co_return done;
    }

    functions::Version version = *prepared->version;
    if (request.check) {
      Probe probe = co_await parts.dispatcher.probe(prepared->version);
      if (probe.failure) {
        done.failure = probe.failure;
        co_return done;
      }
      take_findings(request.settings, std::move(probe), version);
    }
    auto committed = co_await parts.catalogue.commit(std::move(version), std::move(request.along));
    if (committed.has_error()) {
      parts.dispatcher.retire(request.function, prepared->version->revision);
      co_return committed.error();
    }
    done.version = *committed;
    done.detected = done.version->notes;
    parts.dispatcher.adopt(done.version);
    if (before && before->revision != done.version->revision && !is_published(*before))
      parts.dispatcher.retire(before->function, before->revision);
    if (parts.changed) parts.changed();
    co_return done;
  }

  static void take_findings(const functions::Settings& asked, Probe probe,
                            functions::Version& version) {
    if (probe.model != functions::Model::unknown) version.model = probe.model;
    if (!probe.handler.empty()) version.settings.handler = probe.handler;
    if (asked.concurrency > 0) {
      version.concurrency = asked.concurrency;
    } else if (probe.concurrency > 0) {
      version.concurrency = probe.concurrency;
    } else {
      const bool serves_http =
          version.model == functions::Model::http || version.model == functions::Model::http_port;
      version.concurrency = serves_http ? 64 : 1;
    }
    version.uncloneable = std::move(probe.uncloneable);
    for (auto& note : probe.notes) version.notes.push_back(std::move(note));
  }

  // Published versions share the revision of the $LATEST they were taken from.
  bool is_published(const functions::Version& old) const {
    for (const auto& version : parts.catalogue.versions(old.function))
      if (version->number != 0 && version->revision == old.revision) return true;
    return false;
  }

  io::Task<Result<functions::VersionPtr>> do_publish(std::string function) {
    auto published = co_await parts.catalogue.publish(std::move(function));
    if (parts.changed) parts.changed();
    co_return published;
  }

  io::Task<Status> do_remove(std::string function) {
    auto removed = co_await parts.catalogue.remove(function);
    if (removed.has_error()) co_return removed.error();
    parts.dispatcher.retire_function(function);
    if (parts.changed) parts.changed();
    telemetry::Telemetry& telemetry = parts.telemetry;
    auto forget = [&telemetry, function] { return telemetry.forget(function); };
    auto forgotten = co_await parts.pool.run(forget);
    if (forgotten.has_error())
      log::warn("logs of removed function {} stay: {}", function, forgotten.error().describe());
    co_return ok();
  }

  // Runs change() in the function's turn. A separate coroutine, so that a caller who leaves cannot
  // stop it between two steps.
  template <class T, class Change>
  static io::Task<void> in_turn(std::shared_ptr<State> self, std::string function, Change change,
                                std::shared_ptr<Slot<T>> slot) {
    co_await self->enter(function);
    std::optional<Error> thrown;
    try {
      auto result = co_await change(*self);
      slot->result.emplace(std::move(result));
    } catch (const std::exception& exception) {
      thrown.emplace(Error{Code::internal, exception.what(), "change of function " + function});
    }
    if (thrown) slot->result.emplace(std::move(*thrown));
    self->leave(function);
    --self->running;
    slot->done.cancel();
  }

  template <class T, class Change>
  static io::Task<T> run(std::shared_ptr<State> self, std::string function, Change change) {
    auto slot = std::make_shared<Slot<T>>(self->parts.loop);
    ++self->running;
    asio::co_spawn(self->parts.loop, in_turn<T>(self, function, std::move(change), slot),
                   [function](std::exception_ptr failed) {
                     if (failed) log::error("change of function {} broke off", function);
                   });
    if (!slot->result) {
      boost::system::error_code woken;
      auto token = asio::redirect_error(asio::use_awaitable, woken);
      co_await slot->done.async_wait(token);
    }
    if (!slot->result) co_return Error{Code::cancelled, "The caller went away."};
    co_return std::move(*slot->result);
  }
};

namespace {

struct DeployChange {
  std::shared_ptr<DeployRequest> request;
  template <class State>
  auto operator()(State& state) const {
    return state.do_deploy(*request);
  }
};
struct PublishChange {
  std::string function;
  template <class State>
  auto operator()(State& state) const {
    return state.do_publish(function);
  }
};
struct RemoveChange {
  std::string function;
  template <class State>
  auto operator()(State& state) const {
    return state.do_remove(function);
  }
};

}  // namespace

Deployer::Deployer(Parts parts) : state_(std::make_shared<State>(parts)) {}
Deployer::~Deployer() = default;

io::Task<Result<Deployed>> Deployer::deploy(DeployRequest request) {
  std::string function = request.function;
  DeployChange change{std::make_shared<DeployRequest>(std::move(request))};
  return State::run<Result<Deployed>>(state_, std::move(function), std::move(change));
}

io::Task<Result<functions::VersionPtr>> Deployer::publish(std::string function) {
  PublishChange change{function};
  return State::run<Result<functions::VersionPtr>>(state_, std::move(function), std::move(change));
}

io::Task<Status> Deployer::remove(std::string function) {
  RemoveChange change{function};
  return State::run<Status>(state_, std::move(function), std::move(change));
}

std::size_t Deployer::running() const {
  return state_->running;
}

}  // namespace mayfly::engine
