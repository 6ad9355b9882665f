#include "dialects/lambda/extended_protocol.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <map>
#include <optional>

#include "base/log.h"
#include "dialects/lambda/runtime_api_replies.h"
#include "dialects/lambda/runtime_api_syntax.h"
#include "engine/frame_protocol.h"
#include "engine/park.h"
#include "functions/images.h"
#include "io/http_server.h"

namespace mayfly::dialects::lambda {

namespace {

using engine::InstanceProtocol;
using telemetry::Phase;

constexpr std::size_t kExternalMax = 10;
constexpr std::size_t kExtensionNameMax = 128;
constexpr std::chrono::milliseconds kShutdownTakes{2'000};
constexpr std::string_view kRuntimeLib = "/var/runtime-lib";

WallTime wall_now() {
  return SystemClock().wall_now();
}

std::int64_t now_ms() {
  return to_epoch_ms(wall_now());
}

std::chrono::microseconds since(WallTime from) {
  return std::chrono::duration_cast<std::chrono::microseconds>(wall_now() - from);
}

struct StartEnded {
  void operator()(const std::exception_ptr& problem) const {
    if (problem) log::error("the start of a runtime beside extensions broke off");
  }
};

std::shared_ptr<engine::Failure> given_up() {
  auto failure = engine::crash_failure(Phase::run);
  failure->outcome = telemetry::Outcome::cancelled;
  failure->party = telemetry::Party::client;
  failure->code = Code::cancelled;
  failure->message = "the call was given up";
  return failure;
}

std::string version_number(const functions::Version& version) {
  return version.number == 0 ? "$LATEST" : std::to_string(version.number);
}

// The events of one instance and of its calls; nothing is composed when nobody listens.
class Reporter {
 public:
  Reporter(std::shared_ptr<TelemetryHub> hub, const functions::Version& version,
           sandbox::Sandbox& sandbox)
      : hub_(std::move(hub)),
        sandbox_(sandbox),
        version_(version_number(version)),
        memory_mb_(version.settings.memory_mb),
        began_(wall_now()) {
    std::string record = kInit;
    const auto add = [&record](std::string_view name, std::string_view value) {
      record.append(",\"").append(name).append("\":");
      wire::append_json_string(record, value);
    };
    add("functionName", version.function);
    add("functionVersion", version_);
    add("instanceId", sandbox.id());
    add("runtimeVersion", version.settings.runtime);
    hub_->platform("platform.initStart", record + ",\"instanceMaxMemory\":" +
                                             std::to_string(std::uint64_t{memory_mb_} << 20) + "}");
  }

  void initialised(bool well) {
    init_ = since(began_);
    const std::string status = well ? "\"success\"" : "\"error\"";
    hub_->platform("platform.initRuntimeDone", std::string(kInit) + ",\"status\":" + status + "}");
    hub_->platform("platform.initReport", std::string(kInit) + ",\"status\":" + status +
                                              ",\"metrics\":{\"durationMs\":" + json_ms(init_) +
                                              "}}");
  }

  void began(const std::string& id, const std::string& trace) {
    if (!hub_->wanted()) return;
    call_began_ = wall_now();
    std::string record = id_record(id) + ",\"version\":";
    wire::append_json_string(record, version_);
    if (!trace.empty()) {
      record += ",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":";
      wire::append_json_string(record, trace);
      record += '}';
    }
    hub_->platform("platform.start", record + "}");
  }

  void over(const std::string& id, std::string_view status, std::size_t bytes) {
    if (!hub_->wanted()) return;
    const auto took = since(call_began_);
    const std::string record = fmt::format("{},\"status\":\"{}\"", id_record(id), status);
    hub_->platform("platform.runtimeDone",
                   fmt::format("{},\"metrics\":{{\"durationMs\":{},\"producedBytes\":{}}}}}",
                               record, json_ms(took), bytes));
    hub_->platform("platform.end", id_record(id) + "}");
    const auto billed = std::chrono::ceil<std::chrono::milliseconds>(took);
    std::string report = fmt::format(
        "{},\"metrics\":{{\"durationMs\":{},\"billedDurationMs\":{},\"memorySizeMB\":{},"
        "\"maxMemoryUsedMB\":{}",
        record, json_ms(took), billed.count(), memory_mb_,
        (sandbox_.usage().memory_peak_bytes + (1u << 20) - 1) >> 20);
    if (!std::exchange(first_over_, true)) report += ",\"initDurationMs\":" + json_ms(init_);
    hub_->platform("platform.report", report + "}}");
  }

 private:
  static constexpr const char* kInit = "{\"initializationType\":\"on-demand\",\"phase\":\"init\"";
  static std::string id_record(const std::string& id) {
    std::string record = "{\"requestId\":";
    wire::append_json_string(record, id);
    return record;
  }

  const std::shared_ptr<TelemetryHub> hub_;
  sandbox::Sandbox& sandbox_;
  const std::string version_;
  const std::uint32_t memory_mb_;
  const WallTime began_;
  WallTime call_began_;
  std::chrono::microseconds init_{0};
  bool first_over_ = false;
};

// What the protocol and its coroutines share: these may outlive it.
struct Shared {
  Shared(SandboxApis given, const functions::Version& version, sandbox::Sandbox& sandbox)
      : apis(std::move(given)), report(apis.telemetry, version, sandbox) {}

  bool failed() const { return !apis.extensions->trouble().type.empty(); }
  std::string trouble_json(const std::string& id) const {
    const auto& trouble = apis.extensions->trouble();
    const std::string start = id.empty() ? "" : "RequestId: " + id + " ";
    return error_json(trouble.type, start + "Error: " + trouble.message);
  }
  void end() {
    ended = true;
    apis.extensions->end();
    apis.telemetry->end();
    park.wake();
  }

  const SandboxApis apis;
  Reporter report;
  engine::Park park;  // of start(), or of the one call() that waits for rest
  std::optional<InstanceProtocol::Started> started;  // of the runtime
  bool ended = false, serving = false;
  std::string waiting;  // the invocation that waits until the extensions are at rest
  std::string current;  // the one that runs
};

io::Task<void> start_runtime(std::shared_ptr<InstanceProtocol> inner,
                             std::shared_ptr<Shared> shared) {
  auto starting = inner->start();
  shared->started = co_await std::move(starting);
  shared->park.wake();
}

class ExtendedProtocol final : public InstanceProtocol {
 public:
  ExtendedProtocol(std::unique_ptr<InstanceProtocol> inner, SandboxApis apis,
                   const functions::Version& version, sandbox::Sandbox& sandbox,
                   boost::asio::any_io_executor executor, engine::LogSink log)
      : inner_(std::move(inner)),
        shared_(std::make_shared<Shared>(std::move(apis), version, sandbox)),
        executor_(std::move(executor)),
        log_(std::move(log)),
        one_at_a_time_(version.concurrency <= 1) {}
  ~ExtendedProtocol() override {
    if (!shared_->ended) inner_->ended({});
    shared_->end();
  }

  void listen(engine::InstanceEvents events) override {
    events_ = events;
    inner_->listen(std::move(events));
    shared_->apis.extensions->listen(
        {[this] { on_change(); },
         [this](std::string_view name, std::string_view text) { on_output(name, text); }});
  }

  io::Task<Started> start() override { return start_all(inner_, shared_, executor_); }

  io::Task<Called> call(engine::Invocation& invocation, WallTime deadline) override {
    return call_all(inner_, shared_, one_at_a_time_, invocation, deadline);
  }

  Abort abort(const std::string& request_id) override {
    if (shared_->waiting != request_id) return inner_->abort(request_id);
    shared_->waiting.clear();
    shared_->park.wake();
    return Abort::released;
  }

  void ended(const sandbox::Exit& exit) override {
    inner_->ended(exit);
    shared_->end();
  }

  bool healthy() const override { return inner_->healthy() && !shared_->failed(); }
  bool single_use() const override { return inner_->single_use(); }

  std::chrono::milliseconds farewell(Ending ending) override {
    static constexpr std::string_view kReasons[] = {"SPINDOWN", "TIMEOUT", "FAILURE"};
    const auto inner = inner_->farewell(ending);
    const bool told = shared_->apis.extensions->shutdown(kReasons[static_cast<int>(ending)],
                                                         now_ms() + kShutdownTakes.count());
    shared_->apis.telemetry->flush();
    return told ? kShutdownTakes : inner;
  }

  void wrote(const std::string& id, telemetry::LogLine::Stream stream,
             std::string_view line) override {
    inner_->wrote(id, stream, line);
    shared_->apis.telemetry->line("function", line);
  }

 private:
  static io::Task<Started> start_all(std::shared_ptr<InstanceProtocol> inner,
                                     std::shared_ptr<Shared> shared,
                                     boost::asio::any_io_executor executor) {
    boost::asio::co_spawn(executor, start_runtime(inner, shared), StartEnded{});
    while (!shared->started && !shared->ended && !shared->failed())
      (void)co_await shared->park.wait();
    const auto& extensions = *shared->apis.extensions;
    const bool runtime_well = shared->started && !shared->started->failure;
    shared->report.initialised(runtime_well && !shared->failed());
    shared->apis.extensions->close_registration();
    while (runtime_well && !extensions.initialised() && !shared->ended && !shared->failed())
      (void)co_await shared->park.wait();
    Started result;
    if (shared->failed())
      result.failure = engine::function_failure(Phase::init, shared->trouble_json({}));
    else if (shared->started)
      result = *shared->started;
    else
      result.failure = engine::crash_failure(Phase::init);
    if (!result.failure) shared->apis.extensions->announce();
    shared->serving = !result.failure;
    co_return result;
  }

  static io::Task<Called> call_all(std::shared_ptr<InstanceProtocol> inner,
                                   std::shared_ptr<Shared> shared, bool one_at_a_time,
                                   engine::Invocation& invocation, WallTime deadline) {
    const std::string id = invocation.request_id;
    auto& extensions = *shared->apis.extensions;
    shared->waiting = id;
    bool go_on = true;
    while (one_at_a_time && go_on && !extensions.at_rest() && !shared->ended && !shared->failed())
      go_on = co_await shared->park.wait() && shared->waiting == id;
    Called called;
    if (!go_on || shared->ended || shared->failed()) {
      called.failure = go_on ? engine::crash_failure(Phase::run) : given_up();
      called.delivered = false;
      co_return called;
    }
    shared->waiting.clear();
    shared->current = id;
    shared->report.began(id, invocation.trace_id);
    extensions.invoke(id, to_epoch_ms(deadline), invocation.trace_id);
    auto calling = inner->call(invocation, deadline);
    called = co_await std::move(calling);
    if (shared->current == id) shared->current.clear();
    if (shared->failed()) {
      called.failure = engine::function_failure(Phase::run, shared->trouble_json(id));
      called.reply = {};
    }
    const bool late = called.failure && called.failure->outcome == telemetry::Outcome::cancelled;
    const bool error =
        called.failure && called.failure->outcome == telemetry::Outcome::function_error;
    shared->report.over(id,
                        !called.failure ? "success"
                        : late          ? "timeout"
                        : error         ? "error"
                                        : "failure",
                        called.reply.body.size());
    co_return called;
  }

  // Of an extension's state. The engine hears of it in a turn of its own.
  void on_change() {
    shared_->park.wake();
    if (!shared_->failed() || !shared_->serving || std::exchange(gave_up_, true)) return;
    boost::asio::post(executor_, [inner = inner_, id = shared_->current, closed = events_.closed] {
      if (!id.empty()) (void)inner->abort(id);
      if (closed) closed("has an extension that failed");
    });
  }

  // Whole lines; what is left of one waits for its end, or for the extension's.
  void on_output(std::string_view name, std::string_view text) {
    std::string& partial = partial_[std::string(name)];
    partial += text;
    std::size_t from = 0;
    for (std::size_t end; (end = partial.find('\n', from)) != std::string::npos; from = end + 1)
      extension_line(std::string_view(partial).substr(from, end - from));
    partial.erase(0, from);
    if (partial.size() < kLineMax && !text.empty()) return;
    if (!partial.empty()) extension_line(partial);
    partial_.erase(std::string(name));
  }
  void extension_line(std::string_view line) {
    if (log_) log_(shared_->current, telemetry::LogLine::Stream::out, line);
    shared_->apis.telemetry->line("extension", line);
  }

  static constexpr std::size_t kLineMax = 256 * 1024;
  const std::shared_ptr<InstanceProtocol> inner_;
  const std::shared_ptr<Shared> shared_;
  const boost::asio::any_io_executor executor_;
  const engine::LogSink log_;
  const bool one_at_a_time_;
  std::map<std::string, std::string> partial_;  // output of extensions, by their names
  bool gave_up_ = false;
};

// Serves the APIs alone: the runtime is spoken with in another way.
class ApiServer {
 public:
  ApiServer(boost::asio::any_io_executor executor, std::shared_ptr<ExtensionsApi> api,
            os::Fd listener) {
    auto& context = boost::asio::query(executor, boost::asio::execution::context);
    io::HttpServerOptions options;
    options.name = "extensions API";
    options.connections_max = 64;
    options.head_timeout = options.idle_timeout = options.stall_timeout =
        std::chrono::milliseconds(0);
    server_ = std::make_unique<io::HttpServer>(
        static_cast<boost::asio::io_context&>(context), std::move(options),
        [api = std::move(api)](io::HttpRequest request) -> io::Task<io::HttpResponse> {
          if (ExtensionsApi::takes(request.head.path()))
            return ExtensionsApi::serve(api, std::move(request));
          return not_here();
        });
    const auto opened = server_->listen_fd(std::move(listener));
    if (opened.has_error())
      log::error("the Extensions API cannot be served: {}", opened.error().describe());
  }
  ~ApiServer() { server_->close(); }

 private:
  static io::Task<io::HttpResponse> not_here() {
    co_return api_refusal(404, "NotFound",
                          "The runtime of this function does not use the Runtime API.");
  }
  std::unique_ptr<io::HttpServer> server_;
};

// Frames for the runtime, HTTP for the extensions.
class ServedProtocol final : public InstanceProtocol {
 public:
  ServedProtocol(std::unique_ptr<InstanceProtocol> inner, boost::asio::any_io_executor executor,
                 std::shared_ptr<ExtensionsApi> api, os::Fd listener)
      : inner_(std::move(inner)),
        server_(std::move(executor), std::move(api), std::move(listener)) {}

  void listen(engine::InstanceEvents events) override { inner_->listen(std::move(events)); }
  io::Task<Started> start() override { return inner_->start(); }
  io::Task<Called> call(engine::Invocation& invocation, WallTime deadline) override {
    return inner_->call(invocation, deadline);
  }
  Abort abort(const std::string& request_id) override { return inner_->abort(request_id); }
  void ended(const sandbox::Exit& exit) override { inner_->ended(exit); }
  bool healthy() const override { return inner_->healthy(); }
  bool single_use() const override { return inner_->single_use(); }
  void shutdown() override { inner_->shutdown(); }

 private:
  std::unique_ptr<InstanceProtocol> inner_;
  ApiServer server_;
};

// Lines that come in frames are of the function, too.
engine::LogSink tapped(engine::LogSink log, std::shared_ptr<TelemetryHub> hub) {
  return [log = std::move(log), hub = std::move(hub)](
             const std::string& id, telemetry::LogLine::Stream stream, std::string_view text) {
    if (log) log(id, stream, text);
    while (hub->wanted() && !text.empty()) {
      const auto line = text.substr(0, text.find('\n'));
      if (!line.empty()) hub->line("function", line);
      text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
  };
}

class ExtensionsFactory final : public engine::ProtocolFactory {
 public:
  ExtensionsFactory(const engine::ProtocolFactory& inner, RuntimeApiSettings settings)
      : inner_(inner), settings_(std::move(settings)) {}

  bool serves(const functions::Version& version) const override {
    return !version.layers_dir.empty() && inner_.serves(version) &&
           !external_extensions(version).empty();
  }
  bool wants_runtime(const functions::Version& version) const override {
    return inner_.wants_runtime(version);
  }
  Status prepare(const functions::Version& version, const functions::Runtime& runtime,
                 sandbox::LaunchSpec& spec) const override {
    MAYFLY_TRY(inner_.prepare(version, runtime, spec));
    spec.listen_ports = {settings_.port};
    engine::set_env(spec.env, "AWS_LAMBDA_RUNTIME_API",
                    fmt::format("127.0.0.1:{}", settings_.port));
    return add_supervisor(version, settings_, spec);
  }
  std::unique_ptr<InstanceProtocol> attach(const functions::Version& version,
                                           sandbox::Sandbox& sandbox,
                                           boost::asio::any_io_executor executor,
                                           engine::LogSink log) const override {
    auto apis = make_sandbox_apis(version, sandbox, executor, settings_);
    os::Fd listener;
    if (!sandbox.listeners.empty()) listener = std::move(sandbox.listeners.front());
    auto served = std::make_unique<ServedProtocol>(
        inner_.attach(version, sandbox, executor, tapped(log, apis.telemetry)), executor,
        apis.extensions, std::move(listener));
    return extend_protocol(std::move(served), std::move(apis), version, sandbox,
                           std::move(executor), std::move(log));
  }

 private:
  const engine::ProtocolFactory& inner_;
  const RuntimeApiSettings settings_;
};

}  // namespace

std::vector<std::string> external_extensions(const functions::Version& version) {
  std::vector<std::string> names;
  if (version.is_image()) {
    for (auto& name : functions::files_of_image(version.code_dir, "/opt/extensions"))
      if (name.size() <= kExtensionNameMax && names.size() < kExternalMax)
        names.push_back(std::move(name));
    return names;
  }
  if (version.layers_dir.empty()) return names;
  const std::string folder = version.layers_dir + "/extensions";
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), &::closedir);
  if (!open) return names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string name = entry->d_name;
    struct stat info;
    if (name.size() <= kExtensionNameMax && ::stat((folder + "/" + name).c_str(), &info) == 0 &&
        S_ISREG(info.st_mode))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  if (names.size() > kExternalMax) names.resize(kExternalMax);
  return names;
}

SandboxApis make_sandbox_apis(const functions::Version& version, sandbox::Sandbox& sandbox,
                              boost::asio::any_io_executor executor,
                              const RuntimeApiSettings& settings) {
  ExtensionFacts facts;
  facts.function = version.function;
  facts.version = version_number(version);
  facts.handler = version.settings.handler;
  facts.account = settings.account;
  facts.arn = engine::function_arn(settings.region, settings.account, version);
  facts.external = external_extensions(version);
  SandboxApis apis;
  apis.telemetry = std::make_shared<TelemetryHub>(
      executor, [&sandbox](std::uint16_t port) { return sandbox.connector(port); },
      functions::logs_json(version.settings), wall_now);
  apis.extensions =
      std::make_shared<ExtensionsApi>(std::move(executor), std::move(facts), apis.telemetry);
  return apis;
}

Status add_supervisor(const functions::Version& version, const RuntimeApiSettings& settings,
                      sandbox::LaunchSpec& spec) {
  if (external_extensions(version).empty()) return ok();
  if (settings.runtime_lib.empty())
    return Error{Code::unsupported,
                 "The folder runtime-lib, which holds what starts extensions, is not beside the "
                 "program.",
                 "start of an instance", 0};
  const bool there = std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const auto& mount) {
    return mount.sandbox_path == kRuntimeLib;
  });
  if (!there) spec.mounts.push_back({settings.runtime_lib, std::string(kRuntimeLib), false});
  spec.argv.insert(spec.argv.begin(), std::string(kRuntimeLib) + "/mayfly-supervisor");
  return ok();
}

std::unique_ptr<InstanceProtocol> extend_protocol(
    std::unique_ptr<InstanceProtocol> inner, SandboxApis apis, const functions::Version& version,
    sandbox::Sandbox& sandbox, boost::asio::any_io_executor executor, engine::LogSink log) {
  return std::make_unique<ExtendedProtocol>(std::move(inner), std::move(apis), version, sandbox,
                                            std::move(executor), std::move(log));
}

std::unique_ptr<engine::ProtocolFactory> make_extensions_factory(
    const engine::ProtocolFactory& inner, RuntimeApiSettings settings) {
  return std::make_unique<ExtensionsFactory>(inner, std::move(settings));
}

}  // namespace mayfly::dialects::lambda
