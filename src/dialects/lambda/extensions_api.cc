#include "dialects/lambda/extensions_api.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/ids.h"
#include "dialects/lambda/runtime_api_replies.h"
#include "dialects/lambda/telemetry_api.h"
#include "engine/park.h"

namespace mayfly::dialects::lambda {

namespace {

constexpr std::string_view kExtensionBase = "/2020-01-01/extension/";
constexpr std::string_view kLogsPath = "/2020-08-15/logs";
constexpr std::string_view kTelemetryPath = "/2022-07-01/telemetry";
constexpr std::string_view kSupervisorBase = "/mayfly/supervisor/";
constexpr std::string_view kIdentifier = "Lambda-Extension-Identifier";
constexpr std::string_view kNotAllowed = "State transition is not allowed";
constexpr std::size_t kExtensionsMax = 10;
constexpr std::size_t kNameMax = 128;
constexpr std::size_t kBodyMax = 256 * 1024;
constexpr std::chrono::milliseconds kHearOut{1'000};

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

std::string_view field_of(const io::HttpRequest& request, std::string_view name) {
  return request.head.headers.find(name).value_or(std::string_view());
}

bool names_feature(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    auto one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == wanted) return true;
  }
  return false;
}

// The events of a registration; an error is the text of the refusal.
Result<std::vector<std::string>> events_of(std::string_view body) {
  boost::system::error_code failed;
  const auto value = boost::json::parse({body.data(), body.size()}, failed);
  if (failed || !value.is_object())
    return Error{Code::invalid_argument, failed ? failed.message() : "the body is no JSON object"};
  if (const auto* keys = value.get_object().if_contains("configurationKeys");
      keys && !(keys->is_array() && keys->get_array().empty()) && !keys->is_null())
    return Error{Code::invalid_argument,
                 "configurationKeys are deprecated; use environment variables instead"};
  std::vector<std::string> events;
  const auto* list = value.get_object().if_contains("events");
  if (!list || list->is_null()) return events;
  if (!list->is_array()) return Error{Code::invalid_argument, "events must be a list"};
  for (const auto& event : list->get_array()) {
    if (!event.is_string()) return Error{Code::invalid_argument, "an event must be a text"};
    events.emplace_back(event.get_string());
  }
  return events;
}

io::HttpResponse bare(int status) {
  io::HttpResponse response;
  response.head.status = status;
  return response;
}

}  // namespace

struct ExtensionsApi::Extension {
  enum class State { started, registered, ready, running, init_error, exit_error, exited };
  State state = State::started;
  std::string name, id = new_uuid();
  bool external = false, wants_invoke = false, wants_shutdown = false;
  bool busy = false;    // it has an invocation, and has not come back for the next event
  std::string pending;  // JSON of an event that it has not been given yet
  engine::Park park;    // of its GET next

  std::string_view state_name() const {
    static constexpr std::string_view kNames[] = {"Started",   "Registered", "Ready", "Running",
                                                  "InitError", "ExitError",  "Exited"};
    return kNames[static_cast<int>(state)];
  }
  io::HttpResponse refuse_state(std::string_view wanted, std::string_view who) const {
    return api_refusal(403, "Extension.InvalidExtensionState",
                       "State transition from " + std::string(state_name()) + " to " +
                           std::string(wanted) + " failed for extension " + std::string(who) +
                           ". Error: " + std::string(kNotAllowed));
  }
  bool alive() const { return state < State::init_error; }
};

ExtensionsApi::ExtensionsApi(boost::asio::any_io_executor executor, ExtensionFacts facts,
                             std::shared_ptr<TelemetryHub> telemetry)
    : facts_(std::move(facts)), telemetry_(std::move(telemetry)), patience_(std::move(executor)) {
  for (const auto& name : facts_.external) {
    auto extension = std::make_shared<Extension>();
    extension->name = name;
    extension->external = true;
    extensions_.push_back(std::move(extension));
  }
}

ExtensionsApi::~ExtensionsApi() = default;

