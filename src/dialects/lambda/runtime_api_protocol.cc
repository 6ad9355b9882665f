#include "dialects/lambda/runtime_api_protocol.h"

#include <fmt/format.h>

#include <algorithm>

#include "dialects/lambda/extended_protocol.h"
#include "dialects/lambda/runtime_api_session.h"
#include "engine/frame_protocol.h"
#include "functions/images.h"

namespace mayfly::dialects::lambda {
namespace {

using functions::Model;

// Settled once the model is known.
std::uint32_t concurrency_of(const functions::Version& version) {
  return std::max(
      1u, version.model == Model::unknown ? version.settings.concurrency : version.concurrency);
}

class RuntimeApiProtocol final : public engine::InstanceProtocol {
 public:
  explicit RuntimeApiProtocol(std::shared_ptr<RuntimeApiSession> session)
      : session_(std::move(session)) {}
  ~RuntimeApiProtocol() override { session_->close(); }

  void listen(engine::InstanceEvents events) override { session_->listen(std::move(events)); }
  io::Task<Started> start() override { return session_->wait_ready(); }
  io::Task<Called> call(engine::Invocation& invocation, WallTime deadline) override {
    return session_->call(invocation, deadline);
  }
  Abort abort(const std::string& request_id) override { return session_->abort(request_id); }
  void ended(const sandbox::Exit&) override { session_->ended(); }
  bool healthy() const override { return session_->healthy(); }

 private:
  std::shared_ptr<RuntimeApiSession> session_;
};

class RuntimeApiFactory final : public engine::ProtocolFactory {
 public:
  explicit RuntimeApiFactory(RuntimeApiSettings settings) : settings_(std::move(settings)) {}

  bool serves(const functions::Version& version) const override {
    if (version.model == Model::runtime_api) return true;
    return version.model == Model::unknown && version.settings.runtime.starts_with("provided");
  }
  bool wants_runtime(const functions::Version&) const override { return false; }

  Status prepare(const functions::Version& version, const functions::Runtime&,
                 sandbox::LaunchSpec& spec) const override {
    // The entry is what was found in the package; the handler of "provided" may
    // be any text.
    const std::string program = version.entry.empty() ? "bootstrap" : version.entry;
    spec.channel = false;
    if (version.is_image())
      spec.argv = functions::image_argv(version);
    else
      spec.argv = {program.starts_with('/') ? program : "/var/task/" + program};
    spec.listen_ports = {settings_.port};
    engine::set_env(spec.env, "AWS_LAMBDA_RUNTIME_API",
                    fmt::format("127.0.0.1:{}", settings_.port));
    // AWS's runtime clients poll on so many connections when it is there.
    if (const auto polls = concurrency_of(version); polls > 1)
      engine::set_env(spec.env, "AWS_LAMBDA_MAX_CONCURRENCY", std::to_string(polls));
    return add_supervisor(version, settings_, spec);
  }

  std::unique_ptr<engine::InstanceProtocol> attach(const functions::Version& version,
                                                   sandbox::Sandbox& sandbox,
                                                   boost::asio::any_io_executor executor,
                                                   engine::LogSink log) const override {
    auto apis = make_sandbox_apis(version, sandbox, executor, settings_);
    auto session = std::make_shared<RuntimeApiSession>(
        executor, settings_, engine::function_arn(settings_.region, settings_.account, version),
        concurrency_of(version), apis.extensions);
    os::Fd listener;
    if (!sandbox.listeners.empty()) listener = std::move(sandbox.listeners.front());
    session->open(std::move(listener));
    return extend_protocol(std::make_unique<RuntimeApiProtocol>(std::move(session)),
                           std::move(apis), version, sandbox, std::move(executor), std::move(log));
  }

 private:
  const RuntimeApiSettings settings_;
};

}  // namespace

std::unique_ptr<engine::ProtocolFactory> make_runtime_api_factory(RuntimeApiSettings settings) {
  return std::make_unique<RuntimeApiFactory>(std::move(settings));
}

}  // namespace mayfly::dialects::lambda
