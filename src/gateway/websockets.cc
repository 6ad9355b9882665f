#include "gateway/websockets.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "gateway/gate.h"
#include "wire/websocket.h"

namespace mayfly::gateway {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kUnsentBytesMax = 1u << 20;  // then a client that does not read is told off
constexpr int kRunningMax = 8;                     // messages of one connection at a time
constexpr auto kCloseGrace = seconds(2);           // for the client's half of the closing handshake

std::string failure_text(std::string_view message, const std::string& connection,
                         const std::string& request) {
  std::string text = "{\"message\": ";
  wire::append_json_string(text, message);
  text += ", \"connectionId\":";
  wire::append_json_string(text, connection);
  text += ", \"requestId\":";
  wire::append_json_string(text, request);
  return text + "}";
}

// Letters and digits, as long as API Gateway's.
std::string new_connection_id() {
  return random_hex(8);
}

}  // namespace

struct WebSockets::State {
  explicit State(Parts p) : parts(std::move(p)) {}
  Parts parts;
  std::map<std::string, std::shared_ptr<Connection>, std::less<>> connections;
  bool stopping = false;

  io::Task<engine::Answer> run(std::shared_ptr<Connection> connection, std::string function,
                               SocketFacts facts, std::string body);
};

// One client. Its tasks hold it; it does not hold them.
struct WebSockets::Connection : std::enable_shared_from_this<Connection> {
  Connection(std::shared_ptr<State> s, wire::RequestHead h, RouteMatch m)
      : state(std::move(s)), head(std::move(h)), match(std::move(m)) {}

  const functions::WebSocketApi& api() const { return match.app->api.websocket; }
  // Function of a route; null when there is none.
  const std::string* function_of(const std::string& key) const {
    const auto found = api().routes.find(key);
    return found == api().routes.end() ? nullptr : &found->second;
  }
  SocketFacts facts(std::string route_key) const {
    SocketFacts facts;
    facts.id = id;
    facts.route_key = std::move(route_key);
    facts.event_id = new_uuid();
    facts.connected = connected;
    facts.now = state->parts.clock->wall_now();
    return facts;
  }

  void open(io::StreamSocket fresh);
  void push(std::string frame);
  void begin_close(std::uint16_t code, std::string_view reason);
  void shut();
  void watch();
  static io::Task<void> write_out(std::shared_ptr<Connection> self);

  std::shared_ptr<State> state;
  wire::RequestHead head;
  RouteMatch match;
  std::string id = new_connection_id();
  WallTime connected, last_active;
  SteadyTime opened, active;
  std::optional<io::StreamSocket> socket;
  std::optional<asio::steady_timer> timer;
  std::optional<asio::steady_timer> room;  // wakes the reader when a message has been handled
  std::deque<std::string> unsent;
  std::size_t unsent_bytes = 0;
  bool writing = false, closing = false;
  int running = 0;
  std::uint16_t close_code = 1006;  // what $disconnect says, unless somebody closes properly
  std::string close_reason = "Connection closed abnormally";
};

void WebSockets::Connection::open(io::StreamSocket fresh) {
  socket.emplace(std::move(fresh));
  timer.emplace(socket->get_executor());
  room.emplace(socket->get_executor());
  room->expires_at(SteadyTime::max());
  opened = active = std::chrono::steady_clock::now();
  watch();
}

// One timer for idleness, lifetime and the end of the closing handshake.
void WebSockets::Connection::watch() {
  const auto& settings = state->parts.settings;
  const SteadyTime deadline =
      closing ? active + kCloseGrace
              : std::min(active + seconds(settings.idle_s), opened + seconds(settings.lifetime_s));
  timer->expires_at(deadline);
  timer->async_wait([weak = weak_from_this(), deadline](const boost::system::error_code& failed) {
    const auto self = weak.lock();
    if (failed || !self || !self->socket) return;
    const auto now = std::chrono::steady_clock::now();
    const bool was_closing = self->closing;
    const auto& limits = self->state->parts.settings;
    if (was_closing && now >= deadline) return self->shut();
    if (!was_closing && (now >= self->active + seconds(limits.idle_s) ||
                         now >= self->opened + seconds(limits.lifetime_s)))
      return self->begin_close(1001, "Going away");
    self->watch();
  });
}

