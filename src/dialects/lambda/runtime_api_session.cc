#include "dialects/lambda/runtime_api_session.h"

#include <algorithm>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>

#include "dialects/lambda/runtime_api_replies.h"
#include "dialects/lambda/runtime_api_response.h"

namespace mayfly::dialects::lambda {
namespace {

using engine::crash_failure;
using engine::function_failure;
using telemetry::Phase;

constexpr std::string_view kResponseMode = "Lambda-Runtime-Function-Response-Mode";
constexpr std::size_t kHeadMax = (1u << 20) + 64 * 1024;  // an X-Ray cause may take 1 MiB
constexpr std::size_t kConnectionsMax = 64;
// Bytes that the program wrote before its end are read for so long.
constexpr std::chrono::milliseconds kLastWords{50};

std::string header_of(const wire::Headers& headers, std::string_view name) {
  return std::string(headers.find(name).value_or(std::string_view()));
}

std::shared_ptr<engine::Failure> cancelled_failure() {
  auto failure = std::make_shared<engine::Failure>();
  failure->outcome = telemetry::Outcome::cancelled;
  failure->party = telemetry::Party::client;
  failure->phase = Phase::run;
  failure->code = Code::cancelled;
  failure->message = "the call was given up";
  return failure;
}

// JSON on one line: line breaks are white space between its tokens.
std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\r' || c == '\n') c = ' ';
  return text;
}

}  // namespace

struct RuntimeApiSession::Exchange {
  enum class State { queued, running, answering, done };
  State state = State::queued;
  std::string id, trace, client_context;
  std::int64_t deadline_ms = 0;
  engine::Invocation* invocation = nullptr;  // while queued: its body is still to be taken
  engine::Park park;                         // of call()
  bool settled = false;
  bool release_wanted = false;  // abort() said pending
  Protocol::Called called;

  void settle(std::shared_ptr<engine::Failure> failure, engine::Reply reply = {}) {
    if (std::exchange(settled, true)) return;
    called.failure = std::move(failure);
    called.reply = std::move(reply);
    park.wake();
  }
};

RuntimeApiSession::RuntimeApiSession(boost::asio::any_io_executor executor,
                                     RuntimeApiSettings settings, std::string arn,
                                     std::uint32_t concurrency,
                                     std::shared_ptr<ExtensionsApi> extensions)
    : executor_(std::move(executor)),
      settings_(std::move(settings)),
      arn_(std::move(arn)),
      extensions_(std::move(extensions)),
      last_words_(executor_),
      concurrency_(std::max(1u, concurrency)) {}

void RuntimeApiSession::open(os::Fd listener) {
  auto& context = boost::asio::query(executor_, boost::asio::execution::context);
  io::HttpServerOptions options;
  options.name = "runtime API";
  options.head_bytes_max = kHeadMax;
  options.body_bytes_max = std::size_t{1} << 40;  // the endpoints have limits of their own
  options.connections_max = kConnectionsMax + 2 * std::size_t{concurrency_};
  // The program may wait for its next invocation, and be silent in an answer,
  // as long as it likes.
  options.head_timeout = options.idle_timeout = options.stall_timeout =
      std::chrono::milliseconds(0);
  server_ = std::make_unique<io::HttpServer>(static_cast<boost::asio::io_context&>(context),
                                             std::move(options),
                                             [weak = weak_from_this()](io::HttpRequest request) {
                                               return serve(weak, std::move(request));
                                             });
  const auto opened = server_->listen_fd(std::move(listener));
  if (!opened.has_error()) return;
  init_failure_ = std::make_shared<engine::Failure>();
  init_failure_->phase = Phase::start;
  init_failure_->code = opened.error().code;
  init_failure_->message = "the Runtime API cannot be served: " + opened.error().describe();
}

// ---- the engine's side