bool ExtensionsApi::takes(std::string_view path) {
  return path.starts_with(kExtensionBase) || path == kLogsPath || path == kTelemetryPath ||
         path.starts_with(kSupervisorBase);
}

// ---- the engine's side

bool ExtensionsApi::initialised() const {
  return std::all_of(extensions_.begin(), extensions_.end(), [](const auto& each) {
    return each->state == Extension::State::ready || each->state == Extension::State::running ||
           !each->alive();
  });
}

bool ExtensionsApi::at_rest() const {
  return std::none_of(extensions_.begin(), extensions_.end(),
                      [](const auto& each) { return each->busy && each->alive(); });
}

void ExtensionsApi::announce() {
  if (!telemetry_) return;
  for (const auto& each : extensions_) {
    std::vector<std::string> events;
    if (each->wants_invoke) events.emplace_back("INVOKE");
    if (each->wants_shutdown) events.emplace_back("SHUTDOWN");
    telemetry_->extension(each->name, each->state_name(), events);
  }
  telemetry_->close_subscriptions();
}

void ExtensionsApi::invoke(const std::string& request_id, std::int64_t deadline_ms,
                           const std::string& trace_id) {
  if (over_ || !shutdown_event_.empty()) return;
  std::string event =
      "{\"eventType\":\"INVOKE\",\"deadlineMs\":" + std::to_string(deadline_ms) + ",\"requestId\":";
  wire::append_json_string(event, request_id);
  event += ",\"invokedFunctionArn\":";
  wire::append_json_string(event, facts_.arn);
  if (!trace_id.empty()) {
    event += ",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":";
    wire::append_json_string(event, trace_id);
    event += '}';
  }
  event += '}';
  for (const auto& each : extensions_) {
    if (!each->wants_invoke || !each->alive()) continue;
    each->busy = true;
    each->pending = event;
    each->park.wake();
  }
}

bool ExtensionsApi::shutdown(std::string_view reason, std::int64_t deadline_ms) {
  if (over_) return false;
  const bool first = shutdown_event_.empty();
  if (first) {
    shutdown_event_ = "{\"eventType\":\"SHUTDOWN\",\"deadlineMs\":" + std::to_string(deadline_ms) +
                      ",\"shutdownReason\":";
    wire::append_json_string(shutdown_event_, reason);
    shutdown_event_ += '}';
  }
  bool told = false;
  for (const auto& each : extensions_) {
    if (!each->external || !each->alive()) continue;
    told = true;
    if (!each->wants_shutdown || !first) continue;
    each->pending = shutdown_event_;
    each->park.wake();
  }
  return told;
}

void ExtensionsApi::end() {
  if (std::exchange(over_, true)) return;
  hooks_ = {};
  patience_.cancel();
  for (const auto& each : extensions_) each->park.wake();
  for (const auto& wake : starters_) wake();
}

void ExtensionsApi::changed() {
  for (const auto& wake : starters_) wake();
  if (hooks_.changed) hooks_.changed();
}

void ExtensionsApi::fail(std::string type, std::string message) {
  // What ends while everything ends is no news.
  if (!shutdown_event_.empty() || !coming_.type.empty()) return changed();
  coming_ = {std::move(type), std::move(message)};
  if (!supervised_) return heard_out();
  patience_.expires_after(kHearOut);
  patience_.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
    if (const auto self = weak.lock(); self && !cancelled) self->heard_out();
  });
  changed();
}

void ExtensionsApi::heard_out() {
  if (coming_.type.empty() || !trouble_.type.empty() || over_) return;
  patience_.cancel();
  trouble_ = coming_;
  changed();
}

// ---- the extensions' side

