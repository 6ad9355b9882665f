#include "io/http_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <vector>

#include "io/http1.h"
#include "io/socket.h"

namespace mayfly::io {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kInlineBody = 64 * 1024;  // larger ones are sent beside reading the answer

Error failed(const std::string& step, error_code problem) {
  if (problem == asio::error::operation_aborted)
    return Error{Code::cancelled, "The HTTP request was cancelled.", step};
  if (problem == asio::error::eof)
    return Error{Code::unavailable, "The server closed the connection.", step};
  return Error{Code::unavailable, problem.message(), step, problem.value()};
}

// Shared by everything that works on one connection; the socket closes with it.
struct ClientConnection {
  explicit ClientConnection(StreamSocket s) : socket(std::move(s)) {}

  std::string_view input() const { return std::string_view(in).substr(at); }
  void consume(std::size_t bytes) {
    at += bytes;
    if (at < in.size()) return;
    in.clear();
    at = 0;
  }
  // True when the peer has neither closed nor said anything since the last answer.
  bool fresh() {
    char byte = 0;
    const auto got = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
  void close() {
    error_code ignored;
    socket.close(ignored);
  }

  StreamSocket socket;
  std::string in;
  std::size_t at = 0;
  std::array<char, kReadBytes> chunk;
  asio::cancellation_signal pump_cancel;
  bool pumping = false;
  bool pump_failed = false;  // the body could not be sent whole
  bool late = false;         // head_timeout has passed
};
using ConnectionPtr = std::shared_ptr<ClientConnection>;

Task<error_code> read_more(ConnectionPtr connection) {
  error_code problem;
  auto token = asio::redirect_error(asio::use_awaitable, problem);
  const auto buffer = asio::buffer(connection->chunk);
  const std::size_t got = co_await connection->socket.async_read_some(buffer, token);
  connection->in.append(connection->chunk.data(), got);
  co_return problem;
}

Task<error_code> write_pieces(ConnectionPtr connection, std::string first, std::string second) {
  error_code problem;
  auto token = asio::redirect_error(asio::use_awaitable, problem);
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(first), asio::buffer(second)};
  co_await asio::async_write(connection->socket, buffers, token);
  co_return problem;
}

// Sends the body while the answer is read; a server may answer before it has read everything.
Task<void> pump(ConnectionPtr connection, std::string first, BodyReaderPtr more, bool chunked) {
  std::string piece = std::move(first);
  while (true) {
    if (!piece.empty()) {
      std::string head;
      if (chunked) {
        append_chunk_size(head, piece.size());
        piece += "\r\n";
      }
      const error_code problem =
          co_await write_pieces(connection, std::move(head), std::move(piece));
      if (problem) co_return;
    }
    if (!more) break;
    Result<std::string> next = co_await more->read();
    if (!next) co_return;
    if (next->empty()) break;
    piece = std::move(*next);
  }
  if (chunked) {
    std::string last = "0\r\n\r\n";
    const error_code problem = co_await write_pieces(connection, std::move(last), std::string());
    if (problem) co_return;
  }
  connection->pump_failed = false;
}

void start_pump(const ConnectionPtr& connection, std::string first, BodyReaderPtr more,
                bool chunked) {
  connection->pumping = true;
  connection->pump_failed = true;  // until its end
  auto task = pump(connection, std::move(first), std::move(more), chunked);
  asio::co_spawn(connection->socket.get_executor(), std::move(task),
                 asio::bind_cancellation_slot(
                     connection->pump_cancel.slot(), [connection](std::exception_ptr) {
                       // Cancelled, or the source threw: either way the body is incomplete, and the
                       // peer must not wait for the rest.
                       connection->pumping = false;
                       if (connection->pump_failed) {
                         error_code ignored;
                         if (connection->socket.is_open())
                           connection->socket.shutdown(StreamSocket::shutdown_send, ignored);
                       }
                     }));
}

}  // namespace

struct HttpClient::State : std::enable_shared_from_this<HttpClient::State> {
  asio::any_io_executor executor;
  Connector connector;
  HttpClientOptions options;
  std::vector<ConnectionPtr> idle;

