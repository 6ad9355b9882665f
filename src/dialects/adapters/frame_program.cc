#include "dialects/adapters/frame_program.h"

#include "dialects/adapters/program.h"

namespace mayfly::dialects::adapters {
namespace {

using functions::Model;

class FrameProgramFactory final : public engine::ProtocolFactory {
 public:
  explicit FrameProgramFactory(engine::FrameSettings settings) : settings_(std::move(settings)) {}

  bool serves(const functions::Version& version) const override {
    return is_program(version) && (version.model == Model::event || version.model == Model::http);
  }
  bool wants_runtime(const functions::Version&) const override { return false; }
  Status prepare(const functions::Version& version, const functions::Runtime&,
                 sandbox::LaunchSpec& spec) const override {
    spec.argv = program_argv(version);
    offer_channel(spec);
    engine::set_env(spec.env, "MAYFLY_CONCURRENCY", std::to_string(version.concurrency));
    return ok();
  }
  std::unique_ptr<engine::InstanceProtocol> attach(const functions::Version& version,
                                                   sandbox::Sandbox& sandbox,
                                                   boost::asio::any_io_executor executor,
                                                   engine::LogSink log) const override {
    return engine::make_frame_protocol(
        std::move(executor), std::move(sandbox.channel), std::move(log),
        engine::function_arn(settings_.region, settings_.account, version),
        settings_.event_bytes_max);
  }

 private:
  const engine::FrameSettings settings_;
};

}  // namespace

void offer_channel(sandbox::LaunchSpec& spec) {
  spec.channel = true;
  engine::set_env(spec.env, "MAYFLY_CHANNEL", "3");
}

std::unique_ptr<engine::ProtocolFactory> make_frame_program_factory(
    engine::FrameSettings settings) {
  return std::make_unique<FrameProgramFactory>(std::move(settings));
}

}  // namespace mayfly::dialects::adapters