io::Task<RuntimeApiSession::Protocol::Started> RuntimeApiSession::wait_ready() {
  const auto self = shared_from_this();
  Protocol::Started started;
  while (!ready_ && !init_failure_ && !over_) {
    const bool go_on = co_await ready_park_.wait();
    if (!go_on) break;
  }
  if (init_failure_) {
    started.failure = init_failure_;
  } else if (!ready_) {
    started.failure = crash_failure(Phase::init);
  } else {
    started.ready.model = functions::Model::runtime_api;
    started.ready.concurrency = concurrency_;
  }
  co_return started;
}

io::Task<RuntimeApiSession::Protocol::Called> RuntimeApiSession::call(
    engine::Invocation& invocation, WallTime deadline) {
  const auto self = shared_from_this();
  const auto exchange = std::make_shared<Exchange>();
  if (!healthy()) {
    exchange->called.failure = crash_failure(Phase::run);
    exchange->called.delivered = false;
    co_return std::move(exchange->called);
  }
  exchange->id = invocation.request_id;
  exchange->trace = invocation.trace_id;
  exchange->client_context = one_line(invocation.client_context);
  exchange->deadline_ms = to_epoch_ms(deadline);
  exchange->invocation = &invocation;
  queued_.push_back(exchange);
  wake_poll();
  const bool go_on = co_await exchange->park.wait();
  exchange->invocation = nullptr;
  if (!go_on) {
    std::erase(queued_, exchange);
    exchange->settle(cancelled_failure());
  }
  co_return std::move(exchange->called);
}

// The one that waits longest; it takes what is in line when it runs.
void RuntimeApiSession::wake_poll() {
  if (queued_.empty() || polls_.empty()) return;
  const PollPtr poll = std::move(polls_.front());
  polls_.pop_front();
  poll->wake();
}

engine::InstanceProtocol::Abort RuntimeApiSession::abort(const std::string& request_id) {
  for (const auto& exchange : queued_) {
    if (exchange->id != request_id) continue;
    const auto kept = exchange;
    std::erase(queued_, kept);
    kept->settle(cancelled_failure());
    return Protocol::Abort::released;
  }
  const auto exchange = present(request_id);
  if (!exchange || exchange->state == Exchange::State::done || over_)
    return Protocol::Abort::released;
  // The Runtime API has no word for it: the program goes on until it is through.
  exchange->settle(cancelled_failure());
  exchange->release_wanted = true;
  return Protocol::Abort::pending;
}

RuntimeApiSession::ExchangePtr RuntimeApiSession::present(const std::string& id) const {
  const auto found = present_.find(id);
  return found == present_.end() ? nullptr : found->second;
}

void RuntimeApiSession::ended() {
  if (over_) return;
  if (!server_ || server_->connections() == 0) return fail_all();
  last_words_.expires_after(kLastWords);
  last_words_.async_wait([self = shared_from_this()](boost::system::error_code problem) {
    if (problem || self->over_) return;
    self->fail_all();
    self->server_->close();
  });
}

void RuntimeApiSession::fail_all() {
  over_ = true;
  ready_park_.wake();
  for (const auto& poll : std::exchange(polls_, {})) poll->wake();
  for (const auto& exchange : std::exchange(queued_, {})) {
    exchange->called.delivered = false;
    exchange->settle(crash_failure(Phase::run));
  }
  for (const auto& [id, exchange] : present_) exchange->settle(crash_failure(Phase::run));
}

void RuntimeApiSession::close() {
  events_ = {};
  last_words_.cancel();
  if (!over_) fail_all();
  if (!server_) return;
  server_->close();
  server_.reset();
}

// ---- the program's side

io::Task<io::HttpResponse> RuntimeApiSession::serve(std::weak_ptr<RuntimeApiSession> weak,
                                                    io::HttpRequest request) {
  const auto self = weak.lock();
  if (!self || self->over_)
    co_return api_refusal(500, "InternalServerError", "Internal Server Error");
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  auto routing = route(self, std::move(request));
  io::HttpResponse response = co_await std::move(routing);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  co_return response;
}