void WebSockets::Connection::push(std::string frame) {
  unsent_bytes += frame.size();
  unsent.push_back(std::move(frame));
  if (writing || !socket) return;
  writing = true;
  asio::co_spawn(socket->get_executor(), write_out(shared_from_this()),
                 [self = shared_from_this()](std::exception_ptr failed) {
                   if (failed) self->shut();
                 });
}

io::Task<void> WebSockets::Connection::write_out(std::shared_ptr<Connection> self) {
  boost::system::error_code failed;
  while (!self->unsent.empty() && self->socket && !failed) {
    const std::string frame = std::move(self->unsent.front());
    self->unsent.pop_front();
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    co_await asio::async_write(*self->socket, asio::buffer(frame), token);
    self->unsent_bytes -= frame.size();
  }
  self->writing = false;
  if (failed) self->shut();
}

// Our half of the closing handshake; the reader ends with the client's, or the timer does.
void WebSockets::Connection::begin_close(std::uint16_t code, std::string_view reason) {
  if (closing || !socket) return;
  closing = true;
  close_code = code;
  close_reason = reason;
  active = std::chrono::steady_clock::now();
  std::string frame;
  wire::append_close_frame(frame, code, reason);
  push(std::move(frame));
  watch();
}

// Ends the reader and the writer.
void WebSockets::Connection::shut() {
  if (!socket) return;
  boost::system::error_code ignored;
  socket->shutdown(io::StreamSocket::shutdown_both, ignored);
  socket->cancel(ignored);
  room->cancel();
}

io::Task<engine::Answer> WebSockets::State::run(std::shared_ptr<Connection> connection,
                                                std::string function, SocketFacts facts,
                                                std::string body) {
  engine::Invocation invocation;
  invocation.version = parts.find_version(function);
  if (!invocation.version) {
    engine::Answer answer;
    answer.failure = std::make_shared<engine::Failure>();
    answer.failure->code = Code::not_found;
    answer.failure->message = "The function " + function + " does not exist.";
    co_return answer;
  }
  invocation.request_id = facts.event_id;
  invocation.source = "websocket";
  invocation.arrived = std::chrono::steady_clock::now();
  invocation.body = parts.dialect->event(connection->head, connection->match, facts, body);
  io::Task<engine::Answer> running = parts.invoke(std::move(invocation));
  engine::Answer answer = co_await std::move(running);
  answer.receipt.answered(answer.failure ? 502 : 200);
  co_return answer;
}

// Owns the socket after the 101; the server runs it as the rest of the HTTP connection.
class WebSockets::Session final : public io::Upgrade {
 public:
  explicit Session(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  io::Task<void> run(io::StreamSocket socket, std::string first) override {
    return serve(connection_, std::move(socket), std::move(first));
  }

 private:
  static io::Task<void> serve(std::shared_ptr<Connection> self, io::StreamSocket socket,
                              std::string first);
  static io::Task<void> read_all(std::shared_ptr<Connection> self, std::string first);
  static bool take(const std::shared_ptr<Connection>& self, wire::SocketReader::Event event);
  static io::Task<void> handle(std::shared_ptr<Connection> self, std::string body, bool binary);
  static io::Task<void> say_goodbye(std::shared_ptr<Connection> self);

  std::shared_ptr<Connection> connection_;
};

io::Task<void> WebSockets::Session::serve(std::shared_ptr<Connection> self, io::StreamSocket socket,
                                          std::string first) {
  // The server cancels this task when it stops; what is left must be said all the same.
  co_await asio::this_coro::throw_if_cancelled(false);
  self->open(std::move(socket));
  self->state->connections[self->id] = self;
  io::Task<void> reading = read_all(self, std::move(first));
  co_await std::move(reading);
  self->state->connections.erase(self->id);
  self->timer->cancel();
  self->shut();
  const auto executor = self->socket->get_executor();
  asio::co_spawn(executor, say_goodbye(self), [self](std::exception_ptr failed) {
    if (failed) log::warn("the $disconnect of connection {} broke off", self->id);
  });
}

io::Task<void> WebSockets::Session::read_all(std::shared_ptr<Connection> self, std::string first) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto& settings = self->state->parts.settings;
  wire::SocketReader reader({settings.message_bytes_max, settings.frame_bytes_max});
  reader.feed(first);
  auto buffer = std::make_unique<std::array<char, 16 * 1024>>();
  boost::system::error_code failed;
  auto token = asio::redirect_error(asio::use_awaitable, failed);
  while (!failed) {
    wire::SocketReader::Event event;
    const auto status = reader.next(event);
    if (status == wire::SocketReader::Status::broken) {
      self->begin_close(reader.fail().code, reader.fail().reason);
      break;
    }
    if (status == wire::SocketReader::Status::event) {
      if (!take(self, std::move(event))) break;
      while (self->running >= kRunningMax && !failed) {
        co_await self->room->async_wait(token);  // a cancel is the signal
        failed.clear();
        if (!self->socket->is_open()) co_return;
      }
      continue;
    }
    const std::size_t got = co_await self->socket->async_read_some(asio::buffer(*buffer), token);
    if (failed) break;
    self->active = std::chrono::steady_clock::now();
    self->last_active = self->state->parts.clock->wall_now();
    reader.feed(std::string_view(buffer->data(), got));
  }
  // A close frame of ours goes out before the socket does.
  while (self->writing && !failed) {
    const std::size_t got = co_await self->socket->async_read_some(asio::buffer(*buffer), token);
    if (got == 0) break;
  }
}