  ConnectionPtr take_idle() {
    while (!idle.empty()) {
      ConnectionPtr connection = std::move(idle.back());
      idle.pop_back();
      if (connection->fresh()) return connection;
    }
    return nullptr;
  }
  void give_back(ConnectionPtr connection) {
    if (idle.size() < options.idle_connections_max && !connection->pumping &&
        !connection->pump_failed && connection->input().empty())
      idle.push_back(std::move(connection));
  }

  struct Attempt {
    Result<HttpResponse> result;
    bool stale = false;  // nothing was answered on a connection that was used before
  };
  Task<Attempt> attempt(ConnectionPtr connection, HttpRequest* request, bool reused);
  Task<Result<ParsedResponse>> read_head(ConnectionPtr connection, bool head_request,
                                         bool* anything);
  Result<HttpResponse> begin_body(ConnectionPtr connection, ParsedResponse parsed);
};

namespace {

// Returns its connection through release when the body has been read to its end.
class ResponseBody final : public BodyReader {
 public:
  using Release = std::function<void(ConnectionPtr)>;
  ResponseBody(ConnectionPtr connection, Framing framing, std::uint64_t left, bool keep_alive,
               Release release)
      : connection_(std::move(connection)),
        framing_(framing),
        left_(left),
        keep_alive_(keep_alive),
        release_(std::move(release)) {}

  ~ResponseBody() override {
    if (connection_) abandon();
  }

  Task<Result<std::string>> read() override {
    while (connection_) {
      Result<std::string> piece = take();
      if (!piece || !piece->empty() || done_) {
        if (!piece) abandon();
        if (piece && piece->empty()) finish();
        co_return piece;
      }
      const error_code problem = co_await read_more(connection_);
      if (problem == asio::error::eof && framing_ == Framing::until_close) {
        finish();
        break;
      }
      if (problem) {
        abandon();
        co_return failed("read response body", problem);
      }
    }
    co_return std::string();
  }

  // What the buffer holds; an empty string when there is nothing, or the end (then done_).
  Result<std::string> take() {
    std::string data;
    const auto input = connection_->input();
    if (framing_ == Framing::chunked) {
      HttpError problem;
      std::size_t used = 0;
      const auto status = decoder_.decode(input, used, data, kReadBytes * 4, problem);
      connection_->consume(used);
      if (status == ParseStatus::error)
        return Error{Code::corrupt, std::move(problem.message), "read response body"};
      done_ = status == ParseStatus::complete;
      return data;
    }
    auto size = input.size();
    if (framing_ == Framing::length) size = std::min<std::uint64_t>(size, left_);
    data.assign(input.substr(0, size));
    connection_->consume(size);
    left_ -= framing_ == Framing::length ? size : 0;
    done_ = framing_ == Framing::none || (framing_ == Framing::length && left_ == 0);
    return data;
  }

  bool done() const { return done_; }

  void finish() {
    auto connection = std::move(connection_);
    connection_.reset();
    if (keep_alive_ && framing_ != Framing::until_close && !connection->pumping)
      release_(std::move(connection));
    else
      stop(connection);
  }

 private:
  void abandon() {
    auto connection = std::move(connection_);
    connection_.reset();
    stop(connection);
  }
  static void stop(const ConnectionPtr& connection) {
    if (connection->pumping) connection->pump_cancel.emit(asio::cancellation_type::terminal);
    connection->close();
  }