io::Task<io::HttpResponse> RuntimeApiSession::route(std::shared_ptr<RuntimeApiSession> self,
                                                    io::HttpRequest request) {
  using Kind = RuntimeApiCall::Kind;
  const std::string path(request.head.path());
  if (ExtensionsApi::takes(path)) {
    auto serving = ExtensionsApi::serve(self->extensions_, std::move(request));
    io::HttpResponse answer = co_await std::move(serving);
    co_return answer;
  }
  const auto asked = split_runtime_api_path(path);
  if (asked.kind == Kind::unknown)
    co_return api_refusal(404, "NotFound",
                          "The Runtime API has no path " + path.substr(0, 200) + ".");
  const bool reads =
      asked.kind == Kind::ping || asked.kind == Kind::next || asked.kind == Kind::restore_next;
  const std::string_view wanted = reads ? "GET" : "POST";
  if (request.head.method != wanted) {
    auto response = api_refusal(405, "MethodNotAllowed",
                                "This path of the Runtime API takes " + std::string(wanted) + ".");
    response.head.headers.add("Allow", wanted);
    co_return response;
  }
  std::string id(asked.id);
  io::Task<io::HttpResponse> task;
  switch (asked.kind) {
    case Kind::next:
      task = next(std::move(self));
      break;
    case Kind::response:
      task = response(std::move(self), std::move(id), std::move(request));
      break;
    case Kind::error:
      task = error(std::move(self), std::move(id), std::move(request));
      break;
    case Kind::restore_next:
      co_return self->restore_next();
    case Kind::restore_error:
    case Kind::init_error:
      task = init_error(std::move(self), std::move(request));
      break;
    case Kind::ping:
    case Kind::unknown:
      co_return io::text_response(200, "pong");
  }
  io::HttpResponse answer = co_await std::move(task);
  co_return answer;
}

io::Task<io::HttpResponse> RuntimeApiSession::next(std::shared_ptr<RuntimeApiSession> self) {
  const bool one = self->concurrency_ == 1;
  const ExchangePtr last =
      one && !self->present_.empty() ? self->present_.begin()->second : ExchangePtr();
  const bool busy = last && last->state != Exchange::State::done;
  if (busy || self->polls_.size() >= self->concurrency_ || self->init_failure_)
    co_return self->wrong_state("Ready");
  if (last) self->finish(last);
  if (!std::exchange(self->ready_, true)) self->ready_park_.wake();
  const auto poll = std::make_shared<engine::Park>();
  while (self->queued_.empty() && !self->over_) {
    self->polls_.push_back(poll);
    const bool go_on = co_await poll->wait();
    std::erase(self->polls_, poll);
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (go_on && state.cancelled() == boost::asio::cancellation_type::none) continue;
    // The program hung up: the invocation waits for another poll.
    self->wake_poll();
    co_return api_refusal(500, "InternalServerError", "Internal Server Error");
  }
  if (self->over_) co_return api_refusal(500, "InternalServerError", "Internal Server Error");
  ExchangePtr exchange = std::move(self->queued_.front());
  self->queued_.pop_front();
  co_return self->hand_over(std::move(exchange));
}

void RuntimeApiSession::finish(const ExchangePtr& exchange) {
  if (present(exchange->id) == exchange) present_.erase(exchange->id);
  if (!exchange->release_wanted) return;
  boost::asio::post(executor_, [self = shared_from_this()] {
    if (self->events_.released) self->events_.released();
  });
}

// Which poll would be the one after it cannot be told when there are several.
void RuntimeApiSession::answered(const ExchangePtr& exchange) {
  exchange->state = Exchange::State::done;
  if (concurrency_ > 1) finish(exchange);
}

io::HttpResponse RuntimeApiSession::hand_over(ExchangePtr exchange) {
  exchange->state = Exchange::State::running;
  io::HttpResponse response;
  auto& headers = response.head.headers;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) headers.add(name, value);
  };
  add("Content-Type", "application/json");
  add("Lambda-Runtime-Aws-Request-Id", exchange->id);
  add("Lambda-Runtime-Deadline-Ms", std::to_string(exchange->deadline_ms));
  add("Lambda-Runtime-Invoked-Function-Arn", arn_);
  add("Lambda-Runtime-Trace-Id", exchange->trace);
  add("Lambda-Runtime-Client-Context", exchange->client_context);
  response.body = std::move(exchange->invocation->body);
  exchange->invocation = nullptr;
  const std::string id = exchange->id;
  present_[id] = std::move(exchange);
  return response;
}

