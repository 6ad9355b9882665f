// The table of settings: each key with its default, unit, limits and meaning.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <type_traits>

#include "server/settings.h"

namespace mayfly::server {
namespace {

Error bad_value(const std::string& key, const std::string& wanted, const std::string& text) {
  return Error{Code::invalid_argument,
               fmt::format("setting {} wants {}, not \"{}\"", key, wanted, text)};
}

template <class T>
std::string limits_text(T low, T high) {
  if (high == std::numeric_limits<T>::max()) return fmt::format("at least {}", low);
  return fmt::format("{} .. {}", low, high);
}

// A whole number, or a std::chrono::milliseconds, reached through field(settings).
template <class Field>
SettingSpec number(std::string key, std::string unit, Field field, std::int64_t low,
                   std::int64_t high, std::string help) {
  using T = std::remove_reference_t<std::invoke_result_t<Field, Settings&>>;
  constexpr bool is_time = std::is_same_v<T, std::chrono::milliseconds>;
  SettingSpec spec{key, std::move(unit), limits_text(low, high), std::move(help), {}, {}};
  spec.get = [field](const Settings& settings) {
    const auto& value = field(const_cast<Settings&>(settings));
    if constexpr (is_time)
      return std::to_string(value.count());
    else
      return std::to_string(value);
  };
  spec.set = [key, field, low, high](Settings& settings, const std::string& text) -> Status {
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size() || value < low || value > high)
      return bad_value(key, "a whole number (" + limits_text(low, high) + ")", text);
    field(settings) = T(value);
    return ok();
  };
  return spec;
}

template <class Field>
SettingSpec decimal(std::string key, std::string unit, Field field, std::string help) {
  SettingSpec spec{key, std::move(unit), "a number, at least 0", std::move(help), {}, {}};
  spec.get = [field](const Settings& settings) {
    return fmt::format("{}", field(const_cast<Settings&>(settings)));
  };
  spec.set = [key, field](Settings& settings, const std::string& text) -> Status {
    double value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
        value < 0)
      return bad_value(key, "a number that is not negative", text);
    field(settings) = value;
    return ok();
  };
  return spec;
}

template <class Field>
SettingSpec text(std::string key, std::string unit, Field field, std::string help,
                 std::vector<std::string> choices = {}) {
  std::string limits;
  for (const auto& choice : choices) limits += (limits.empty() ? "" : ", ") + choice;
  SettingSpec spec{key, std::move(unit), limits, std::move(help), {}, {}};
  spec.get = [field](const Settings& settings) { return field(const_cast<Settings&>(settings)); };
  spec.set = [key, field, choices, limits](Settings& settings, const std::string& value) -> Status {
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
      return bad_value(key, "one of " + limits, value);
    field(settings) = value;
    return ok();
  };
  return spec;
}

template <class Field>
SettingSpec address(std::string key, Field field, std::string help) {
  SettingSpec spec = text(key, "ADDR:PORT", field, std::move(help));
  spec.limits = "port 0 takes a free one";
  spec.set = [key, field](Settings& settings, const std::string& value) -> Status {
    const auto colon = value.rfind(':');
    unsigned port = 65536;
    if (colon != std::string::npos && colon > 0) {
      const char* end = value.data() + value.size();
      const auto parsed = std::from_chars(value.data() + colon + 1, end, port);
      if (parsed.ec != std::errc() || parsed.ptr != end) port = 65536;
    }
    if (port > 65535) return bad_value(key, "ADDR:PORT such as 127.0.0.1:8080", value);
    field(settings) = value;
    return ok();
  };
  return spec;
}

template <class Field>
SettingSpec flag(std::string key, Field field, std::string help) {
  SettingSpec spec{key, "", "true, false", std::move(help), {}, {}};
  spec.get = [field](const Settings& settings) -> std::string {
    return field(const_cast<Settings&>(settings)) ? "true" : "false";
  };
  spec.set = [key, field](Settings& settings, const std::string& value) -> Status {
    if (value != "true" && value != "false") return bad_value(key, "true or false", value);
    field(settings) = value == "true";
    return ok();
  };
  return spec;
}

#define FIELD(member)         \
  [](Settings & s) -> auto& { \
    return s.member;          \
  }
constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kInt32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kDayMs = 86'400'000;

