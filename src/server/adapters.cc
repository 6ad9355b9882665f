#include "server/adapters.h"

#include "dialects/adapters/frame_program.h"
#include "dialects/adapters/http_dialect.h"
#include "dialects/adapters/http_port_protocol.h"
#include "dialects/adapters/probe_protocol.h"
#include "dialects/adapters/stdio_protocol.h"
#include "dialects/lambda/authorizer.h"
#include "dialects/lambda/extended_protocol.h"
#include "dialects/lambda/http_event.h"
#include "dialects/lambda/runtime_api_protocol.h"
#include "dialects/lambda/socket_event.h"
#include "engine/frame_protocol.h"

namespace mayfly::server {
namespace {

class BuiltAdapters final : public Adapters {
 public:
  BuiltAdapters(const engine::EngineSettings& engine, std::size_t body_bytes_max) {
    engine::FrameSettings frames;
    frames.runtimes_dir = engine.runtimes_dir;
    frames.region = engine.region;
    frames.account = engine.account;
    frames.event_bytes_max = engine.response_bytes_max;
    if (engine.zygotes) frames.runtime_lib = engine.runtime_lib;
    frames_ = engine::make_frame_factory(frames);
    // Before all others: it takes programs of the models that those claim for languages.
    protocols_.push_back(dialects::adapters::make_frame_program_factory(std::move(frames)));
    const auto& frame_programs = *protocols_.back();

    dialects::lambda::RuntimeApiSettings runtime_api;
    runtime_api.region = engine.region;
    runtime_api.account = engine.account;
    runtime_api.runtime_lib = engine.runtime_lib;
    protocols_.push_back(dialects::lambda::make_extensions_factory(*frames_, runtime_api));
    const auto port = runtime_api.port;
    protocols_.push_back(dialects::lambda::make_runtime_api_factory(std::move(runtime_api)));
    const auto& runtime_api_factory = *protocols_.back();
    protocols_.push_back(dialects::adapters::make_http_port_factory());
    protocols_.push_back(dialects::adapters::make_stdio_factory());
    // The last: it takes the programs that none of them claims.
    protocols_.push_back(
        dialects::adapters::make_probe_factory(frame_programs, runtime_api_factory, port));

    dialects::lambda::EventSettings events;
    events.account = engine.account;
    events.region = engine.region;
    events.body_bytes_max = body_bytes_max;
    authorizers_ = dialects::lambda::make_authorizer_dialect(events);
    sockets_ = dialects::lambda::make_socket_dialect(events);
    event_ = dialects::lambda::make_event_dialect(std::move(events));
    http_ = dialects::adapters::make_http_dialect();
  }

  std::vector<const engine::ProtocolFactory*> protocols() const override {
    std::vector<const engine::ProtocolFactory*> all;
    for (const auto& each : protocols_) all.push_back(each.get());
    all.insert(all.begin() + 2, frames_.get());
    return all;
  }
  const gateway::HttpDialect& event_dialect() const override { return *event_; }
  const gateway::HttpDialect& http_dialect() const override { return *http_; }
  const gateway::AuthorizerDialect& authorizers() const override { return *authorizers_; }
  const gateway::SocketDialect& sockets() const override { return *sockets_; }

 private:
  std::unique_ptr<engine::ProtocolFactory> frames_;  // behind that for extensions, which needs it
  std::vector<std::unique_ptr<engine::ProtocolFactory>> protocols_;
  std::unique_ptr<gateway::HttpDialect> event_;
  std::unique_ptr<gateway::HttpDialect> http_;
  std::unique_ptr<gateway::AuthorizerDialect> authorizers_;
  std::unique_ptr<gateway::SocketDialect> sockets_;
};

}  // namespace

std::unique_ptr<Adapters> make_adapters(const engine::EngineSettings& settings,
                                        std::size_t body_bytes_max) {
  return std::make_unique<BuiltAdapters>(settings, body_bytes_max);
}

}  // namespace mayfly::server