// False when the connection ends with it.
bool WebSockets::Session::take(const std::shared_ptr<Connection>& self,
                               wire::SocketReader::Event event) {
  std::string frame;
  switch (event.op) {
    case wire::SocketOp::ping:
      wire::append_socket_frame(frame, wire::SocketOp::pong, event.payload);
      if (self->unsent_bytes <= kUnsentBytesMax) self->push(std::move(frame));
      return true;
    case wire::SocketOp::pong:
      return true;
    case wire::SocketOp::close:
      if (!self->closing) {
        self->closing = true;
        self->close_code = event.code;
        self->close_reason = event.code == 1005 ? "Client-side close frame status not set"
                                                : std::move(event.payload);
        wire::append_close_frame(frame, event.code == 1005 ? 1000 : event.code, "");
        self->push(std::move(frame));
        self->watch();
      }
      return false;
    default:
      break;
  }
  if (self->closing) return true;
  ++self->running;
  asio::co_spawn(self->socket->get_executor(),
                 handle(self, std::move(event.payload), event.op == wire::SocketOp::binary),
                 [self](std::exception_ptr failed) {
                   if (failed) log::warn("a message of connection {} broke off", self->id);
                   --self->running;
                   self->room->cancel();
                 });
  return true;
}

io::Task<void> WebSockets::Session::handle(std::shared_ptr<Connection> self, std::string body,
                                           bool binary) {
  const SocketDialect& dialect = *self->state->parts.dialect;
  std::string key = binary ? "" : dialect.selected(self->api().selection, body);
  // Keys that begin with $ are for events, never for what a client names.
  const std::string* function =
      key.empty() || key.starts_with('$') ? nullptr : self->function_of(key);
  if (function == nullptr) {
    key = "$default";
    function = self->function_of(key);
  }
  SocketFacts facts = self->facts(key);
  facts.binary = binary;
  const std::string event_id = facts.event_id;
  std::string answer_text;
  if (function == nullptr) {
    answer_text = failure_text("Forbidden", self->id, event_id);
  } else {
    io::Task<engine::Answer> running =
        self->state->run(self, *function, std::move(facts), std::move(body));
    engine::Answer answer = co_await std::move(running);
    Result<io::HttpResponse> reply = io::HttpResponse();
    if (!answer.failure) reply = dialect.reply(answer.reply.body);
    if (answer.failure || reply.has_error())
      answer_text = failure_text("Internal server error", self->id, event_id);
    else if (self->api().responds(key))
      answer_text = std::move(reply->body);
  }
  if (answer_text.empty() || self->closing || !self->socket) co_return;
  if (self->unsent_bytes > kUnsentBytesMax) co_return;
  std::string frame;
  wire::append_socket_frame(frame, wire::SocketOp::text, answer_text);
  self->push(std::move(frame));
}

io::Task<void> WebSockets::Session::say_goodbye(std::shared_ptr<Connection> self) {
  const std::string* function = self->function_of("$disconnect");
  if (function == nullptr) co_return;
  SocketFacts facts = self->facts("$disconnect");
  facts.close_code = self->close_code;
  facts.close_reason = self->close_reason;
  io::Task<engine::Answer> running = self->state->run(self, *function, std::move(facts), "");
  const engine::Answer answer = co_await std::move(running);
  if (answer.failure) log::warn("$disconnect of {}: {}", self->id, answer.failure->message);
}