void add_server(std::vector<SettingSpec>& table) {
  table.push_back(address("gateway.address", FIELD(gateway_address),
                          "Public port: routes, sites and /function/NAME. Flag --gateway."));
  table.push_back(address("api.address", FIELD(api_address),
                          "Port of the API, the CLI and /metrics; it always wants the key. "
                          "Flag --api."));
  table.push_back(text("server.data", "path", FIELD(data_dir),
                       "Data directory. Empty: $XDG_DATA_HOME/mayfly, else ~/.local/share/mayfly. "
                       "Flag --data."));
  table.push_back(text("server.log_level", "", FIELD(log_level),
                       "The server's own log on stderr. Flag --log-level.",
                       {"debug", "info", "warn", "error"}));
  table.push_back(number("server.drain_timeout_ms", "ms", FIELD(drain_timeout_ms), 0, kDayMs,
                         "After SIGTERM, running invocations get so long to finish."));
  table.push_back(number("server.blocking_threads", "threads", FIELD(blocking_threads), 1, 256,
                         "Threads for disk work (store, packages)."));
  table.push_back(number("server.poll_us", "us", FIELD(poll_us), 0, 1'000,
                         "How long the server looks for what comes next before it sleeps, while "
                         "that pays. 0: never."));
  table.push_back(number("server.loops", "loops", FIELD(loops), 0, 16,
                         "Event loops, each on a thread and with a spawner of its own. The first "
                         "serves all; when it is full and cores are idle, calls of its busiest "
                         "function are answered on another one too. 0: one for each core, at most "
                         "4."));
  table.push_back(
      number("server.loops_busy_percent", "%", FIELD(loops_busy_percent), 0, 100,
             "So much of its time the first loop is busy before another one helps it."));
  table.push_back(text("server.runtimes_dir", "path", FIELD(runtimes_dir),
                       "Folder of the language runtimes. Empty: found beside the program."));
  table.push_back(text("server.spawner", "path", FIELD(spawner),
                       "Program that makes sandboxes. Empty: mayfly-spawner beside the program."));
  table.push_back(flag("sandbox.network_nat", FIELD(network_nat),
                       "Functions may reach the world (never the host or each other). false: as if "
                       "every function said network: none."));
}

void add_aws(std::vector<SettingSpec>& table) {
  table.push_back(text("aws.url_base", "URL", FIELD(aws.url_base),
                       "Base of queue URLs. Empty: as the client addressed the server."));
  table.push_back(number("aws.body_bytes_max", "bytes", FIELD(aws.body_bytes_max), 65'536, 1 << 30,
                         "Body of a request to an AWS service; more is answered 413."));
  table.push_back(number("services.connections_max", "connections", FIELD(inside.connections_max),
                         1, 4096,
                         "From one instance of a function to the server's services; more wait."));
  table.push_back(number("services.body_bytes_max", "bytes", FIELD(inside.body_bytes_max), 1 << 20,
                         kAny,
                         "Bodies of requests from functions to services (but S3, which stores them "
                         "as they come) that are held at once; more are answered 503."));
  table.push_back(number("lambda.payload_bytes_max", "bytes", FIELD(lambda.payload_bytes_max), 1,
                         64 << 20, "Payload of an Invoke whose answer is waited for."));
  table.push_back(number("lambda.event_payload_bytes_max", "bytes",
                         FIELD(lambda.event_payload_bytes_max), 1, 64 << 20,
                         "Payload of an Invoke of the type Event."));
  table.push_back(number("lambda.env_bytes_max", "bytes", FIELD(lambda.env_bytes_max), 0, 1 << 20,
                         "Environment of a function that Lambda's API makes or changes."));
  table.push_back(text("lambda.url_base", "URL", FIELD(lambda.url_base),
                       "What function URLs begin with, in front of /url/ID. Empty: the gateway's "
                       "address on this machine."));
  table.push_back(number("lambda.concurrency_max", "calls", FIELD(lambda.concurrency_max), 1,
                         1'000'000,
                         "The account's limit as GetAccountSettings says it, and the most that a "
                         "function can reserve."));
}

