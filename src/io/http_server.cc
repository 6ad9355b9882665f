#include "io/http_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "base/log.h"
#include "io/http_connection.h"

namespace mayfly::io {
namespace {

using std::chrono::milliseconds;

constexpr int kAcceptBatch = 64;
constexpr milliseconds kAcceptPause{100};     // after running out of descriptors
constexpr milliseconds kStopPatience{1'000};  // for handlers that ignore cancellation

milliseconds tick_length_for(const HttpServerOptions& options) {
  auto shortest = milliseconds::max();
  for (const auto time : {options.head_timeout, options.idle_timeout, options.stall_timeout})
    if (time.count() > 0) shortest = std::min(shortest, time);
  if (shortest == milliseconds::max()) return milliseconds(0);  // nothing to watch
  return std::clamp(shortest / 8, milliseconds(5), milliseconds(500));
}

}  // namespace

ServerCore::ServerCore(boost::asio::io_context& l, HttpServerOptions o, HttpHandler h)
    : loop(l),
      options(std::move(o)),
      handler(std::move(h)),
      tick_length(tick_length_for(options)) {}

std::int64_t ServerCore::deadline(milliseconds from_now) const {
  if (from_now.count() <= 0 || tick_length.count() == 0) return 0;
  return tick + from_now / tick_length + 2;
}

void ServerCore::report(const std::string& text) const {
  log::error("{}: {}", options.name, text);
}

std::string_view ServerCore::date_field() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec == date_second_) return date_;
  date_second_ = now.tv_sec;
  std::tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  date_ = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[utc.tm_wday],
                      utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                      utc.tm_sec);
  return date_;
}

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
  State(boost::asio::io_context& loop, HttpServerOptions options, HttpHandler handler)
      : core(std::make_shared<ServerCore>(loop, std::move(options), std::move(handler))),
        listener(loop),
        ticker(loop),
        pause(loop) {}

  void accept_soon();
  void accept_batch();
  void adopt(MovedConnection& moved);
  bool make_room();
  void tick_soon();
  void on_tick();
  std::vector<std::shared_ptr<Connection>> snapshot(bool (*wanted)(const Connection&));

  std::shared_ptr<ServerCore> core;
  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> listener;
  boost::asio::steady_timer ticker;
  boost::asio::steady_timer pause;
  bool ticking = false;
  bool accept_waits = false;  // for a connection to end
  Waiter stopped;
};

std::vector<std::shared_ptr<Connection>> HttpServer::State::snapshot(
    bool (*wanted)(const Connection&)) {
  std::vector<std::shared_ptr<Connection>> found;
  for (auto& connection : core->connections)
    if (wanted(connection)) found.push_back(connection.shared_from_this());
  return found;
}

void HttpServer::State::accept_soon() {
  if (!listener.is_open()) return;
  listener.async_wait(boost::asio::posix::descriptor_base::wait_read,
                      [self = shared_from_this()](boost::system::error_code problem) {
                        if (!problem && self->listener.is_open()) self->accept_batch();
                      });
}

// At the limit: an idle connection goes, the one open for longest first.
bool HttpServer::State::make_room() {
  for (auto& connection : core->connections) {
    if (!connection.idle()) continue;
    connection.close();
    return true;
  }
  return false;
}

