#include "dialects/adapters/probe_protocol.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>

#include "base/log.h"
#include "dialects/adapters/frame_program.h"
#include "dialects/adapters/http_port_protocol.h"
#include "dialects/adapters/program.h"
#include "engine/park.h"

namespace mayfly::dialects::adapters {
namespace {

namespace asio = boost::asio;
using engine::InstanceProtocol;
using engine::ProtocolFactory;
using functions::Model;
using telemetry::Phase;

// What the watchers of a starting program share; they may outlive the protocol.
struct Watch {
  engine::Park park;
  std::shared_ptr<InstanceProtocol> frames, http;
  std::optional<InstanceProtocol::Started> framed;     // the answer of frames
  std::optional<InstanceProtocol::Started> listening;  // the answer of http
  bool polled = false;                                 // it has connected to the Runtime API
  std::optional<sandbox::Exit> exit;
};
using WatchPtr = std::shared_ptr<Watch>;

struct Logged {
  void operator()(const std::exception_ptr& problem) const {
    if (!problem) return;
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      log::error("watching the start of a program failed: {}", error.what());
    }
  }
};

io::Task<void> watch_port(WatchPtr watch) {
  const auto http = watch->http;
  auto starting = http->start();
  InstanceProtocol::Started started = co_await std::move(starting);
  if (started.failure == nullptr) watch->listening = std::move(started);
  watch->park.wake();
}

io::Task<void> watch_frames(WatchPtr watch) {
  const auto frames = watch->frames;
  auto starting = frames->start();
  InstanceProtocol::Started started = co_await std::move(starting);
  // A channel that is closed, or misused, is no sign: the program may know nothing of it.
  if (!started.failure || !started.failure->error_json.empty()) watch->framed = std::move(started);
  watch->park.wake();
}

// Once found, it is the protocol of the model that was found: the instance goes on serving.
class ProbeProtocol final : public InstanceProtocol {
 public:
  ProbeProtocol(const ProtocolFactory& frames, const ProtocolFactory& runtime_api,
                const functions::Version& version, sandbox::Sandbox& sandbox,
                asio::any_io_executor executor, engine::LogSink log)
      : runtime_api_(runtime_api),
        version_(version),
        sandbox_(sandbox),
        executor_(executor),
        log_(std::move(log)),
        listener_(executor),
        watch_(std::make_shared<Watch>()) {
    sandbox_.stdin_fd.reset();  // programs that read their input find its end
    watch_->frames = frames.attach(version_, sandbox_, executor_, log_);
    watch_->http = make_http_port_protocol(executor_, sandbox_.connector(kProgramPort));
  }
  ~ProbeProtocol() override { stop_watching(); }

  void listen(engine::InstanceEvents events) override { events_ = std::move(events); }

  io::Task<Started> start() override {
    const auto watch = watch_;
    if (!watch->exit) {
      watch_listener();
      asio::co_spawn(executor_, watch_port(watch), Logged{});
      asio::co_spawn(executor_, watch_frames(watch), Logged{});
    }
    while (!watch->framed && !watch->polled && !watch->listening && !watch->exit)
      (void)co_await watch->park.wait();
    stop_watching();
    Started started;
    if (watch->framed) {
      found_ = watch->frames;
      found_->listen(events_);
      started = std::move(*watch->framed);
    } else if (watch->exit) {
      started = judge_exit(*watch->exit);
    } else if (watch->polled) {
      found_ = runtime_api_.attach(version_, sandbox_, executor_, log_);
      found_->listen(events_);
      auto starting = found_->start();
      started = co_await std::move(starting);
    } else {
      found_ = watch->http;
      found_->listen(events_);
      started = std::move(*watch->listening);
    }
    co_return started;
  }

  io::Task<Called> call(engine::Invocation& invocation, WallTime deadline) override {
    return found_->call(invocation, deadline);
  }
  Abort abort(const std::string& request_id) override {
    return found_ ? found_->abort(request_id) : Abort::released;
  }
  void ended(const sandbox::Exit& exit) override {
    watch_->exit = exit;
    watch_->http->ended(exit);
    watch_->frames->ended(exit);
    if (found_ && found_ != watch_->http && found_ != watch_->frames) found_->ended(exit);
    watch_->park.wake();
  }
  bool healthy() const override { return found_ && found_->healthy(); }
  void shutdown() override {
    if (found_) found_->shutdown();
  }
  std::chrono::milliseconds farewell(Ending ending) override {
    return found_ ? found_->farewell(ending) : std::chrono::milliseconds(0);
  }
  void wrote(const std::string& request_id, telemetry::LogLine::Stream stream,
             std::string_view line) override {
    if (found_) found_->wrote(request_id, stream, line);
  }

