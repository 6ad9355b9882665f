#include "dialects/adapters/http_port_protocol.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <unordered_map>

#include "dialects/adapters/failures.h"
#include "dialects/adapters/program.h"
#include "dialects/adapters/proxy_headers.h"
#include "engine/park.h"
#include "io/http_client.h"

namespace mayfly::dialects::adapters {
namespace {

namespace asio = boost::asio;
using engine::Invocation;
using telemetry::Outcome;
using telemetry::Phase;
using Called = engine::InstanceProtocol::Called;
using Started = engine::InstanceProtocol::Started;
using Abort = engine::InstanceProtocol::Abort;

// A compiled program listens half a millisecond after its start. Half as long again each time, so
// that nobody waits for more than half of what the program took.
constexpr std::chrono::microseconds kPollFirst{250}, kPollMost{20'000};
// A connection that breaks because the program ended is noticed before the end itself.
constexpr std::chrono::milliseconds kEndNoticed{200};
constexpr const char* kConnectStep = "connect to the program";

// One request and its answer. The client works in coroutines of its own, so that who waits for them
// can be let go at any time.
struct Exchange {
  explicit Exchange(asio::any_io_executor executor) : patience(std::move(executor)) {}
  engine::Park park;
  asio::cancellation_signal cancel;
  asio::steady_timer patience;
  std::optional<Result<io::HttpResponse>> response;
  std::shared_ptr<io::BodyReader> body;
  std::optional<Result<std::string>> part;
  bool aborted = false;
  bool waited = false;  // for the end of the program
};
using ExchangePtr = std::shared_ptr<Exchange>;

class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(asio::any_io_executor executor, io::Connector connector)
      : executor_(std::move(executor)), connector_(std::move(connector)), poll_(executor_) {}

  static io::Task<Started> wait_ready(std::shared_ptr<Session> self);
  static io::Task<Called> call(std::shared_ptr<Session> self, Invocation* invocation);
  // The next part of an answer's body.
  static io::Task<Result<std::string>> read(std::shared_ptr<Session> self, ExchangePtr exchange);

  Abort abort(const std::string& request_id) {
    const auto found = active_.find(request_id);
    if (found == active_.end()) return Abort::released;
    stop(*found->second);
    active_.erase(found);
    return Abort::unknown;
  }
  void drop(const std::string& request_id, const ExchangePtr& exchange) {
    const auto found = active_.find(request_id);
    if (found != active_.end() && found->second == exchange) active_.erase(found);
    stop(*exchange);
  }
  void forget(const std::string& request_id) { active_.erase(request_id); }

  void ended() {
    if (std::exchange(ended_, true)) return;
    poll_.cancel();
    first_.reset();
    for (const auto& [id, exchange] : active_) exchange->park.wake();
  }
  bool has_ended() const { return ended_; }

 private:
  struct Connect {
    std::weak_ptr<Session> session;
    io::Task<Result<io::StreamSocket>> operator()() const { return connect(session); }
  };
  static io::Task<Result<io::StreamSocket>> connect(std::weak_ptr<Session> weak);
  static io::Task<void> send(std::shared_ptr<Session> self, ExchangePtr exchange,
                             io::HttpRequest request);
  static io::Task<void> read_part(ExchangePtr exchange, std::shared_ptr<io::BodyReader> body);
  // Waits until what broke a connection is known: true when it was the end of the program.
  static io::Task<bool> broke_by_end(std::shared_ptr<Session> self, ExchangePtr exchange);

  static void stop(Exchange& exchange) {
    exchange.aborted = true;
    exchange.cancel.emit(asio::cancellation_type::terminal);
    exchange.body.reset();
    exchange.park.wake();
  }
  io::HttpClient& client() {
    if (!client_) {
      io::HttpClientOptions options;
      options.idle_connections_max = 64;
      client_.emplace(executor_, Connect{weak_from_this()}, options);
    }
    return *client_;
  }

  const asio::any_io_executor executor_;
  const io::Connector connector_;
  std::optional<io::HttpClient> client_;
  asio::steady_timer poll_;
  // The connection that showed that the program listens: a server that works on one connection at a
  // time must not be left waiting on one that nobody uses.
  std::optional<io::StreamSocket> first_;
  std::unordered_map<std::string, ExchangePtr> active_;
  bool ended_ = false;
};

struct Finished {
  ExchangePtr exchange;
  void operator()(const std::exception_ptr& problem) const {
    if (!problem) return;
    // Cancelled; nobody waits unless the client itself has thrown.
    const Error broke{Code::unavailable, "the request broke off", "send request", 0};
    if (!exchange->response)
      exchange->response.emplace(broke);
    else
      exchange->part.emplace(broke);
    exchange->park.wake();
  }
};

class Body final : public io::BodyReader {
 public:
  Body(std::shared_ptr<Session> session, ExchangePtr exchange, std::string request_id)
      : session_(std::move(session)),
        exchange_(std::move(exchange)),
        request_id_(std::move(request_id)) {}
  ~Body() override {
    if (!over_) session_->drop(request_id_, exchange_);
  }
  io::Task<Result<std::string>> read() override {
    auto reading = Session::read(session_, exchange_);
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error() || part->empty()) {
      over_ = true;
      session_->drop(request_id_, exchange_);
    }
    co_return part;
  }