void HttpServer::State::accept_batch() {
  for (int i = 0; i < kAcceptBatch; ++i) {
    pollfd waiting{listener.native_handle(), POLLIN, 0};
    const bool full = core->open >= core->options.connections_max;
    if (full && ::poll(&waiting, 1, 0) == 0) break;  // nobody to make room for
    if (full && !make_room()) {
      accept_waits = true;  // the kernel keeps the others in its backlog
      return;
    }
    SocketAddress peer;
    peer.size = sizeof(peer.storage);
    os::Fd fd(::accept4(listener.native_handle(), reinterpret_cast<sockaddr*>(&peer.storage),
                        &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      core->report(errno_error("accept a connection", errno).describe());
      pause.expires_after(kAcceptPause);
      pause.async_wait([self = shared_from_this()](boost::system::error_code problem) {
        if (!problem) self->accept_soon();
      });
      return;
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const int family = peer.storage.ss_family;
    std::make_shared<Connection>(core, peer)->start(std::move(fd), family);
  }
  tick_soon();
  accept_soon();
}

void HttpServer::State::adopt(MovedConnection& moved) {
  if (core->open >= core->options.connections_max && !make_room()) return;  // it is closed
  std::make_shared<Connection>(core, moved)
      ->start(std::move(moved.fd), moved.family,
              std::make_unique<ParsedRequest>(std::move(moved.parsed)));
  tick_soon();
}

void HttpServer::State::tick_soon() {
  if (ticking || core->open == 0 || core->tick_length.count() == 0) return;
  ticking = true;
  ticker.expires_after(core->tick_length);
  ticker.async_wait([self = shared_from_this()](boost::system::error_code problem) {
    self->ticking = false;
    if (!problem) self->on_tick();
  });
}

void HttpServer::State::on_tick() {
  ++core->tick;
  for (auto& connection : snapshot([](const Connection& c) { return c.expired(); }))
    connection->on_deadline();
  tick_soon();
}

HttpServer::HttpServer(boost::asio::io_context& loop, HttpServerOptions options,
                       HttpHandler handler)
    : state_(std::make_shared<State>(loop, std::move(options), std::move(handler))) {
  state_->core->on_change = [weak = std::weak_ptr<State>(state_)] {
    const auto state = weak.lock();
    if (!state) return;
    if (state->accept_waits && state->core->open < state->core->options.connections_max) {
      state->accept_waits = false;
      state->accept_soon();
    }
    if (state->core->stopping && state->core->open == 0 && state->core->running == 0)
      state->stopped.notify();
  };
}

HttpServer::~HttpServer() {
  state_->core->on_change = nullptr;
  boost::system::error_code ignored;
  state_->listener.close(ignored);
  state_->ticker.cancel();
  state_->pause.cancel();
  for (auto& connection : state_->snapshot([](const Connection&) { return true; }))
    connection->drop();
}

Result<std::string> HttpServer::listen(const std::string& address) {
  Result<SocketAddress> wanted = parse_address(address);
  if (!wanted) return wanted.error();
  Result<os::Fd> fd = listen_tcp(*wanted, "--" + state_->core->options.name);
  if (!fd) return fd.error();
  Result<SocketAddress> bound = local_address(fd->get());
  if (!bound) return bound.error();
  MAYFLY_TRY(listen_fd(std::move(*fd)));
  return format_address(*bound);
}

Status HttpServer::listen_fd(os::Fd listener) {
  // accept4() must never block the loop, whoever made the socket.
  const int flags = ::fcntl(listener.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return errno_error("use the listening socket", errno);
  boost::system::error_code problem;
  state_->listener.assign(listener.get(), problem);
  if (problem) return errno_error("use the listening socket", problem.value());
  (void)listener.release();  // owned by state_ now
  state_->accept_soon();
  return ok();
}

void HttpServer::steer_by(Steer steer) {
  state_->core->steer = std::move(steer);
}

void HttpServer::adopt(std::shared_ptr<MovedConnection> moved) {
  boost::asio::post(state_->core->loop,
                    [weak = std::weak_ptr<State>(state_), moved = std::move(moved)] {
                      if (const auto state = weak.lock()) state->adopt(*moved);
                    });
}

void HttpServer::stop_accepting() {
  boost::system::error_code ignored;
  state_->listener.close(ignored);
  state_->pause.cancel();
}

void HttpServer::close() {
  state_->core->stopping = true;
  stop_accepting();
  state_->ticker.cancel();
  for (auto& connection : state_->snapshot([](const Connection&) { return true; }))
    connection->abort();
}

Task<void> HttpServer::stop(milliseconds grace) {
  const auto state = state_;
  const auto core = state->core;
  core->stopping = true;
  stop_accepting();
  for (auto& connection : state->snapshot([](const Connection& c) { return c.idle(); }))
    connection->close();

  boost::asio::steady_timer timer(core->loop);
  const auto wake = [state](boost::system::error_code problem) {
    if (!problem) state->stopped.notify();
  };
  if (core->open > 0 || core->running > 0) {
    timer.expires_after(grace);
    timer.async_wait(wake);
    co_await state->stopped.wait();
  }
  for (auto& connection : state->snapshot([](const Connection&) { return true; }))
    connection->abort();
  if (core->running > 0) {
    timer.expires_after(kStopPatience);
    timer.async_wait(wake);
    co_await state->stopped.wait();
  }
  timer.cancel();
  state->ticker.cancel();
}

std::size_t HttpServer::connections() const {
  return state_->core->open;
}

}  // namespace mayfly::io
