#include "engine/launch_spec.h"

#include <fmt/format.h>

#include <algorithm>

#include "functions/images.h"

namespace mayfly::engine {
namespace {

// What the user must not change: the engine and the runtimes rely on it.
bool reserved(const std::string& name) {
  static const char* const kNames[] = {"_HANDLER",
                                       "LAMBDA_TASK_ROOT",
                                       "AWS_LAMBDA_RUNTIME_API",
                                       "AWS_LAMBDA_FUNCTION_NAME",
                                       "AWS_LAMBDA_FUNCTION_VERSION",
                                       "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                       "PORT"};
  return name.starts_with("MAYFLY_") ||
         std::any_of(std::begin(kNames), std::end(kNames),
                     [&](const char* known) { return name == known; });
}

constexpr const char* kImagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string path_with(const functions::Runtime& runtime) {
  std::string path = "/usr/local/bin:/usr/bin:/bin:/opt/bin";  // the last one: of layers
  const auto slash = runtime.program.rfind('/');
  if (slash == std::string::npos || slash == 0) return path;
  const auto folder = runtime.program.substr(0, slash);
  if ((":" + path + ":").find(":" + folder + ":") == std::string::npos) path = folder + ":" + path;
  return path;
}

// As Lambda names its managed runtimes: AWS_Lambda_nodejs20.x. Empty for programs that bring their
// own.
std::string execution_env(const functions::Runtime& runtime) {
  std::string_view number = runtime.name;
  while (!number.empty() && (number[0] < '0' || number[0] > '9')) number.remove_prefix(1);
  const auto& language = runtime.language;
  if (number.empty()) return {};
  if (language == "node")
    return fmt::format("AWS_Lambda_nodejs{}.x", number.substr(0, number.find('.')));
  if (language == "python" || language == "ruby" || language == "java")
    return fmt::format("AWS_Lambda_{}{}", language, number);
  return {};
}

std::string version_text(const functions::Version& version) {
  return version.number == 0 ? "$LATEST" : std::to_string(version.number);
}

std::string log_stream_name(const functions::Version& version, const std::string& id,
                            WallTime now) {
  return fmt::format("{}[{}]{}", to_rfc3339(now).substr(0, 10), version_text(version), id);
}

bool has_env(const std::vector<std::string>& env, std::string_view beginning) {
  return std::any_of(env.begin(), env.end(), [beginning](const std::string& entry) {
    return entry.starts_with(beginning);
  });
}

}  // namespace

std::uint32_t cpu_millis_of(std::uint64_t memory_bytes) {
  return std::max<std::uint32_t>(1000,
                                 static_cast<std::uint32_t>((memory_bytes >> 20) * 1000 / 1769));
}

sandbox::LaunchSpec base_launch_spec(const functions::Version& version,
                                     const functions::Runtime& runtime,
                                     const EngineSettings& settings, const std::string& id,
                                     WallTime now) {
  sandbox::LaunchSpec spec;
  spec.id = id;
  spec.channel = false;  // a protocol that wants one says so
  spec.network = version.settings.network == functions::NetworkMode::none ? sandbox::Network::none
                                                                          : sandbox::Network::nat;
  const bool image = version.is_image();
  if (image) {
    spec.rootfs = version.code_dir;
    spec.cwd = functions::image_workdir(version.settings.image);
  } else {
    spec.mounts.push_back({version.code_dir, "/var/task", false});
  }
  if (!version.layers_dir.empty()) spec.mounts.push_back({version.layers_dir, "/opt", false});
  const std::uint32_t memory_mb =
      version.settings.memory_mb != 0 ? version.settings.memory_mb : 128;
  spec.limits.memory_bytes = std::uint64_t{memory_mb} << 20;
  spec.limits.cpu_millis = cpu_millis_of(spec.limits.memory_bytes);

  const std::string number = version_text(version);
  auto& env = spec.env;
  set_env(env, "PATH", path_with(runtime));
  // Of programs with a runtime of their own, and of layers; others are spared the search.
  if (image)
    set_env(env, "PATH", kImagePath);
  else if (!version.layers_dir.empty() || version.settings.runtime.starts_with("provided"))
    set_env(env, "LD_LIBRARY_PATH",
            "/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib");
  set_env(env, "HOME", "/tmp");
  set_env(env, "LANG", "C.UTF-8");
  set_env(env, "TZ", ":UTC");
  set_env(env, "AWS_REGION", settings.region);
  set_env(env, "AWS_DEFAULT_REGION", settings.region);
  set_env(env, "AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
  const auto& logs = version.settings.logs;
  set_env(env, "AWS_LAMBDA_LOG_FORMAT", logs.format.empty() ? "Text" : logs.format);
  if (!logs.level.empty()) set_env(env, "AWS_LAMBDA_LOG_LEVEL", logs.level);
  set_env(env, "AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
  set_env(env, "AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000");
  if (const auto name = execution_env(runtime); !name.empty())
    set_env(env, "AWS_EXECUTION_ENV", name);
  set_env(env, "AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/" + version.function);
  set_env(env, "AWS_LAMBDA_LOG_STREAM_NAME", log_stream_name(version, id, now));
  for (const auto* own : {&version.settings.image.env, &version.settings.env})
    for (const auto& [name, value] : *own)
      if (!reserved(name)) set_env(env, name, value);
  // As on Lambda, lines in JSON are filtered, and text is not.
  if (functions::logs_json(version.settings) && !has_env(env, "AWS_LAMBDA_LOG_LEVEL="))
    set_env(env, "AWS_LAMBDA_LOG_LEVEL", "INFO");
  set_env(env, "AWS_LAMBDA_FUNCTION_NAME", version.function);
  set_env(env, "AWS_LAMBDA_FUNCTION_VERSION", number);
  set_env(env, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", std::to_string(memory_mb));
  set_env(env, "LAMBDA_TASK_ROOT", "/var/task");
  set_env(env, "LAMBDA_RUNTIME_DIR", "/var/runtime");
  if (!image || !version.settings.handler.empty())
    set_env(env, "_HANDLER", version.settings.handler);
  return spec;
}

void mark_provisioned(sandbox::LaunchSpec& spec) {
  set_env(spec.env, "AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency");
}

sandbox::CloneSpec base_clone_spec(const functions::Version& version, const std::string& id,
                                   std::uint64_t memory_bytes, WallTime now) {
  sandbox::CloneSpec spec;
  spec.id = id;
  spec.limits.memory_bytes = memory_bytes;
  spec.limits.cpu_millis = cpu_millis_of(memory_bytes);
  set_env(spec.env, "AWS_LAMBDA_LOG_STREAM_NAME", log_stream_name(version, id, now));
  return spec;
}

void make_cloneable(sandbox::LaunchSpec& spec, const EngineSettings& settings) {
  const std::string folder = "/var/runtime-lib";
  spec.cloneable = true;
  spec.mounts.push_back({settings.runtime_lib, folder, false});
  set_env(spec.env, "MAYFLY_CLONE_LIB", folder + "/libmayfly_clone.so");
}

}  // namespace mayfly::engine