std::string_view RuntimeApiSession::state_name() const {
  if (init_failure_) return "InitError";
  if (!polls_.empty()) return "Ready";
  if (present_.empty()) return "Started";
  switch (present_.begin()->second->state) {
    case Exchange::State::queued:
    case Exchange::State::running:
      return "Running";
    case Exchange::State::answering:
      return "InvocationResponse";
    case Exchange::State::done:
      break;
  }
  return "RuntimeResponseSentState";
}

io::HttpResponse RuntimeApiSession::wrong_state(std::string_view to) const {
  return api_refusal(403, "InvalidStateTransition",
                     "State transition from " + std::string(state_name()) + " to " +
                         std::string(to) +
                         " failed for runtime. Error: State transition is not allowed");
}

std::unique_ptr<io::HttpResponse> RuntimeApiSession::refusal(const std::string& id,
                                                             std::string_view to) const {
  const auto exchange = present(id);
  if (!exchange)
    return std::make_unique<io::HttpResponse>(
        api_refusal(400, "InvalidRequestID", "Invalid request ID"));
  if (exchange->state != Exchange::State::running)
    return std::make_unique<io::HttpResponse>(wrong_state(to));
  return nullptr;
}

// Programs are not cloned: what comes after a snapshot comes at once.
io::HttpResponse RuntimeApiSession::restore_next() const {
  if (ready_ || init_failure_) return wrong_state("RestoreReady");
  return io::text_response(200, "");
}

io::HttpResponse RuntimeApiSession::too_large(Exchange* exchange) {
  const std::string message = "Response payload size exceeded maximum allowed payload size (" +
                              std::to_string(settings_.response_bytes_max) + " bytes).";
  if (exchange != nullptr)
    exchange->settle(
        function_failure(Phase::reply, error_json("Function.ResponseSizeTooLarge", message)));
  return api_refusal(413, "RequestEntityTooLarge",
                     "Exceeded maximum allowed payload size (" +
                         std::to_string(settings_.response_bytes_max) + " bytes).");
}