io::Task<io::HttpResponse> ExtensionsApi::serve(std::shared_ptr<ExtensionsApi> self,
                                                io::HttpRequest request) {
  if (self->over_) co_return api_refusal(500, "InternalServerError", "Internal Server Error");
  while (request.more && request.body.size() <= kBodyMax) {
    auto reading = request.more->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error())
      co_return api_refusal(400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
    if (part->empty())
      request.more.reset();
    else
      request.body += *part;
  }
  if (request.body.size() > kBodyMax)
    co_return api_refusal(413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size.");
  // Who waits looks for himself whether the program has hung up.
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  auto routing = route(std::move(self), std::move(request));
  io::HttpResponse response = co_await std::move(routing);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  co_return response;
}

io::Task<io::HttpResponse> ExtensionsApi::route(std::shared_ptr<ExtensionsApi> self,
                                                io::HttpRequest request) {
  const std::string path(request.head.path());
  if (path.starts_with(kSupervisorBase)) {
    auto answering = supervisor(std::move(self), std::move(request));
    io::HttpResponse answer = co_await std::move(answering);
    co_return answer;
  }
  const bool puts = path == kLogsPath || path == kTelemetryPath;
  const std::string what = puts ? "" : path.substr(kExtensionBase.size());
  const bool known = puts || what == "register" || what == "event/next" || what == "init/error" ||
                     what == "exit/error";
  if (!known) co_return bare(404);
  const std::string_view wanted = puts ? "PUT" : what == "event/next" ? "GET" : "POST";
  if (request.head.method != wanted) {
    io::HttpResponse response = bare(405);
    response.head.headers.add("Allow", wanted);
    co_return response;
  }
  if (puts) co_return self->subscribe(request);
  if (what == "register") co_return self->register_one(request);
  if (what != "event/next") co_return self->report_error(request, what == "init/error");
  auto waiting = next(std::move(self), std::move(request));
  io::HttpResponse answer = co_await std::move(waiting);
  co_return answer;
}

ExtensionsApi::ExtensionPtr ExtensionsApi::find(std::string_view name) const {
  for (const auto& each : extensions_)
    if (each->name == name) return each;
  return nullptr;
}

ExtensionsApi::ExtensionPtr ExtensionsApi::by_header(const io::HttpRequest& request,
                                                     io::HttpResponse& answer) const {
  const auto id = field_of(request, kIdentifier);
  if (id.empty()) {
    answer = api_refusal(403, "Extension.MissingExtensionIdentifier",
                         "Missing Lambda-Extension-Identifier header");
    return nullptr;
  }
  if (!is_uuid(id)) {
    answer = api_refusal(403, "Extension.InvalidExtensionIdentifier",
                         "Invalid Lambda-Extension-Identifier");
    return nullptr;
  }
  for (const auto& each : extensions_)
    if (wire::equal_ignoring_case(each->id, id)) return each;
  answer = api_refusal(403, "Extension.UnknownExtensionIdentifier",
                       "Unknown extension " + std::string(id));
  return nullptr;
}

io::HttpResponse ExtensionsApi::registered(Extension& extension,
                                           const io::HttpRequest& request) const {
  std::string body = "{";
  const auto add = [&body](std::string_view name, std::string_view value) {
    if (body.size() > 1) body += ',';
    wire::append_json_string(body, name);
    body += ':';
    wire::append_json_string(body, value);
  };
  if (names_feature(field_of(request, "Lambda-Extension-Accept-Feature"), "accountId"))
    add("accountId", facts_.account);
  add("functionName", facts_.function);
  add("functionVersion", facts_.version);
  add("handler", facts_.handler);
  auto response = io::json_response(200, body + "}\n");
  response.head.headers.add(kIdentifier, extension.id);
  return response;
}

io::HttpResponse ExtensionsApi::register_one(const io::HttpRequest& request) {
  const std::string name(field_of(request, "Lambda-Extension-Name"));
  if (name.empty())
    return api_refusal(403, "Extension.InvalidExtensionName", "Empty extension name");
  auto events = events_of(request.body);
  if (events.has_error()) return api_refusal(403, "InvalidRequestFormat", events.error().message);
  ExtensionPtr extension = find(name);
  const bool external = extension && extension->external;
  for (const auto& event : *events) {
    if (event == "INVOKE" || (event == "SHUTDOWN" && external)) continue;
    return api_refusal(403, "Extension.InvalidEventType",
                       event.substr(0, 100) +
                           (event == "SHUTDOWN" ? ": ShutdownEventNotSupportedForInternalExtension"
                                                : ": ErrorInvalidEventType"));
  }
  if (external) {
    if (extension->state != Extension::State::started)
      return extension->refuse_state("Registered", name);
  } else {
    if (!open_)
      return api_refusal(403, "Extension.RegistrationClosed",
                         "Extension registration closed already");
    if (extensions_.size() >= kExtensionsMax)
      return api_refusal(403, "Extension.TooManyExtensions", "Extension limit (10) reached");
    if (extension)
      return api_refusal(403, "Extension.InvalidExtensionState",
                         "Extension with this name already registered");
    if (name.size() > kNameMax)
      return api_refusal(403, "Extension.InvalidExtensionName", "The name is too long");
    extension = std::make_shared<Extension>();
    extension->name = name;
    extensions_.push_back(extension);
  }
  extension->state = Extension::State::registered;
  for (const auto& event : *events)
    (event == "INVOKE" ? extension->wants_invoke : extension->wants_shutdown) = true;
  auto response = registered(*extension, request);
  changed();
  return response;
}

io::Task<io::HttpResponse> ExtensionsApi::next(std::shared_ptr<ExtensionsApi> self,
                                               io::HttpRequest request) {
  io::HttpResponse refused;
  const ExtensionPtr extension = self->by_header(request, refused);
  if (!extension) co_return refused;
  const auto before = extension->state;
  if (before != Extension::State::registered && before != Extension::State::running)
    co_return extension->refuse_state("Ready", extension->id);
  extension->state = Extension::State::ready;
  extension->busy = false;
  self->changed();
  bool gone = false;
  while (extension->pending.empty() && !self->over_ && !gone) {
    const bool go_on = co_await extension->park.wait();
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    gone = !go_on || state.cancelled() != boost::asio::cancellation_type::none;
  }
  if (gone || self->over_) {
    // It hung up: it may ask again.
    if (extension->state == Extension::State::ready) extension->state = before;
    co_return api_refusal(500, "InternalServerError", "Internal Server Error");
  }
  extension->state = Extension::State::running;
  auto response = io::json_response(200, std::exchange(extension->pending, {}));
  response.head.headers.add("Lambda-Extension-Event-Identifier", new_uuid());
  co_return response;
}

io::HttpResponse ExtensionsApi::report_error(const io::HttpRequest& request, bool in_init) {
  io::HttpResponse refused;
  // The order of the emulator: who, then what, then whether it may.
  const auto id = field_of(request, kIdentifier);
  const auto type = field_of(request, "Lambda-Extension-Function-Error-Type");
  const ExtensionPtr extension = by_header(request, refused);
  if (!id.empty() && is_uuid(id) && type.empty())
    return api_refusal(403, "Extension.MissingHeader",
                       "Lambda-Extension-Function-Error-Type not found");
  if (!extension) return refused;
  using State = Extension::State;
  const State now = extension->state;
  const State wanted = in_init ? State::init_error : State::exit_error;
  const bool allowed = now == wanted || now == State::registered ||
                       (!in_init && (now == State::ready || now == State::running));
  if (!allowed) return extension->refuse_state(in_init ? "InitError" : "Exited", extension->id);
  extension->state = wanted;
  if (now != wanted)
    fail(in_init ? "Extension.InitError" : "Extension.ExitError",
         "Extension " + extension->name + ": " + std::string(type.substr(0, 500)));
  return api_accepted();
}

io::HttpResponse ExtensionsApi::subscribe(const io::HttpRequest& request) {
  io::HttpResponse refused;
  const ExtensionPtr extension = by_header(request, refused);
  if (!extension) return refused;
  const bool logs = request.head.path() == kLogsPath;
  if (!telemetry_) {
    return api_refusal(202, logs ? "Logs.NotSupported" : "Telemetry.NotSupported",
                       logs ? "Logs API is not supported" : "Telemetry API is not supported");
  }
  return telemetry_->subscribe(extension->name, logs, request.body);
}

// ---- the supervisor's side

io::Task<io::HttpResponse> ExtensionsApi::supervisor(std::shared_ptr<ExtensionsApi> self,
                                                     io::HttpRequest request) {
  const auto path = request.head.path();
  const std::string what(path.substr(kSupervisorBase.size()));
  if (what == "start" && request.head.method == "GET") {
    auto waiting = wait_for_registrations(std::move(self));
    io::HttpResponse answer = co_await std::move(waiting);
    co_return answer;
  }
  if (what == "trouble" && request.head.method == "GET") {
    auto waiting = wait_for_trouble(std::move(self));
    io::HttpResponse answer = co_await std::move(waiting);
    co_return answer;
  }
  if (request.head.method != "POST") co_return bare(405);
  const std::string_view body(request.body);
  const auto line = body.find('\n');
  const auto name = body.substr(0, line);
  const auto rest = line == std::string_view::npos ? std::string_view() : body.substr(line + 1);
  if (what == "log") {
    const ExtensionPtr extension = self->find(name);
    if (extension && extension->external && self->hooks_.wrote && !rest.empty())
      self->hooks_.wrote(name, rest);
  } else if (what == "said") {
    self->heard_out();
  } else if (what == "exited") {
    if (self->find(name) && self->hooks_.wrote) self->hooks_.wrote(name, "");
    self->exited(name, rest);
  } else if (what == "ended") {
    co_return self->runtime_ended();
  } else {
    co_return bare(404);
  }
  co_return api_accepted();
}

io::Task<io::HttpResponse> ExtensionsApi::wait_for_registrations(
    std::shared_ptr<ExtensionsApi> self) {
  self->supervised_ = true;
  const auto park = std::make_shared<engine::Park>();
  self->starters_.push_back([park] { park->wake(); });
  const auto started = [&self] {
    return std::any_of(self->extensions_.begin(), self->extensions_.end(),
                       [](const auto& each) { return each->state == Extension::State::started; });
  };
  while (started() && self->coming_.type.empty() && !self->over_) {
    const bool go_on = co_await park->wait();
    if (!go_on) break;
  }
  self->starters_.clear();
  if (started() || !self->coming_.type.empty() || self->over_)
    co_return api_refusal(409, "Extension.InitError", "An extension has failed.");
  co_return api_accepted_with(200);
}

// Answered when an extension has failed: it may have written why, and the pipes are the
// supervisor's to read.
io::Task<io::HttpResponse> ExtensionsApi::wait_for_trouble(std::shared_ptr<ExtensionsApi> self) {
  const auto park = std::make_shared<engine::Park>();
  self->starters_.push_back([park] { park->wake(); });
  while (self->coming_.type.empty() && !self->over_) {
    const bool go_on = co_await park->wait();
    if (!go_on) break;
  }
  self->starters_.clear();
  co_return api_accepted_with(200);
}

void ExtensionsApi::exited(std::string_view name, std::string_view how) {
  const ExtensionPtr extension = find(name);
  if (!extension || !extension->external || extension->state == Extension::State::exited) return;
  const bool told = !extension->alive();
  extension->state = Extension::State::exited;
  extension->park.wake();
  if (told) return changed();
  fail("Extension.Crash",
       "Extension " + extension->name + " ended: " + std::string(how.substr(0, 100)));
}

// The names of those that need not be waited for, one a line.
io::HttpResponse ExtensionsApi::runtime_ended() {
  (void)shutdown("FAILURE", to_epoch_ms(SystemClock().wall_now()) + 2000);
  std::string names;
  for (const auto& each : extensions_)
    if (each->external && !each->wants_shutdown) names += each->name + "\n";
  return io::text_response(200, std::move(names));
}

}  // namespace mayfly::dialects::lambda