 private:
  std::shared_ptr<Session> session_;
  ExchangePtr exchange_;
  std::string request_id_;
  bool over_ = false;
};

// The program is still there, and its answer is none.
std::shared_ptr<engine::Failure> no_answer(std::string message) {
  auto failure = engine::crash_failure(Phase::run, std::move(message));
  failure->outcome = Outcome::function_error;
  return failure;
}

io::Task<Started> Session::wait_ready(std::shared_ptr<Session> self) {
  Started started;
  auto delay = kPollFirst;
  while (!self->ended_) {
    auto connecting = self->connector_();
    Result<io::StreamSocket> socket = co_await std::move(connecting);
    if (self->ended_) break;
    if (socket.has_value()) {
      self->first_.emplace(std::move(*socket));
      started.ready.model = functions::Model::http_port;
      started.ready.notes.push_back(fmt::format("serves HTTP on port {} ($PORT)", kProgramPort));
      co_return started;
    }
    self->poll_.expires_after(delay);
    delay = std::min(delay * 3 / 2, kPollMost);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await self->poll_.async_wait(token);
  }
  started.failure = engine::crash_failure(Phase::init);
  co_return started;
}

io::Task<Result<io::StreamSocket>> Session::connect(std::weak_ptr<Session> weak) {
  const auto self = weak.lock();
  if (!self) co_return Error{Code::unavailable, "the instance is gone", kConnectStep, 0};
  if (self->first_) {
    io::StreamSocket socket = std::move(*self->first_);
    self->first_.reset();
    char byte = 0;
    const auto got = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) co_return std::move(socket);
  }
  auto connecting = self->connector_();
  Result<io::StreamSocket> socket = co_await std::move(connecting);
  if (socket.has_error()) {
    Error error = std::move(socket).error();
    error.step = kConnectStep;
    co_return error;
  }
  co_return std::move(socket);
}

io::Task<void> Session::send(std::shared_ptr<Session> self, ExchangePtr exchange,
                             io::HttpRequest request) {
  auto sending = self->client().send(std::move(request));
  Result<io::HttpResponse> response = co_await std::move(sending);
  exchange->response.emplace(std::move(response));
  exchange->park.wake();
}

io::Task<void> Session::read_part(ExchangePtr exchange, std::shared_ptr<io::BodyReader> body) {
  auto reading = body->read();
  Result<std::string> part = co_await std::move(reading);
  exchange->part.emplace(std::move(part));
  exchange->park.wake();
}

io::Task<bool> Session::broke_by_end(std::shared_ptr<Session> self, ExchangePtr exchange) {
  exchange->patience.expires_after(kEndNoticed);
  exchange->patience.async_wait([weak = std::weak_ptr<Exchange>(exchange)](auto problem) {
    const auto waiting = weak.lock();
    if (problem || !waiting) return;
    waiting->waited = true;
    waiting->park.wake();
  });
  while (!self->ended_ && !exchange->waited && !exchange->aborted) {
    const bool go_on = co_await exchange->park.wait();
    if (!go_on) stop(*exchange);
  }
  exchange->patience.cancel();
  co_return self->ended_;
}