 private:
  // A connection that waits to be accepted is the sign; whoever speaks the Runtime API accepts it.
  void watch_listener() {
    if (sandbox_.listeners.empty()) return;
    boost::system::error_code problem;
    listener_.assign(sandbox_.listeners.front().get(), problem);
    if (problem) return;
    listener_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [watch = watch_](const boost::system::error_code& ec) {
                           if (ec) return;
                           watch->polled = true;
                           watch->park.wake();
                         });
  }
  // The listener belongs to the sandbox, and goes on to the protocol that was found.
  void stop_watching() {
    if (listener_.is_open()) (void)listener_.release();
    const bool listens = watch_->listening.has_value() && !watch_->polled && !watch_->framed;
    if (!listens) watch_->http->ended({});
    if (!watch_->framed) watch_->frames->ended({});
  }

  static Started judge_exit(const sandbox::Exit& exit) {
    Started started;
    if (!exit.signalled && exit.status == 0) {
      started.ready.model = Model::stdio;
      started.ready.notes.push_back("reads standard input, one process for each call");
      return started;
    }
    const auto hint = fmt::format(
        "the program {}{} when it was tried with no input; if that is how it is meant to be, say "
        "what "
        "it is with --runtime exec, http or provided, or deploy it untried with --no-check",
        exit.signalled ? "was " : "", exit.reason);
    started.failure = engine::crash_failure(Phase::init, hint);
    started.failure->outcome = telemetry::Outcome::init_failed;
    return started;
  }

  const ProtocolFactory& runtime_api_;
  const functions::Version& version_;
  sandbox::Sandbox& sandbox_;
  const asio::any_io_executor executor_;
  const engine::LogSink log_;
  asio::posix::stream_descriptor listener_;
  const WatchPtr watch_;
  std::shared_ptr<InstanceProtocol> found_;
};

class ProbeFactory final : public ProtocolFactory {
 public:
  ProbeFactory(const ProtocolFactory& frames, const ProtocolFactory& runtime_api,
               std::uint16_t port)
      : frames_(frames), runtime_api_(runtime_api), port_(port) {}

  bool serves(const functions::Version& version) const override {
    return version.model == Model::unknown && is_program(version);
  }
  bool wants_runtime(const functions::Version&) const override { return false; }
  Status prepare(const functions::Version& version, const functions::Runtime&,
                 sandbox::LaunchSpec& spec) const override {
    spec.argv = program_argv(version);
    offer_channel(spec);
    engine::set_env(spec.env, "MAYFLY_CONCURRENCY", std::to_string(version.settings.concurrency));
    spec.stdin_pipe = true;
    spec.listen_ports = {port_};
    engine::set_env(spec.env, "PORT", std::to_string(kProgramPort));
    engine::set_env(spec.env, "AWS_LAMBDA_RUNTIME_API", fmt::format("127.0.0.1:{}", port_));
    return ok();
  }
  std::unique_ptr<InstanceProtocol> attach(const functions::Version& version,
                                           sandbox::Sandbox& sandbox,
                                           asio::any_io_executor executor,
                                           engine::LogSink log) const override {
    return std::make_unique<ProbeProtocol>(frames_, runtime_api_, version, sandbox,
                                           std::move(executor), std::move(log));
  }

 private:
  const ProtocolFactory& frames_;
  const ProtocolFactory& runtime_api_;
  const std::uint16_t port_;
};

}  // namespace

std::unique_ptr<ProtocolFactory> make_probe_factory(const ProtocolFactory& frames,
                                                    const ProtocolFactory& runtime_api,
                                                    std::uint16_t runtime_api_port) {
  return std::make_unique<ProbeFactory>(frames, runtime_api, runtime_api_port);
}

}  // namespace mayfly::dialects::adapters
