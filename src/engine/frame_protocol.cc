#include "engine/frame_protocol.h"

#include <fmt/format.h>

#include "engine/frame_connection.h"
#include "wire/http_message.h"

namespace mayfly::engine {
namespace {

using functions::Model;

class FrameProtocol final : public InstanceProtocol {
 public:
  FrameProtocol(std::shared_ptr<FrameConnection> connection, std::string arn)
      : connection_(std::move(connection)) {
    // The part of the meta JSON that is the same for every call.
    meta_tail_ = ",\"arn\":";
    wire::append_json_string(meta_tail_, arn);
    meta_tail_ += '}';
    connection_->open();
  }
  ~FrameProtocol() override { connection_->close(); }

  void listen(InstanceEvents events) override { connection_->listen(std::move(events)); }
  io::Task<Started> start() override { return connection_->wait_ready(); }
  io::Task<Called> call(Invocation& invocation, WallTime deadline) override {
    return connection_->call(invocation, meta_of(invocation, deadline));
  }
  Abort abort(const std::string& request_id) override { return connection_->abort(request_id); }
  void ended(const sandbox::Exit&) override { connection_->ended(); }
  bool healthy() const override { return connection_->open_for_calls(); }
  void shutdown() override { connection_->shutdown(); }

 private:
  std::string meta_of(const Invocation& invocation, WallTime deadline) const {
    std::string meta;
    meta.reserve(64 + invocation.request_id.size() + invocation.trace_id.size() +
                 invocation.client_context.size() + meta_tail_.size());
    meta += "{\"id\":";
    wire::append_json_string(meta, invocation.request_id);
    fmt::format_to(std::back_inserter(meta), ",\"deadline_ms\":{}", to_epoch_ms(deadline));
    if (!invocation.trace_id.empty()) {
      meta += ",\"trace\":";
      wire::append_json_string(meta, invocation.trace_id);
    }
    if (!invocation.client_context.empty()) {
      meta += ",\"client_context\":";
      wire::append_json_string(meta, invocation.client_context);
    }
    meta += meta_tail_;
    return meta;
  }

  std::shared_ptr<FrameConnection> connection_;
  std::string meta_tail_;
};

class FrameFactory final : public ProtocolFactory {
 public:
  explicit FrameFactory(FrameSettings settings) : settings_(std::move(settings)) {}

  bool serves(const functions::Version& version) const override {
    if (version.model == Model::event || version.model == Model::http) return true;
    if (version.model != Model::unknown) return false;
    const auto& runtime = version.settings.runtime;
    return runtime != "native" && runtime != "provided" && runtime != "http" && runtime != "exec";
  }

  Status prepare(const functions::Version& version, const functions::Runtime& runtime,
                 sandbox::LaunchSpec& spec) const override {
    const char* extension = runtime.language == "python" ? "py" : "js";
    if (runtime.language != "python" && runtime.language != "node") {
      return Error{Code::unsupported,
                   fmt::format("runtime {} has no program that speaks frames", runtime.name),
                   "start of an instance", 0};
    }
    spec.channel = true;
    spec.argv = {runtime.program, fmt::format("/var/runtime/main.{}", extension)};
    spec.mounts.push_back({settings_.runtimes_dir + "/" + runtime.language, "/var/runtime", false});
    for (const auto& prefix : runtime.prefixes) spec.mounts.push_back({prefix, prefix, false});
    set_env(spec.env, "_HANDLER", version.settings.handler);
    set_env(spec.env, "MAYFLY_ENTRY", version.entry);
    set_env(spec.env, "MAYFLY_CONCURRENCY",
            std::to_string(version.model == Model::unknown ? version.settings.concurrency
                                                           : version.concurrency));
    return ok();
  }

  std::unique_ptr<InstanceProtocol> attach(const functions::Version& version,
                                           sandbox::Sandbox& sandbox,
                                           boost::asio::any_io_executor executor,
                                           LogSink log) const override {
    return make_frame_protocol(std::move(executor), std::move(sandbox.channel), std::move(log),
                               function_arn(settings_.region, settings_.account, version),
                               settings_.event_bytes_max);
  }

 private:
  FrameSettings settings_;
};

}  // namespace

std::string function_arn(const std::string& region, const std::string& account,
                         const functions::Version& version) {
  auto arn = fmt::format("arn:aws:lambda:{}:{}:function:{}", region, account, version.function);
  if (version.number != 0) arn += fmt::format(":{}", version.number);
  return arn;
}

std::unique_ptr<InstanceProtocol> make_frame_protocol(boost::asio::any_io_executor executor,
                                                      os::Fd channel, LogSink log, std::string arn,
                                                      std::uint64_t event_bytes_max) {
  FrameConnection::Options options;
  options.event_bytes_max = event_bytes_max;
  return std::make_unique<FrameProtocol>(
      std::make_shared<FrameConnection>(std::move(executor), std::move(channel), std::move(log),
                                        options),
      std::move(arn));
}

std::unique_ptr<ProtocolFactory> make_frame_factory(FrameSettings settings) {
  return std::make_unique<FrameFactory>(std::move(settings));
}

}  // namespace mayfly::engine
