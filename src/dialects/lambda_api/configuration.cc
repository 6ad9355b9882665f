#include "dialects/lambda_api/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <ctime>

#include "base/base64.h"
#include "dialects/aws_values.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/images.h"
#include "functions/languages.h"
#include "functions/log_choices.h"
#include "triggers/targets.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Outcome;
using functions::Settings;

namespace {

constexpr std::string_view kKept = "aws.lambda";        // of Settings::other
constexpr std::string_view kKeptLayers = "aws.layers";  // of Settings::other
constexpr std::size_t kKeptBytesMax = 64 * 1024;

// Members that are kept as they came.
constexpr std::string_view kKeptMembers[] = {
    "Role",          "VpcConfig",        "DeadLetterConfig",  "TracingConfig", "KMSKeyArn",
    "Architectures", "EphemeralStorage", "FileSystemConfigs", "ImageConfig",   "SnapStart"};

// Names that AWS does not let a user set.
constexpr std::string_view kReserved[] = {"_HANDLER",
                                          "_X_AMZN_TRACE_ID",
                                          "AWS_ACCESS_KEY",
                                          "AWS_ACCESS_KEY_ID",
                                          "AWS_DEFAULT_REGION",
                                          "AWS_EXECUTION_ENV",
                                          "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                          "AWS_LAMBDA_FUNCTION_NAME",
                                          "AWS_LAMBDA_FUNCTION_VERSION",
                                          "AWS_LAMBDA_INITIALIZATION_TYPE",
                                          "AWS_LAMBDA_LOG_GROUP_NAME",
                                          "AWS_LAMBDA_LOG_STREAM_NAME",
                                          "AWS_LAMBDA_RUNTIME_API",
                                          "AWS_REGION",
                                          "AWS_SECRET_ACCESS_KEY",
                                          "AWS_SECRET_KEY",
                                          "AWS_SECURITY_TOKEN",
                                          "AWS_SESSION_TOKEN",
                                          "LAMBDA_RUNTIME_DIR",
                                          "LAMBDA_TASK_ROOT"};

json::object kept_of(const Settings& settings) {
  const auto found = settings.other.find(std::string(kKept));
  if (found == settings.other.end()) return {};
  boost::system::error_code failed;
  json::value value = json::parse(found->second, failed);
  return failed || !value.is_object() ? json::object() : std::move(value.get_object());
}

// As CreateFunction named them; of a function that was deployed in another way, by their packages.
json::array layers_of(const Settings& settings) {
  if (settings.layers.empty()) return {};
  boost::system::error_code failed;
  const auto found = settings.other.find(std::string(kKeptLayers));
  json::value kept = json::parse(found == settings.other.end() ? "[]" : found->second, failed);
  if (!failed && kept.is_array() && kept.get_array().size() == settings.layers.size())
    return std::move(kept.get_array());
  json::array layers;
  for (const auto& package : settings.layers)
    layers.push_back(json::object{{"Arn", "sha256:" + package}});
  return layers;
}

Outcome<void> take_environment(const json::object& input, const ConfigurationLimits& limits,
                               Settings& settings) {
  const auto* environment = object_member(input, "Environment");
  if (environment == nullptr) return {};
  const auto variables = map_member(*environment, "Variables");
  std::string reserved;
  std::size_t bytes = 2;
  for (const auto& [name, value] : variables) {
    bytes += name.size() + value.size() + 6;
    if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved))
      reserved += (reserved.empty() ? "" : ", ") + name;
  }
  constexpr std::string_view kUnable =
      "Lambda was unable to configure your environment variables because the environment "
      "variables you have provided ";
  if (!reserved.empty())
    return invalid_parameter(std::string(kUnable) +
                             "contains reserved keys that are currently not supported for "
                             "modification. Reserved keys used in this request: " +
                             reserved);
  if (bytes > limits.env_bytes_max)
    return invalid_parameter(
        fmt::format("{}exceeded the {} bytes limit (setting "
                    "lambda.env_bytes_max); they have {}.",
                    kUnable, limits.env_bytes_max, bytes));
  settings.env = variables;
  return {};
}

// The runtime as this machine has it; an unknown version of a known language is the newest.
Outcome<std::string> runtime_for(const std::string& asked,
                                 const functions::RuntimeTable& runtimes) {
  auto found = runtimes.find(asked);
  if (found.has_value())
    return Outcome<std::string>(boost::system::in_place_value, std::move(found->name));
  if (const auto* language = functions::language_of_id(asked)) {
    auto newest = runtimes.find(language->name);
    if (newest.has_value())
      return Outcome<std::string>(boost::system::in_place_value, std::move(newest->name));
  }
  return invalid_parameter("Value " + asked.substr(0, 100) +
                           " at 'runtime' failed to satisfy constraint: " + found.error().message);
}

