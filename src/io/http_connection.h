#pragma once
// One client of an HttpServer: callbacks read and write the socket, one coroutine (run) answers the
// requests in order. Reading goes on while a handler runs, so that a client that leaves is noticed.

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/http1.h"
#include "io/http_server.h"
#include "io/socket.h"
#include "io/waiter.h"

namespace mayfly::io {

class Connection;
class RequestBody;

// So much of a request body is taken at once, and so much unread body is skipped to keep a
// connection.
inline constexpr std::size_t kBodyPiece = 64 * 1024;

// What a connection reads into at first.
inline constexpr std::size_t kBufferFirst = 4 * 1024;

// The answer to a request that never reached a handler, or whose handler failed.
HttpResponse error_answer(const HttpError& problem, std::string_view party, std::string_view phase);

using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// A connection between two servers: the head of a request has been read, nothing is unsent.
struct MovedConnection {
  os::Fd fd;
  int family = 0;
  std::string remote_ip;
  std::uint16_t remote_port = 0;
  ConnectionFacts facts;
  ParsedRequest parsed;
  std::string rest;  // what followed the head already
};

// What the connections of a server share. Belongs to the loop.
struct ServerCore {
  ServerCore(boost::asio::io_context& l, HttpServerOptions o, HttpHandler h);

  // "Date: Sat, 21 Nov 2026 08:30:00 GMT\r\n", formatted once a second.
  std::string_view date_field();
  // The tick at which something that may take so long is over.
  std::int64_t deadline(std::chrono::milliseconds from_now) const;
  // One log line about something that must not happen.
  void report(const std::string& text) const;

  boost::asio::io_context& loop;
  HttpServerOptions options;
  HttpHandler handler;
  Steer steer;  // may be null
  std::uint64_t accepted = 0;
  boost::intrusive::list<Connection, boost::intrusive::base_hook<ConnectionHook>,
                         boost::intrusive::constant_time_size<false>>
      connections;
  std::size_t open = 0;     // connections in the list
  std::size_t running = 0;  // coroutines that have not ended
  bool stopping = false;
  std::int64_t tick = 1;  // counts tick_length steps; deadlines are ticks, 0 is none
  std::chrono::milliseconds tick_length;
  std::function<void()> on_change;  // a connection or a coroutine is gone

 private:
  std::int64_t date_second_ = -1;
  std::string date_;
};

class Connection : public std::enable_shared_from_this<Connection>, public ConnectionHook {
 public:
  Connection(std::shared_ptr<ServerCore> core, const SocketAddress& peer);
  ~Connection();

  explicit Connection(std::shared_ptr<ServerCore> core, MovedConnection& moved);

  void start(os::Fd fd, int family, std::unique_ptr<ParsedRequest> first = nullptr);
  bool expired() const;
  void on_deadline();
  bool idle() const { return idle_; }
  void close();
  // Cancels what runs, then closes.
  void abort();
  // Destroys waiting coroutines; when the loop has ended.
  void drop();

 private:
  friend class RequestBody;
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                  boost::asio::io_context::executor_type>;
  enum class OutFraming { none, length, chunked, until_close };
  enum class Take { data, end, wait, error };

  // Reading.
  std::string_view input() const { return {in_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes);
  void arm_read();
  bool make_room();
  void on_read(boost::system::error_code problem, std::size_t bytes);
  void on_peer_gone();

  // Writing. flush() sends what it can without waiting and arranges for the rest.
  void flush();
  void send_now();
  void sent(std::size_t bytes);
  bool pending() const { return !sealed_.empty() || sent_ < out_.size(); }
  void append_body(std::string body);
  void on_write_failed();
  void post_flush();

  // The coroutine and its steps. Each gets self so that the connection outlives it.
  static Task<void> run(std::shared_ptr<Connection> self, std::unique_ptr<ParsedRequest> first);
  Task<bool> next_head(ParsedRequest& parsed);
  void begin_request(const ParsedRequest& parsed);
  Task<bool> stop_reading();
  HttpServer* steered(const ParsedRequest& parsed);
  Task<void> move_to(HttpServer& other, ParsedRequest& parsed);
  Task<bool> receive_body(HttpRequest& request);
  Task<HttpResponse> call_handler(HttpRequest& request);
  void answer_last(HttpResponse& response);
  Task<void> hand_over(HttpResponse& response);
  Task<void> stream(HttpResponse& response, OutFraming framing, std::uint64_t length);
  Task<void> drained();
  void refuse(HttpError problem);
  Task<void> finish_body();
  Task<void> linger();
  void run_ended(std::exception_ptr problem);

  // The request body.
  Take take_body(std::string& data, Error& error);
  Take take_chunked(std::string& data, Error& error);
  void before_body_wait();

  // The response head.
  OutFraming append_head(HttpResponse& response, std::uint64_t& length);
  struct Sent;
  void append_fields(const wire::Headers& headers, bool upgrade, Sent& sent);

  std::shared_ptr<ServerCore> core_;
  Socket socket_;
  std::string remote_ip_;
  std::uint16_t remote_port_ = 0;
  ConnectionFacts facts_;
  boost::asio::cancellation_signal cancel_;

  std::unique_ptr<char[]> in_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
  std::string out_;                  // the open end of what is to be sent
  std::vector<std::string> sealed_;  // goes before out_
  std::size_t sent_ = 0;             // of the first piece

  Waiter input_;
  Waiter writable_;
  RequestParser parser_;
  ChunkDecoder decoder_;

  // Of the present request.
  Framing framing_ = Framing::none;
  std::uint64_t body_left_ = 0;   // Framing::length
  std::uint64_t body_total_ = 0;  // decoded so far
  RequestBody* reader_ = nullptr;
  std::shared_ptr<wire::Headers> trailers_;  // wanted by the handler; null: nobody asks
  int version_ = 11;
  bool head_request_ = false;
  bool keep_alive_ = true;
  bool body_done_ = true;
  bool expect_pending_ = false;
  bool response_begun_ = false;

  std::int64_t read_deadline_ = 0, write_deadline_ = 0;
  bool reading_ = false, write_waiting_ = false, flush_posted_ = false;
  bool in_callback_ = false;  // on_read flushes when it is over
  bool handler_runs_ = false;
  bool idle_ = false;
  bool eof_ = false, broken_ = false, timed_out_ = false, closed_ = false;
  bool lingering_ = false, cut_off_ = false, upgrading_ = false;
};

// Pull side of a request body that did not arrive with its head.
class RequestBody final : public BodyReader {
 public:
  explicit RequestBody(std::shared_ptr<Connection> connection);
  ~RequestBody() override;
  Task<Result<std::string>> read() override;

 private:
  friend class Connection;
  void detach();

  std::shared_ptr<Connection> connection_;  // null once the request is over
  Waiter waiter_;
};

}  // namespace mayfly::io