io::Task<Called> Session::call(std::shared_ptr<Session> self, Invocation* invocation) {
  Called called;
  if (self->ended_) {
    called.failure = engine::crash_failure(Phase::run);
    called.delivered = false;
    co_return called;
  }
  auto head = proxied_request(*invocation);
  if (head.has_error()) {
    called.failure = std::make_shared<engine::Failure>();
    called.failure->phase = Phase::run;
    called.failure->message = head.error().describe();
    co_return called;
  }
  io::HttpRequest request;
  request.head = std::move(*head);
  request.body = std::move(invocation->body);
  request.more = std::move(invocation->more);
  const std::string id = invocation->request_id;
  auto exchange = std::make_shared<Exchange>(self->executor_);
  self->active_[id] = exchange;
  asio::co_spawn(self->executor_, send(self, exchange, std::move(request)),
                 asio::bind_cancellation_slot(exchange->cancel.slot(), Finished{exchange}));
  while (!exchange->response && !exchange->aborted && !self->ended_) {
    const bool go_on = co_await exchange->park.wait();
    if (!go_on) stop(*exchange);
  }
  bool by_end = self->ended_;
  const bool broke = exchange->response && exchange->response->has_error();
  if (broke && !exchange->aborted && !by_end) {
    auto finding_out = broke_by_end(self, exchange);
    by_end = co_await std::move(finding_out);
  }
  const bool answered = exchange->response && exchange->response->has_value();
  if (exchange->aborted || !answered) {
    self->drop(id, exchange);
    const bool unreached = broke && exchange->response->error().step == kConnectStep;
    called.delivered = !unreached;
    if (by_end)
      called.failure = engine::crash_failure(Phase::run);
    else if (!broke)
      called.failure = cancelled();
    else if (unreached)
      called.failure = no_answer(
          fmt::format("the program no longer accepts connections on port {}", kProgramPort));
    else
      called.failure =
          no_answer("the program gave no answer: " + exchange->response->error().message);
    co_return called;
  }
  io::HttpResponse response = std::move(**exchange->response);
  if (response.head.status == 101) {
    self->drop(id, exchange);
    called.failure = no_answer(
        "the program answered with status 101, but its connection cannot "
        "change to another protocol");
    co_return called;
  }
  response.head.headers = end_to_end(response.head.headers);
  called.reply.kind = engine::PayloadKind::http;
  called.reply.head = wire::encode_response_head(response.head);
  called.reply.body = std::move(response.body);
  if (response.more) {
    exchange->body = std::move(response.more);
    called.reply.more = std::make_unique<Body>(self, exchange, id);
  } else {
    self->forget(id);
  }
  co_return called;
}

io::Task<Result<std::string>> Session::read(std::shared_ptr<Session> self, ExchangePtr exchange) {
  exchange->part.reset();
  if (exchange->body && !exchange->aborted) {
    asio::co_spawn(self->executor_, read_part(exchange, exchange->body),
                   asio::bind_cancellation_slot(exchange->cancel.slot(), Finished{exchange}));
    // What was sent before the end is still to be had.
    while (!exchange->part && !exchange->aborted) {
      const bool go_on = co_await exchange->park.wait();
      if (!go_on) stop(*exchange);
    }
  }
  if (exchange->part && exchange->part->has_value()) co_return std::move(**exchange->part);
  if (!exchange->aborted) {
    auto finding_out = broke_by_end(self, exchange);
    (void)co_await std::move(finding_out);
  }
  if (exchange->aborted) co_return Error{Code::cancelled, "the call was cancelled", "read body", 0};
  co_return Error{Code::unavailable,
                  "the program closed the connection before the end of its answer", "read body", 0};
}

class HttpPortProtocol final : public engine::InstanceProtocol {
 public:
  HttpPortProtocol(asio::any_io_executor executor, io::Connector connector)
      : session_(std::make_shared<Session>(std::move(executor), std::move(connector))) {}
  ~HttpPortProtocol() override { session_->ended(); }

  io::Task<Started> start() override { return Session::wait_ready(session_); }
  io::Task<Called> call(Invocation& invocation, WallTime) override {
    return Session::call(session_, &invocation);
  }
  Abort abort(const std::string& request_id) override { return session_->abort(request_id); }
  void ended(const sandbox::Exit&) override { session_->ended(); }
  bool healthy() const override { return !session_->has_ended(); }

 private:
  std::shared_ptr<Session> session_;
};

class HttpPortFactory final : public engine::ProtocolFactory {
 public:
  bool serves(const functions::Version& version) const override {
    return version.model == functions::Model::http_port ||
           (version.model == functions::Model::unknown && version.settings.runtime == "http");
  }
  bool wants_runtime(const functions::Version&) const override { return false; }
  Status prepare(const functions::Version& version, const functions::Runtime&,
                 sandbox::LaunchSpec& spec) const override {
    spec.argv = program_argv(version);
    engine::set_env(spec.env, "PORT", std::to_string(kProgramPort));
    return ok();
  }
  std::unique_ptr<engine::InstanceProtocol> attach(const functions::Version&,
                                                   sandbox::Sandbox& sandbox,
                                                   asio::any_io_executor executor,
                                                   engine::LogSink) const override {
    return make_http_port_protocol(std::move(executor), sandbox.connector(kProgramPort));
  }
};

}  // namespace

std::unique_ptr<engine::ProtocolFactory> make_http_port_factory() {
  return std::make_unique<HttpPortFactory>();
}

std::unique_ptr<engine::InstanceProtocol> make_http_port_protocol(asio::any_io_executor executor,
                                                                  io::Connector connector) {
  return std::make_unique<HttpPortProtocol>(std::move(executor), std::move(connector));
}

}  // namespace mayfly::dialects::adapters