Outcome<void> take_numbers(const json::object& input, const ConfigurationLimits& limits,
                           Settings& settings) {
  if (input.contains("Timeout")) {
    const std::int64_t timeout = number_member(input, "Timeout", 0);
    if (timeout < 1)
      return validation(std::to_string(timeout), "timeout",
                        "Member must have value greater than or equal to 1");
    if (timeout > limits.timeout_ms_max / 1000)
      return validation(std::to_string(timeout), "timeout",
                        fmt::format("Member must have value less than or equal to {} (setting "
                                    "functions.timeout_ms_max)",
                                    limits.timeout_ms_max / 1000));
    settings.timeout_ms = static_cast<std::uint32_t>(timeout * 1000);
  }
  if (input.contains("MemorySize")) {
    const std::int64_t memory = number_member(input, "MemorySize", 0);
    if (memory < 128)
      return validation(std::to_string(memory), "memorySize",
                        "Member must have value greater than or equal to 128");
    if (memory > limits.memory_mb_max)
      return validation(std::to_string(memory), "memorySize",
                        fmt::format("Member must have value less than or equal to {} (setting "
                                    "functions.memory_mb_max)",
                                    limits.memory_mb_max));
    settings.memory_mb = static_cast<std::uint32_t>(memory);
  }
  if (const auto* storage = object_member(input, "EphemeralStorage")) {
    const std::int64_t size = number_member(*storage, "Size", 0);
    if (size < 512 || size > 10'240)
      return validation(std::to_string(size), "ephemeralStorage.size",
                        "Member must have value from 512 to 10240");
  }
  return {};
}

Outcome<void> check_choices(const json::object& input) {
  const auto one_of = [](const json::object* object, std::string_view member, std::string_view path,
                         std::initializer_list<std::string_view> allowed) -> Outcome<void> {
    if (object == nullptr || !object->contains(member)) return {};
    const std::string value = text_member(*object, member);
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return {};
    return validation(
        value.substr(0, 100), path,
        fmt::format("Member must satisfy enum value set: [{}]", fmt::join(allowed, ", ")));
  };
  AWS_TRY(one_of(object_member(input, "TracingConfig"), "Mode", "tracingConfig.mode",
                 {"Active", "PassThrough"}));
  AWS_TRY(one_of(object_member(input, "SnapStart"), "ApplyOn", "snapStart.applyOn",
                 {"PublishedVersions", "None"}));
  for (const auto& architecture : texts_member(input, "Architectures"))
    if (architecture != "x86_64" && architecture != "arm64")
      return validation(architecture.substr(0, 100), "architectures",
                        "Member must satisfy enum value set: [x86_64, arm64]");
  AWS_TRY(refuse_unserved(input));
  AWS_TRY(check_kms_key(input, "KMSKeyArn"));
  if (input.contains("Role") && !text_member(input, "Role").starts_with("arn:"))
    return validation(text_member(input, "Role").substr(0, 300), "role",
                      "Member must satisfy regular expression pattern: "
                      "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+");
  return {};
}

// LoggingConfig, which Mayfly acts on but for its LogGroup, which is only given back.
Outcome<void> take_logging(const json::object& input, Settings& settings) {
  const auto* logging = object_member(input, "LoggingConfig");
  if (logging == nullptr) return {};
  functions::LogSettings logs = settings.logs;
  const auto choice = [&](const char* member, const char* path, std::string& into,
                          const auto& allowed) -> Outcome<void> {
    if (!logging->contains(member)) return {};
    into = text_member(*logging, member);
    if (functions::is_choice(allowed, into)) return {};
    return validation(
        into.substr(0, 100), path,
        fmt::format("Member must satisfy enum value set: [{}]", fmt::join(allowed, ", ")));
  };
  AWS_TRY(choice("LogFormat", "loggingConfig.logFormat", logs.format, functions::kLogFormats));
  AWS_TRY(choice("ApplicationLogLevel", "loggingConfig.applicationLogLevel", logs.level,
                 functions::kLogLevels));
  AWS_TRY(choice("SystemLogLevel", "loggingConfig.systemLogLevel", logs.system_level,
                 functions::kSystemLogLevels));
  const bool levels =
      logging->contains("ApplicationLogLevel") || logging->contains("SystemLogLevel");
  if (logs.format != "JSON") {
    if (levels)
      return invalid_parameter(
          "LoggingConfig: ApplicationLogLevel and SystemLogLevel can be set "
          "only when LogFormat is JSON.");
    logs = {};
  }
  settings.logs = std::move(logs);
  return {};
}

json::object logging_of(const functions::Version& version, const json::object& kept) {
  const auto& logs = version.settings.logs;
  json::object logging{{"LogFormat", logs.format.empty() ? "Text" : logs.format},
                       {"LogGroup", "/aws/lambda/" + version.function}};
  if (const json::value* group = kept.if_contains("LogGroup")) logging["LogGroup"] = *group;
  if (logs.format == "JSON") {
    logging["ApplicationLogLevel"] = logs.level.empty() ? "INFO" : logs.level;
    logging["SystemLogLevel"] = logs.system_level.empty() ? "INFO" : logs.system_level;
  }
  return logging;
}

// DeadLetterConfig, which Mayfly acts on.
Outcome<void> take_dead_letter(const json::object& input, Settings& settings) {
  const auto* letter = object_member(input, "DeadLetterConfig");
  if (letter == nullptr) return {};
  const std::string arn = text_member(*letter, "TargetArn");
  if (arn.empty()) {
    settings.async.dead_letter.clear();
    return {};
  }
  const auto target = triggers::parse_target(arn);
  if (target.has_error())
    return invalid_parameter("DeadLetterConfig.TargetArn: " + target.error().message);
  settings.async.dead_letter = triggers::to_text(*target);
  return {};
}

// How Lambda calls the runtime of a function that was not made by this API.
std::string runtime_id(const std::string& name) {
  if (name.starts_with("python") || name.starts_with("ruby") || name.starts_with("java"))
    return name;
  if (name.starts_with("node"))
    return "nodejs" + name.substr(name.starts_with("nodejs") ? 6 : 4) +
           (name.ends_with(".x") ? "" : ".x");
  if (name.starts_with("mono") || name.starts_with("dotnet")) return "dotnet6";
  return "provided.al2023";
}

}  // namespace

