#include "engine/frame_protocol.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <sstream>
#include <vector>

#include "engine/frame_connection.h"
#include "engine/zygote_spec.h"
#include "functions/languages.h"
#include "os/files.h"
#include "wire/http_message.h"

namespace mayfly::engine {
namespace {

using functions::Model;

constexpr std::string_view kMemory = "{memory_mb}";  // in a runtime's file `arguments`

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

// V8's own threads would not be in a clone, and the collection that its memory reducer wants some
// seconds after initialisation would be done by each clone; the preloaded library mends what Node
// and glibc keep of the threads that remain (docs/internals/cloning-runtimes.md).
void prepare_node_template(sandbox::LaunchSpec& spec) {
  spec.argv.insert(spec.argv.begin() + 1, {"--single-threaded", "--no-memory-reducer"});
  std::string preload = "/var/runtime-lib/libmayfly_forksafe.so";
  constexpr std::string_view kPreload = "LD_PRELOAD=";
  for (const auto& entry : spec.env)
    if (entry.starts_with(kPreload)) preload += ":" + entry.substr(kPreload.size());
  set_env(spec.env, "LD_PRELOAD", preload);
}

// A program of the user's that is given the runtime's command line to start: the form of AWS,
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html. Empty: none.
std::string wrapper_of(const functions::Version& version) {
  const auto& env = version.settings.env;
  const auto found = env.find("AWS_LAMBDA_EXEC_WRAPPER");
  return found == env.end() ? std::string() : found->second;
}

class FrameFactory final : public ProtocolFactory {
 public:
  // Looks once which programs are there, and which arguments their interpreters need.
  explicit FrameFactory(FrameSettings settings) : settings_(std::move(settings)) {
    for (const auto& language : functions::languages()) {
      std::error_code error;  // a build folder has links to the source tree
      const auto folder = std::filesystem::canonical(
                              fmt::format("{}/{}", settings_.runtimes_dir, language.name), error)
                              .string();
      if (error || ::access(fmt::format("{}/{}", folder, language.main).c_str(), R_OK) != 0)
        continue;
      folders_[std::string(language.name)] = folder;
      auto& argv = programs_[std::string(language.name)];
      if (const auto text = os::read_file(folder + "/arguments"); text.has_value()) {
        std::istringstream lines(text.value());
        for (std::string line; std::getline(lines, line);) argv.push_back(line);
      }
      argv.push_back(fmt::format("/var/runtime/{}", language.main));
    }
  }

  bool serves(const functions::Version& version) const override {
    if (version.model == Model::event || version.model == Model::http) return true;
    if (version.model != Model::unknown) return false;
    const auto& runtime = version.settings.runtime;
    return runtime != "native" && runtime != "provided" && runtime != "http" && runtime != "exec";
  }

  Status prepare(const functions::Version& version, const functions::Runtime& runtime,
                 sandbox::LaunchSpec& spec) const override {
    const auto program = programs_.find(runtime.language);
    if (program == programs_.end())
      return Error{Code::unsupported,
                   fmt::format("runtime {} has no program that speaks frames in {}/{}: was "
                               "Mayfly built on a machine without the language's compiler?",
                               runtime.name, settings_.runtimes_dir, runtime.language),
                   "start of an instance", 0};
    spec.channel = true;
    spec.argv = {runtime.program};
    for (std::string argument : program->second) {
      // The heap of a virtual machine: it does not see the limit of its sandbox by itself.
      if (const auto at = argument.find(kMemory); at != std::string::npos)
        argument.replace(at, kMemory.size(), std::to_string(version.settings.memory_mb));
      spec.argv.push_back(std::move(argument));
    }
    if (spec.cloneable && runtime.language == "node") prepare_node_template(spec);
    if (const auto wrapper = wrapper_of(version); !wrapper.empty()) {
      if (!wrapper.starts_with('/'))
        return Error{Code::invalid_argument,
                     "AWS_LAMBDA_EXEC_WRAPPER must be an absolute path, such as /var/task/wrapper "
                     "or /opt/wrapper of a layer, not '" +
                         wrapper + "'",
                     "start of an instance", 0};
      spec.argv.insert(spec.argv.begin(), wrapper);
    }
    spec.mounts.push_back({folders_.at(runtime.language), "/var/runtime", false});
    for (const auto& prefix : runtime.prefixes) spec.mounts.push_back({prefix, prefix, false});
    if (!settings_.runtime_lib.empty() && wrapper_of(version).empty()) {
      spec.zygote = zygote_for(runtime.language, spec, settings_.runtime_lib);
    }
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

  // What a wrapper does each time it starts cannot be cloned.
  bool clones(const functions::Version& version, const functions::Runtime& runtime) const override {
    return runtime.cloneable && wrapper_of(version).empty();
  }
  std::unique_ptr<InstanceProtocol> attach_clone(const functions::Version& version,
                                                 sandbox::Sandbox& sandbox,
                                                 boost::asio::any_io_executor executor,
                                                 LogSink log) const override {
    return make_frame_protocol(std::move(executor), std::move(sandbox.channel), std::move(log),
                               function_arn(settings_.region, settings_.account, version),
                               settings_.event_bytes_max, true);
  }

 private:
  FrameSettings settings_;
  std::map<std::string, std::string> folders_;                // by language
  std::map<std::string, std::vector<std::string>> programs_;  // by language: after the interpreter
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
                                                      std::uint64_t event_bytes_max, bool clone) {
  FrameConnection::Options options;
  options.clone = clone;
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