void add_buckets(std::vector<SettingSpec>& table) {
  table.push_back(number("buckets.put_bytes_max", "bytes", FIELD(buckets.put_bytes_max), 1, kAny,
                         "Body of one PutObject, UploadPart or CopyObject; more is answered "
                         "EntityTooLarge."));
  table.push_back(number("buckets.object_bytes_max", "bytes", FIELD(buckets.object_bytes_max), 1,
                         kAny, "An object that is uploaded in parts."));
  table.push_back(number("buckets.bytes_max", "bytes", FIELD(buckets.bytes_max), 0, kAny,
                         "All objects and parts together; more is answered 507 "
                         "InsufficientStorage. 0: what the disk holds."));
  table.push_back(number("buckets.part_bytes_min", "bytes", FIELD(buckets.part_bytes_min), 0, kAny,
                         "Every part of an upload but its last; less is answered "
                         "EntityTooSmall."));
  table.push_back(number("buckets.parts_max", "parts", FIELD(buckets.parts_max), 1, 10'000,
                         "Parts of an upload."));
  table.push_back(number("buckets.uploads_max", "uploads", FIELD(buckets.uploads_max), 1, 1'000'000,
                         "Uploads in parts that are neither completed nor aborted."));
  table.push_back(number("buckets.buckets_max", "buckets", FIELD(buckets.buckets_max), 1, 100'000,
                         "Buckets of this server; more is answered TooManyBuckets."));
  table.push_back(number("buckets.metadata_bytes_max", "bytes", FIELD(buckets.metadata_bytes_max),
                         0, 32'768, "Names and values of an object's x-amz-meta- fields."));
  table.push_back(number("buckets.threads", "threads", FIELD(buckets_threads), 1, 256,
                         "Threads that read and write the files of objects."));
}

void add_websockets(std::vector<SettingSpec>& table) {
  table.push_back(number("websockets.idle_s", "s", FIELD(websockets.idle_s), 1, 86'400,
                         "A WebSocket connection on which nothing travels is closed after this."));
  table.push_back(number("websockets.lifetime_s", "s", FIELD(websockets.lifetime_s), 1, 604'800,
                         "A WebSocket connection is closed after this, whatever travels."));
  table.push_back(number("websockets.message_bytes_max", "bytes",
                         FIELD(websockets.message_bytes_max), 1024, 64 << 20,
                         "A message in either direction; more closes the connection with 1009, and "
                         "is answered 413 by the management API."));
  table.push_back(number("websockets.frame_bytes_max", "bytes", FIELD(websockets.frame_bytes_max),
                         125, 64 << 20, "A frame from a client; more closes it with 1009."));
  table.push_back(number("websockets.connections_max", "connections",
                         FIELD(websockets.connections_max), 1, 1'000'000,
                         "WebSocket connections that are open; more are answered 429."));
}

void add_http(std::vector<SettingSpec>& table) {
  table.push_back(number("http.head_bytes_max", "bytes", FIELD(http.head_bytes_max), 1024, 16 << 20,
                         "Request line and fields; more is answered 431."));
  table.push_back(number("http.target_bytes_max", "bytes", FIELD(http.target_bytes_max), 256,
                         1 << 20, "Path and query of a request; more is answered 414."));
  table.push_back(number("http.fields_max", "fields", FIELD(http.fields_max), 8, 65'536,
                         "Header fields of a request; more is answered 431."));
  table.push_back(number("http.body_bytes_max", "bytes", FIELD(http.body_bytes_max), 0, kAny,
                         "Body of a request to the gateway; more is answered 413."));
  table.push_back(number("http.buffer_body_max", "bytes", FIELD(http.buffer_body_max), 0, 64 << 20,
                         "A body up to this is read before its function is called."));
  table.push_back(number("http.head_timeout_ms", "ms", FIELD(http.head_timeout), 1, kDayMs,
                         "From the first byte of a request to the end of its head, else 408."));
  table.push_back(number("http.idle_timeout_ms", "ms", FIELD(http.idle_timeout), 1, kDayMs,
                         "A kept-alive connection without a request is closed after this."));
  table.push_back(number("http.stall_timeout_ms", "ms", FIELD(http.stall_timeout), 1, kDayMs,
                         "A client that neither reads nor writes for so long is dropped."));
  table.push_back(number("http.connections_max", "connections", FIELD(http.connections_max), 1,
                         10'000'000, "Open connections of each port."));
}

void add_functions(std::vector<SettingSpec>& table) {
  table.push_back(number("functions.memory_mb", "MB", FIELD(functions.memory_mb), 8, kInt32,
                         "Memory of an instance, when the function does not say."));
  table.push_back(number("functions.memory_mb_max", "MB", FIELD(functions.memory_mb_max), 8, kInt32,
                         "The most that a function may ask for."));
  table.push_back(number("functions.timeout_ms", "ms", FIELD(functions.timeout_ms), 1, kDayMs,
                         "Deadline of an invocation, when the function does not say."));
  table.push_back(number("functions.timeout_ms_max", "ms", FIELD(functions.timeout_ms_max), 1,
                         kDayMs, "The most that a function may ask for."));
  table.push_back(number("functions.keep_alive_ms", "ms", FIELD(functions.keep_alive_ms), -1,
                         kDayMs,
                         "An idle instance ends after this, when the function does not say. -1: "
                         "learnt from the gaps between its calls."));
  table.push_back(number("functions.concurrency_max", "invocations",
                         FIELD(functions.concurrency_max), 1, 100'000,
                         "The most that one instance may be asked to run at once."));
  table.push_back(number("functions.functions_max", "functions", FIELD(functions.functions_max), 1,
                         10'000'000, "Functions of this server."));
  table.push_back(number("functions.env_bytes_max", "bytes", FIELD(functions.env_bytes_max), 0,
                         1 << 20, "Names and values of a function's own environment, together."));
  table.push_back(number("functions.layers_bytes_max", "bytes", FIELD(functions.layers_bytes_max),
                         1, kAny, "Package and layers of a function that has layers, unpacked."));
  table.push_back(number("functions.install_timeout_ms", "ms", FIELD(functions.install_timeout_ms),
                         1000, kDayMs, "npm or pip at a deploy."));
  table.push_back(
      flag("functions.install_outside", FIELD(functions.install_outside),
           "When the sandbox cannot reach the package index, npm and pip run outside of "
           "it, without running any code of the packages."));
  table.push_back(number("packages.archive_bytes_max", "bytes", FIELD(packages.archive_bytes_max),
                         1, kAny, "An uploaded archive."));
  table.push_back(number("packages.unpacked_bytes_max", "bytes", FIELD(packages.unpacked_bytes_max),
                         1, kAny, "All files of a package, unpacked."));
  table.push_back(number("packages.files_max", "files", FIELD(packages.files_max), 1, kAny,
                         "Files of a package."));
  table.push_back(number("images.archive_bytes_max", "bytes", FIELD(images.archive_bytes_max), 1,
                         kAny, "The archive of an image, as it is sent."));
  table.push_back(number("images.unpacked_bytes_max", "bytes", FIELD(images.unpacked_bytes_max), 1,
                         kAny, "All files of all layers of an image, unpacked."));
  table.push_back(number("images.files_max", "files", FIELD(images.files_max), 1, 100'000'000,
                         "Files, directories and links of all layers of an image."));
  table.push_back(number("images.layers_max", "layers", FIELD(images.layers_max), 1, 1000,
                         "Layers of an image."));
}

void add_engine(std::vector<SettingSpec>& table) {
  table.push_back(number("engine.memory_bytes_max", "bytes", FIELD(engine.memory_bytes_max), 0,
                         kAny, "Memory limits of all instances together. 0: 80 % of the machine."));
  table.push_back(number("engine.instances_max", "instances", FIELD(engine.instances_max), 1,
                         1'000'000, "Instances of all functions together."));
  table.push_back(number("engine.starts_parallel_max", "instances",
                         FIELD(engine.starts_parallel_max), 0, 10'000,
                         "Sandboxes being made at once. 0: two for each core."));
  table.push_back(number("engine.templates_bytes_max", "bytes", FIELD(engine.templates_bytes_max),
                         0, kAny,
                         "Memory of all templates (initialised programs that instances are cloned "
                         "from); the least valuable go first. 0: 20 % of the machine."));
  table.push_back(flag("engine.zygotes", FIELD(engine.zygotes),
                       "Programs of functions are forked from a process with their runtime loaded "
                       "where that is possible (Python, Ruby, PHP, Perl, and templates of "
                       "Node). false: each is started by itself."));
  table.push_back(number("engine.line_max", "invocations", FIELD(engine.line_max), 1, 10'000'000,
                         "Invocations of one version that wait; the next is answered 429."));
  table.push_back(number("engine.response_bytes_max", "bytes", FIELD(engine.response_bytes_max), 1,
                         kAny, "An answer that is not streamed."));
  table.push_back(number("engine.init_timeout_ms", "ms", FIELD(engine.init_timeout_ms), 1, kDayMs,
                         "A function's initialisation."));
  table.push_back(text("engine.region", "", FIELD(engine.region),
                       "Region in names (ARNs) and in AWS_REGION of functions."));
  table.push_back(
      text("engine.account", "", FIELD(engine.account), "Account number in names (ARNs)."));
  table.push_back(number("queues.memory_bytes_max", "bytes", FIELD(queues.memory_bytes_max), 0,
                         kAny,
                         "Bodies of queued messages kept in memory; what is over is read from the "
                         "disk when its turn comes."));
  table.push_back(number("triggers.messages_beside_callers", "messages",
                         FIELD(calls.messages_beside_callers), 1, 10'000,
                         "Of a batch of a queue trigger without a window while callers wait for "
                         "functions: who waits comes first."));
}

void add_calls(std::vector<SettingSpec>& table) {
  table.push_back(number("calls.retries", "attempts", FIELD(calls.calls.retries), 0, 100,
                         "Of an async call that fails, when the function does not say."));
  table.push_back(number("calls.max_age_s", "s", FIELD(calls.calls.max_age_s), 0, 1'209'600,
                         "An async call that keeps failing is given up after this, when the "
                         "function does not say."));
  table.push_back(number("calls.backoff_ms", "ms", FIELD(calls.calls.backoff_ms), 0, kDayMs,
                         "The most before the first retry; doubles with each. The wait is a random "
                         "part of it, in whole seconds."));
  table.push_back(number("calls.backoff_ms_max", "ms", FIELD(calls.calls.backoff_ms_max), 0,
                         43'200'000, "The most that it grows to."));
  table.push_back(number("calls.inline_bytes_max", "bytes", FIELD(calls.calls.inline_bytes_max), 1,
                         16 << 20, "A longer payload of an async call waits in a file."));
  table.push_back(number("calls.payload_bytes_max", "bytes", FIELD(calls.calls.payload_bytes_max),
                         1, kAny, "Payload of an async call; more is answered 413."));
  table.push_back(number("calls.result_bytes_max", "bytes", FIELD(calls.calls.result_bytes_max), 0,
                         16 << 20, "Of an async call's answer that is kept; the rest is cut."));
  table.push_back(number("calls.keep_payload_bytes", "bytes", FIELD(calls.calls.keep_payload_bytes),
                         0, 16 << 20,
                         "Payloads of succeeded calls up to this are kept, so that they can be run "
                         "again; those of failed calls always are."));
  table.push_back(number("calls.keep_s", "s", FIELD(calls.calls.keep_s), 0, kInt32,
                         "Records of async calls that are over are kept for so long."));
  table.push_back(number("calls.records_max", "records", FIELD(calls.calls.records_max), 1, kAny,
                         "With more of them, the oldest that are over go before that."));
  table.push_back(number("calls.idempotency_s", "s", FIELD(calls.calls.idempotency_s), 0, kInt32,
                         "An Idempotency-Key is known for so long."));
  table.push_back(number("calls.concurrency_max", "calls", FIELD(calls.calls.concurrency_max), 1,
                         100'000, "Async calls of one function that are begun at once."));
  table.push_back(
      number("calls.hold_s", "s", FIELD(calls.calls.hold_s), 3, 43'200,
             "A call that runs is held for so long at a time; the server prolongs it."));
  table.push_back(number("schedules.max", "schedules", FIELD(calls.schedules.schedules_max), 0,
                         1'000'000, "Schedules of this server."));
  table.push_back(number("schedules.catch_up_max", "ticks", FIELD(calls.schedules.catch_up_max), 0,
                         100'000,
                         "Missed ticks of one schedule that run after a downtime, with catch_up "
                         "all: the newest."));
  table.push_back(number("webhooks.timeout_ms", "ms", FIELD(calls.webhooks.timeout_ms), 1, kDayMs,
                         "A web address must have answered a delivery after this."));
  table.push_back(flag("webhooks.allow_loopback", FIELD(calls.webhooks.allow_loopback),
                       "Deliveries may go to addresses of this machine itself."));
}

void add_publishing(std::vector<SettingSpec>& table) {
  table.push_back(number("topics.message_bytes_max", "bytes",
                         FIELD(publishing.topics.message_bytes_max), 1, 1 << 20,
                         "A message that is published to a topic, with its attributes."));
  table.push_back(number("topics.max", "topics", FIELD(publishing.topics.topics_max), 0, 1'000'000,
                         "Topics of this server."));
  table.push_back(number("topics.subscriptions_max", "subscriptions",
                         FIELD(publishing.topics.subscriptions_max), 0, 1'000'000,
                         "Subscriptions of one topic."));
  table.push_back(number("topics.webhook_retries", "attempts",
                         FIELD(publishing.topics.webhook_retries), 0, 100,
                         "Of a delivery to a web address, when its subscription does not say."));
  table.push_back(number("topics.deduplication_s", "s", FIELD(publishing.topics.deduplication_s), 1,
                         86'400, "A fifo topic knows a message's id for so long."));
  table.push_back(number("events.entry_bytes_max", "bytes",
                         FIELD(publishing.events.entry_bytes_max), 1, 1 << 20,
                         "An event that is put on a bus."));
  table.push_back(number("events.pattern_bytes_max", "bytes",
                         FIELD(publishing.events.pattern_bytes_max), 1, 65'536,
                         "The pattern of a rule."));
  table.push_back(number("events.buses_max", "buses", FIELD(publishing.events.buses_max), 1,
                         1'000'000, "Event buses of this server, with the default one."));
  table.push_back(number("events.rules_max", "rules", FIELD(publishing.events.rules_max), 0,
                         1'000'000, "Rules of one event bus."));
  table.push_back(number("events.targets_max", "targets", FIELD(publishing.events.targets_max), 0,
                         1'000, "Targets of one rule."));
}

void add_insight(std::vector<SettingSpec>& table) {
  table.push_back(number("telemetry.log_line_bytes_max", "bytes",
                         FIELD(telemetry.log_line_bytes_max), 64, 16 << 20,
                         "A line of a function's log; the rest is cut, with a mark."));
  table.push_back(number("telemetry.log_bytes_per_invocation_max", "bytes",
                         FIELD(telemetry.log_bytes_per_invocation_max), 64, kAny,
                         "Log of one invocation; the rest is dropped, with a mark."));
  table.push_back(number("telemetry.log_bytes_per_function_max", "bytes",
                         FIELD(telemetry.log_bytes_per_function_max), 1024, kAny,
                         "Log kept of one function; the oldest go first."));
  table.push_back(number("telemetry.records_per_function_max", "records",
                         FIELD(telemetry.records_per_function_max), 1, kAny,
                         "Invocation records kept of one function; bills are kept for ever."));
  table.push_back(number("telemetry.records_per_second_max", "records/s",
                         FIELD(telemetry.records_per_second_max), 1, kAny,
                         "Invocation records stored; what is over is counted and billed all the "
                         "same, but not kept one by one."));
  table.push_back(text("prices.currency", "", FIELD(prices.currency), "Currency of the bill."));
  table.push_back(decimal("prices.per_million_invocations", "currency",
                          FIELD(prices.per_million_invocations), "For a million invocations."));
  table.push_back(decimal("prices.per_gb_second", "currency", FIELD(prices.per_gb_second),
                          "For one GB of memory limit during one second of init and run."));
  table.push_back(decimal("prices.per_gb_transfer_out", "currency",
                          FIELD(prices.per_gb_transfer_out), "For one GB of answers."));
}
#undef FIELD

}  // namespace

const std::vector<SettingSpec>& setting_table() {
  static const std::vector<SettingSpec> table = [] {
    std::vector<SettingSpec> made;
    add_server(made);
    add_http(made);
    add_websockets(made);
    add_aws(made);
    add_buckets(made);
    add_publishing(made);
    add_functions(made);
    add_engine(made);
    add_calls(made);
    add_insight(made);
    return made;
  }();
  return table;
}

}  // namespace mayfly::server