Settings new_settings() {
  Settings settings;
  settings.timeout_ms = 3000;
  settings.memory_mb = 128;
  settings.install = false;
  return settings;
}

Outcome<void> take_configuration(const json::object& input, const functions::RuntimeTable& runtimes,
                                 const ConfigurationLimits& limits, Settings& settings) {
  AWS_TRY(take_numbers(input, limits, settings));
  AWS_TRY(check_choices(input));
  AWS_TRY(take_environment(input, limits, settings));
  AWS_TRY(take_dead_letter(input, settings));
  AWS_TRY(take_logging(input, settings));
  json::object kept = kept_of(settings);
  if (const std::string asked = text_member(input, "Runtime"); !asked.empty()) {
    auto runtime = runtime_for(asked, runtimes);
    if (runtime.has_error()) return std::move(runtime).error();
    settings.runtime = std::move(*runtime);
    kept["Runtime"] = asked;
  }
  if (input.contains("Handler")) {
    settings.handler = text_member(input, "Handler");
    kept["Handler"] = settings.handler;
  }
  if (input.contains("Description")) settings.description = text_member(input, "Description");
  if (settings.description.size() > 256)
    return validation(settings.description.substr(0, 40) + "...", "description",
                      "Member must have length less than or equal to 256");
  for (const auto member : kKeptMembers)
    if (const json::value* value = input.if_contains(member)) kept[member] = *value;
  if (text_member(kept, "KMSKeyArn").empty()) kept.erase("KMSKeyArn");
  if (const auto* logging = object_member(input, "LoggingConfig"); logging != nullptr)
    if (const std::string group = text_member(*logging, "LogGroup"); !group.empty())
      kept["LogGroup"] = group;
  std::string text = json::serialize(kept);
  if (text.size() > kKeptBytesMax)
    return invalid_parameter(
        fmt::format("The configuration has {} bytes beside environment and "
                    "description; {} are allowed.",
                    text.size(), kKeptBytesMax));
  settings.other[std::string(kKept)] = std::move(text);
  return {};
}

Outcome<void> take_source_key(const json::object& code, Settings& settings) {
  AWS_TRY(check_kms_key(code, "SourceKMSKeyArn"));
  const std::string arn = text_member(code, "SourceKMSKeyArn");
  json::object kept = kept_of(settings);
  if (arn == text_member(kept, "SourceKMSKeyArn")) return {};
  kept["SourceKMSKeyArn"] = arn;
  if (arn.empty()) kept.erase("SourceKMSKeyArn");
  settings.other[std::string(kKept)] = json::serialize(kept);
  return {};
}