io::HttpResponse RuntimeApiSession::cut_off(Exchange& exchange) {
  broken_ = true;
  exchange.settle(crash_failure(Phase::reply));
  return api_refusal(400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
}

io::Task<io::HttpResponse> RuntimeApiSession::response(std::shared_ptr<RuntimeApiSession> self,
                                                       std::string id, io::HttpRequest request) {
  if (auto refused = self->refusal(id, "InvocationResponse")) co_return std::move(*refused);
  const auto mode = header_of(request.head.headers, kResponseMode);
  const bool streaming = mode == "streaming";
  const ExchangePtr exchange = self->present(id);
  if (!mode.empty() && !streaming) {
    self->answered(exchange);
    exchange->settle(function_failure(Phase::reply, error_json("Runtime.InvalidResponseModeHeader",
                                                               "Invalid function response mode")));
    co_return api_refusal(400, "InvalidFunctionResponseMode", "Invalid function response mode");
  }
  const auto type = header_of(request.head.headers, "Content-Type");
  const bool integration = is_http_integration(type);
  exchange->state = Exchange::State::answering;
  io::Task<io::HttpResponse> task;
  if (integration || (streaming && !is_json_type(type)))
    task = streamed(self, exchange, std::move(request), integration);
  else
    task = buffered(self, exchange, std::move(request));
  io::HttpResponse answer = co_await std::move(task);
  self->answered(exchange);
  co_return answer;
}

io::Task<io::HttpResponse> RuntimeApiSession::buffered(std::shared_ptr<RuntimeApiSession> self,
                                                       ExchangePtr exchange,
                                                       io::HttpRequest request) {
  auto taking = take_body(request, self->settings_.response_bytes_max);
  const Taken taken = co_await std::move(taking);
  if (taken == Taken::cut_off) co_return self->cut_off(*exchange);
  if (taken == Taken::too_large) co_return self->too_large(exchange.get());
  const auto wrong = trailer_error(request.trailers.get());
  if (!wrong.empty()) {
    exchange->settle(function_failure(Phase::run, wrong));
  } else {
    engine::Reply reply;
    reply.body = std::move(request.body);
    exchange->settle(nullptr, std::move(reply));
  }
  co_return api_accepted();
}

io::Task<io::HttpResponse> RuntimeApiSession::streamed(std::shared_ptr<RuntimeApiSession> self,
                                                       ExchangePtr exchange,
                                                       io::HttpRequest request, bool integration) {
  Prelude prelude;
  if (integration) {
    auto taking = take_prelude(request);
    prelude = co_await std::move(taking);
    if (prelude.cut_off) co_return self->cut_off(*exchange);
  } else {
    prelude.head.headers.add("Content-Type", header_of(request.head.headers, "Content-Type"));
  }

  std::string wrong;
  if (!prelude.problem.empty())
    wrong = error_json("Function.InvalidResponse", prelude.problem);
  else if (!request.more)
    wrong = trailer_error(request.trailers.get());
  const auto stream = std::make_shared<ResponseStream>();
  stream->source = std::move(request.more);
  stream->trailers = std::move(request.trailers);
  if (!wrong.empty()) {
    exchange->settle(function_failure(Phase::reply, wrong));
  } else if (!exchange->settled) {
    engine::Reply reply;
    reply.kind = engine::PayloadKind::http;
    reply.head = wire::encode_response_head(prelude.head);
    reply.body = std::move(request.body);
    if (stream->source) reply.more = read_stream(stream, [self] { self->broken_ = true; });
    const bool flows = reply.more != nullptr;
    exchange->settle(nullptr, std::move(reply));
    while (flows && !stream->ended && !stream->dropped) {
      const bool go_on = co_await stream->over.wait();
      if (!go_on)
        co_return api_accepted();  // the program is gone; the reader sees that
                                   // by itself
    }
  }
  if (stream->source && !stream->ended) {
    auto rest = discard(*stream->source, SIZE_MAX - 1);
    (void)co_await std::move(rest);
  }
  co_return api_accepted();
}

io::Task<io::HttpResponse> RuntimeApiSession::error(std::shared_ptr<RuntimeApiSession> self,
                                                    std::string id, io::HttpRequest request) {
  if (auto refused = self->refusal(id, "InvocationErrorResponse")) co_return std::move(*refused);
  const auto type = header_of(request.head.headers, kErrorType);
  const ExchangePtr exchange = self->present(id);
  exchange->state = Exchange::State::answering;
  auto taking = take_body(request, self->settings_.response_bytes_max);
  const Taken taken = co_await std::move(taking);
  self->answered(exchange);
  if (taken == Taken::cut_off) co_return self->cut_off(*exchange);
  if (taken == Taken::too_large) co_return self->too_large(exchange.get());
  const bool with_cause = is_error_with_cause(header_of(request.head.headers, "Content-Type"));
  exchange->settle(function_failure(
      Phase::run, with_cause ? without_cause(request.body) : error_object(request.body, type)));
  co_return api_accepted();
}

io::Task<io::HttpResponse> RuntimeApiSession::init_error(std::shared_ptr<RuntimeApiSession> self,
                                                         io::HttpRequest request) {
  if (self->ready_ || self->init_failure_) co_return self->wrong_state("InitError");
  const auto type = header_of(request.head.headers, kErrorType);
  auto taking = take_body(request, self->settings_.response_bytes_max);
  const Taken taken = co_await std::move(taking);
  if (taken == Taken::too_large) co_return self->too_large(nullptr);
  if (taken == Taken::cut_off)
    co_return api_refusal(400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
  if (self->ready_ || self->init_failure_) co_return self->wrong_state("InitError");
  self->init_failure_ = function_failure(Phase::init, error_object(request.body, type));
  self->ready_park_.wake();
  co_return api_accepted();
}

}  // namespace mayfly::dialects::lambda