WebSockets::WebSockets(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {}
WebSockets::~WebSockets() = default;

namespace {

io::HttpResponse not_a_handshake() {
  io::HttpResponse response = refusal(426, "UpgradeRequiredException", "Upgrade Required");
  response.head.headers.add("Upgrade", "websocket");
  response.head.headers.add("Sec-WebSocket-Version", "13");
  return response;
}

}  // namespace

io::Task<io::HttpResponse> WebSockets::connect(io::HttpRequest request, RouteMatch match,
                                               std::string id) {
  const auto state = state_;
  const auto& headers = request.head.headers;
  if (!wire::wants_websocket(request.head) || headers.find("Sec-WebSocket-Version") != "13")
    co_return not_a_handshake();
  const auto accept = wire::websocket_accept(headers.find("Sec-WebSocket-Key").value_or(""));
  if (!accept) co_return refusal(400, "BadRequestException", "Bad Request");
  if (state->stopping || state->connections.size() >= state->parts.settings.connections_max)
    co_return refusal(429, "TooManyRequestsException", "Too Many Requests");
  auto connection = std::make_shared<Connection>(state, std::move(request.head), std::move(match));
  connection->connected = connection->last_active = state->parts.clock->wall_now();
  connection->match.socket_id = connection->id;
  io::HttpResponse response;
  if (const std::string* function = connection->function_of("$connect")) {
    SocketFacts facts = connection->facts("$connect");
    facts.event_id = id;
    io::Task<engine::Answer> running = state->run(connection, *function, std::move(facts), "");
    engine::Answer answer = co_await std::move(running);
    Result<io::HttpResponse> reply = io::HttpResponse();
    if (!answer.failure) reply = state->parts.dialect->reply(answer.reply.body);
    if (answer.failure || reply.has_error()) {
      response = io::json_response(502, failure_text("Internal server error", connection->id, id));
      response.head.headers.add("x-amzn-ErrorType", "InternalServerErrorException");
      co_return response;
    }
    if (reply->head.status < 200 || reply->head.status > 299) co_return std::move(*reply);
    if (const auto protocol = reply->head.headers.find("Sec-WebSocket-Protocol"))
      response.head.headers.add("Sec-WebSocket-Protocol", *protocol);
  }
  response.head.status = 101;
  response.head.headers.add("Upgrade", "websocket");
  response.head.headers.add("Sec-WebSocket-Accept", *accept);
  response.upgrade = std::make_unique<Session>(std::move(connection));
  co_return response;
}

Status WebSockets::send(std::string_view id, std::string_view data, bool binary) {
  const auto found = state_->connections.find(id);
  if (found == state_->connections.end() || found->second->closing)
    return Error{Code::not_found, "The connection is gone."};
  Connection& connection = *found->second;
  if (data.size() > state_->parts.settings.message_bytes_max)
    return Error{Code::too_large, "The data is over the setting websockets.message_bytes_max."};
  if (connection.unsent_bytes > kUnsentBytesMax)
    return Error{Code::resource_exhausted, "The client does not read what was sent before."};
  std::string frame;
  wire::append_socket_frame(frame, binary ? wire::SocketOp::binary : wire::SocketOp::text, data);
  connection.push(std::move(frame));
  connection.active = std::chrono::steady_clock::now();
  connection.last_active = state_->parts.clock->wall_now();
  return ok();
}

Result<SocketInfo> WebSockets::find(std::string_view id) const {
  const auto found = state_->connections.find(id);
  if (found == state_->connections.end() || found->second->closing)
    return Error{Code::not_found, "The connection is gone."};
  const Connection& connection = *found->second;
  return SocketInfo{connection.connected,
                    connection.last_active,
                    connection.head.remote_ip,
                    std::string(connection.head.headers.find("User-Agent").value_or("")),
                    connection.match.api_id,
                    connection.match.stage};
}

Status WebSockets::close(std::string_view id) {
  const auto found = state_->connections.find(id);
  if (found == state_->connections.end() || found->second->closing)
    return Error{Code::not_found, "The connection is gone."};
  found->second->begin_close(1000, "Connection Closed Normally");
  return ok();
}

void WebSockets::stop() {
  state_->stopping = true;
  for (const auto& [id, connection] : state_->connections)
    connection->begin_close(1001, "Going away");
}

}  // namespace mayfly::gateway