std::string source_key(const Settings& settings) {
  return text_member(kept_of(settings), "SourceKMSKeyArn");
}

void keep_layers(Settings& settings, json::array layers) {
  if (layers.empty()) {
    settings.other.erase(std::string(kKeptLayers));
    return;
  }
  settings.other[std::string(kKeptLayers)] = json::serialize(layers);
}

std::string version_text(const functions::Version& version) {
  return version.number == 0 ? "$LATEST" : std::to_string(version.number);
}

std::string code_sha256(const std::string& package) {
  std::string bytes;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i + 1 < package.size(); i += 2)
    bytes += static_cast<char>(digit(package[i]) << 4 | digit(package[i + 1]));
  std::string out;
  append_base64(out, bytes);
  return out;
}

std::string code_digest(const functions::Version& version) {
  if (version.is_image()) return std::string(functions::digest_hex(version.settings.image.digest));
  return code_sha256(version.package);
}

std::string lambda_time(std::int64_t epoch_us) {
  const std::time_t seconds = epoch_us / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     epoch_us / 1000 % 1000);
}

json::object configuration_of(const functions::Version& version, const Home& home,
                              const CodeFacts& code, const std::string& qualifier) {
  const Settings& settings = version.settings;
  const json::object kept = kept_of(settings);
  const auto kept_or = [&](std::string_view member, json::value fallback) {
    const json::value* value = kept.if_contains(member);
    return value ? *value : std::move(fallback);
  };
  const std::string shown = qualifier.empty() && version.number != 0        ? version_text(version)
                            : qualifier == "$LATEST" && version.number == 0 ? ""
                                                                            : qualifier;
  json::object out;
  out["FunctionName"] = version.function;
  out["FunctionArn"] = home.arn(version.function, shown);
  out["Runtime"] = kept_or("Runtime", json::string(runtime_id(settings.runtime)));
  out["Role"] = kept_or("Role", json::string("arn:aws:iam::" + home.account + ":role/mayfly"));
  out["Handler"] = kept_or("Handler", json::string(settings.handler));
  out["CodeSize"] = code.bytes;
  out["Description"] = settings.description;
  out["Timeout"] = (settings.timeout_ms + 999) / 1000;
  out["MemorySize"] = settings.memory_mb;
  out["LastModified"] = lambda_time(version.created_us);
  out["CodeSha256"] = code_sha256(version.package);
  out["Version"] = version_text(version);
  if (!settings.env.empty()) {
    json::object variables;
    for (const auto& [name, value] : settings.env) variables[name] = value;
    out["Environment"] = json::object{{"Variables", std::move(variables)}};
  }
  if (!settings.async.dead_letter.empty()) {
    const auto target = triggers::parse_target(settings.async.dead_letter);
    if (target.has_value())
      out["DeadLetterConfig"] =
          json::object{{"TargetArn", triggers::to_arn(*target, home.region, home.account)}};
  }
  if (json::array layers = layers_of(settings); !layers.empty()) out["Layers"] = std::move(layers);
  for (const std::string_view member : {"VpcConfig", "KMSKeyArn", "FileSystemConfigs"})
    if (const json::value* value = kept.if_contains(member)) out[member] = *value;
  if (const auto* image = object_member(kept, "ImageConfig"); image && !image->empty())
    out["ImageConfigResponse"] = json::object{{"ImageConfig", *image}};
  out["TracingConfig"] = kept_or("TracingConfig", json::object{{"Mode", "PassThrough"}});
  out["RevisionId"] = version.revision;
  out["State"] = "Active";
  out["LastUpdateStatus"] = "Successful";
  out["Architectures"] = kept_or("Architectures", json::array{"x86_64"});
  out["EphemeralStorage"] = kept_or("EphemeralStorage", json::object{{"Size", 512}});
  json::value snap = kept_or("SnapStart", json::object{{"ApplyOn", "None"}});
  snap.as_object()["OptimizationStatus"] = "Off";
  out["SnapStart"] = std::move(snap);
  out["LoggingConfig"] = logging_of(version, kept);
  out["RuntimeVersionConfig"] = json::object{
      {"RuntimeVersionArn", "arn:aws:lambda:" + home.region + "::runtime:" + settings.runtime}};
  show_image(settings, out);
  return out;
}

}  // namespace mayfly::dialects::lambda_api