  ConnectionPtr connection_;
  Framing framing_;
  std::uint64_t left_;
  bool keep_alive_;
  bool done_ = false;
  ChunkDecoder decoder_;
  Release release_;
};

// The head of request as bytes; chunked says how the body must be sent.
std::string write_head(const HttpRequest& request, bool& chunked) {
  using wire::equal_ignoring_case;
  std::string out;
  out.reserve(256);
  out.append(request.head.method).append(" ").append(request.head.target).append(" HTTP/1.1\r\n");
  bool has_host = false;
  bool has_length = false;
  for (const auto [name, value] : request.head.headers) {
    if (equal_ignoring_case(name, "Connection") || equal_ignoring_case(name, "Keep-Alive") ||
        equal_ignoring_case(name, "Transfer-Encoding") || equal_ignoring_case(name, "Expect"))
      continue;
    if (equal_ignoring_case(name, "Content-Length")) {
      if (!request.more) continue;
      has_length = true;
    }
    if (!wire::is_token(name) || !wire::is_field_value(value)) continue;
    has_host = has_host || equal_ignoring_case(name, "Host");
    append_field(out, name, value);
  }
  if (!has_host) append_field(out, "Host", "localhost");
  chunked = request.more != nullptr && !has_length;
  const auto& method = request.head.method;
  if (chunked)
    append_field(out, "Transfer-Encoding", "chunked");
  else if (!has_length && (!request.body.empty() || (method != "GET" && method != "HEAD")))
    append_field(out, "Content-Length", std::to_string(request.body.size()));
  out += "\r\n";
  return out;
}

// RFC 9110 9.2.2: others may have taken effect although no answer came.
bool idempotent(std::string_view method) {
  static constexpr std::string_view kMethods[] = {"GET",   "HEAD", "OPTIONS",
                                                  "TRACE", "PUT",  "DELETE"};
  return std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

bool sendable(const HttpRequest& request) {
  const auto& target = request.head.target;
  if (!wire::is_token(request.head.method) || target.empty()) return false;
  for (const char c : target)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
  return true;
}

}  // namespace

Task<Result<ParsedResponse>> HttpClient::State::read_head(ConnectionPtr connection,
                                                          bool head_request, bool* anything) {
  HeadLimits limits;
  limits.head_bytes_max = options.head_bytes_max;
  limits.target_bytes_max = options.head_bytes_max;
  ResponseParser parser(limits);
  while (true) {
    ParsedResponse parsed;
    HttpError problem;
    std::size_t used = 0;
    const auto status = parser.parse(connection->input(), head_request, parsed, used, problem);
    if (status == ParseStatus::error)
      co_return Error{Code::corrupt, "The answer is not valid HTTP: " + problem.message,
                      "read response head"};
    if (status == ParseStatus::complete) {
      connection->consume(used);
      const int code = parsed.head.status;
      if (code >= 200 || code == 101) co_return parsed;
      parser.reset();  // an interim answer; the real one follows
      continue;
    }
    const error_code failure = co_await read_more(connection);
    *anything = *anything || !connection->input().empty();
    if (failure) co_return failed("read response head", failure);
  }
}

Result<HttpResponse> HttpClient::State::begin_body(ConnectionPtr connection,
                                                   ParsedResponse parsed) {
  HttpResponse response;
  response.head = std::move(parsed.head);
  const bool keep_alive = parsed.keep_alive && response.head.status != 101;
  auto body =
      std::make_unique<ResponseBody>(std::move(connection), parsed.framing, parsed.content_length,
                                     keep_alive, [weak = weak_from_this()](ConnectionPtr done) {
                                       if (const auto state = weak.lock())
                                         state->give_back(std::move(done));
                                     });
  Result<std::string> first = body->take();
  if (!first) return first.error();
  response.body = std::move(*first);
  if (body->done())
    body->finish();
  else
    response.more = std::move(body);
  return response;
}

Task<HttpClient::State::Attempt> HttpClient::State::attempt(ConnectionPtr connection,
                                                            HttpRequest* request, bool reused) {
  Attempt outcome{Error{Code::internal, "no outcome"}};
  bool chunked = false;
  std::string head = write_head(*request, chunked);
  const bool pumped = request->more != nullptr || request->body.size() > kInlineBody;
  std::string inline_body = pumped ? std::string() : request->body;
  error_code written = co_await write_pieces(connection, std::move(head), std::move(inline_body));
  if (written && written == asio::error::operation_aborted) {
    outcome.result = failed("send request", written);
    co_return outcome;
  }
  if (pumped && !written) {
    // The body of a request without more may be needed for a second attempt.
    std::string body = request->more ? std::move(request->body) : request->body;
    start_pump(connection, std::move(body), std::move(request->more), chunked);
  }

  asio::steady_timer timer(executor);
  if (options.head_timeout.count() > 0) {
    timer.expires_after(options.head_timeout);
    timer.async_wait([connection](error_code problem) {
      if (problem) return;
      connection->late = true;
      connection->close();
    });
  }
  bool anything = false;
  Result<ParsedResponse> parsed =
      co_await read_head(connection, request->head.method == "HEAD", &anything);
  timer.cancel();
  const bool late = connection->late;
  if (!parsed) {
    if (connection->pumping) connection->pump_cancel.emit(asio::cancellation_type::terminal);
    connection->close();
    outcome.stale = reused && !anything && parsed.error().code == Code::unavailable && !late;
    if (late)
      outcome.result = Error{Code::deadline_exceeded, "The server did not answer in time.",
                             "read response head"};
    else
      outcome.result = parsed.error();
    co_return outcome;
  }
  outcome.result = begin_body(std::move(connection), std::move(*parsed));
  co_return outcome;
}

HttpClient::HttpClient(asio::any_io_executor executor, Connector connector,
                       HttpClientOptions options)
    : state_(std::make_shared<State>()) {
  state_->executor = std::move(executor);
  state_->connector = std::move(connector);
  state_->options = options;
}

HttpClient::~HttpClient() = default;

Task<Result<HttpResponse>> HttpClient::send(HttpRequest request) {
  const auto state = state_;  // the client may go away while it waits
  if (!sendable(request))
    co_return Error{Code::invalid_argument,
                    "The request has an invalid method or target: " + request.head.method + " " +
                        request.head.target + ".",
                    "send request"};
  const bool repeatable = request.more == nullptr && idempotent(request.head.method);
  ConnectionPtr connection = state->take_idle();
  std::optional<Result<HttpResponse>> first;
  if (connection) {
    State::Attempt outcome = co_await state->attempt(connection, &request, true);
    if (!outcome.stale || !repeatable) co_return std::move(outcome.result);
    first = std::move(outcome.result);
  }
  Result<StreamSocket> socket = co_await state->connector();
  // The first attempt may have reached the peer: saying that no connection was to be had would
  // make the caller believe that the request is still his.
  if (!socket) {
    if (first) co_return std::move(*first);
    co_return socket.error();
  }
  connection = std::make_shared<ClientConnection>(std::move(*socket));
  State::Attempt outcome = co_await state->attempt(connection, &request, false);
  co_return std::move(outcome.result);
}

namespace {

Task<Result<StreamSocket>> connect_by_name(asio::any_io_executor executor, std::string host_port) {
  Result<SocketAddress> direct = parse_address(host_port);
  if (direct) co_return co_await connect_stream(executor, *direct, host_port);
  const auto colon = host_port.rfind(':');
  if (colon == std::string::npos || colon == 0) co_return direct.error();
  const std::string host = host_port.substr(0, colon);
  const std::string port = host_port.substr(colon + 1);
  asio::ip::tcp::resolver resolver(executor);
  error_code problem;
  auto token = asio::redirect_error(asio::use_awaitable, problem);
  const auto found = co_await resolver.async_resolve(host, port, token);
  if (problem)
    co_return Error{Code::unavailable,
                    "The name '" + host + "' cannot be resolved: " + problem.message() + ".",
                    "resolve name"};
  Result<StreamSocket> last = Error{Code::unavailable, "'" + host + "' has no address.", "connect"};
  for (const auto& entry : found) {
    SocketAddress address;
    const auto endpoint = entry.endpoint();
    std::memcpy(&address.storage, endpoint.data(), endpoint.size());
    address.size = static_cast<socklen_t>(endpoint.size());
    last = co_await connect_stream(executor, address, host_port);
    if (last) break;
  }
  co_return std::move(last);
}

}  // namespace

Connector tcp_connector(asio::any_io_executor executor, std::string host_port) {
  return [executor = std::move(executor), host_port = std::move(host_port)] {
    return connect_by_name(executor, host_port);
  };
}

}  // namespace mayfly::io
