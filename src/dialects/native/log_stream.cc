#include "dialects/native/log_stream.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <mutex>
#include <set>
#include <tuple>

#include "base/clock.h"
#include "dialects/native/render.h"

namespace mayfly::dialects::native {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kQueueBytesMax = 4u << 20;
constexpr std::chrono::seconds kHeartbeat{15};

using LineKey = std::tuple<std::int64_t, std::string, std::string, std::string>;
LineKey key_of(const telemetry::LogLine& line) {
  return {line.time_us, line.instance, line.request_id, line.text};
}

}  // namespace

// Outlives the feed as long as a listener call or a posted wake-up needs it.
struct LogFeed::State {
  State(asio::io_context& l, std::string r) : loop(l), request_id(std::move(r)), wake(l) {}

  void add(const telemetry::LogLine& line) {
    if (!request_id.empty() && line.request_id != request_id) return;
    const std::lock_guard lock(mutex);
    if (closed) return;
    if (bytes + line.text.size() > kQueueBytesMax) {
      ++dropped;
    } else {
      bytes += line.text.size() + 1;
      lines.push_back(line);
    }
  }

  asio::io_context& loop;
  const std::string request_id;
  asio::steady_timer wake;  // loop only
  std::shared_ptr<void> token;

  std::mutex mutex;
  // Protected by mutex.
  std::deque<telemetry::LogLine> lines;
  std::size_t bytes = 0;
  std::uint64_t dropped = 0;
  bool closed = false;
  // Set by start_after(), then read on the loop only.
  std::multiset<LineKey> sent;
};

LogFeed::LogFeed(asio::io_context& loop, std::string request_id)
    : state_(std::make_shared<State>(loop, std::move(request_id))) {}

LogFeed::~LogFeed() {
  state_->token.reset();
}

void LogFeed::subscribe(telemetry::Telemetry& telemetry, const std::string& function) {
  std::weak_ptr<State> weak = state_;
  state_->token = telemetry.follow(function, [weak](const telemetry::LogLine& line) {
    const auto state = weak.lock();
    if (!state) return;
    state->add(line);
    asio::post(state->loop, [state] { state->wake.cancel(); });
  });
}

void LogFeed::start_after(const std::vector<telemetry::LogLine>& sent) {
  for (const auto& line : sent) state_->sent.insert(key_of(line));
}

void LogFeed::close() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
  }
  state_->wake.cancel();
}

io::Task<Result<std::string>> LogFeed::next() {
  const auto state = state_;  // the feed may end while this waits
  for (;;) {
    std::deque<telemetry::LogLine> lines;
    std::uint64_t dropped = 0;
    bool closed = false;
    {
      const std::lock_guard lock(state->mutex);
      lines.swap(state->lines);
      state->bytes = 0;
      dropped = std::exchange(state->dropped, 0);
      closed = state->closed;
    }
    std::string out;
    for (const auto& line : lines) {
      if (const auto twice = state->sent.find(key_of(line)); twice != state->sent.end())
        state->sent.erase(twice);
      else
        out += render_log_line(line);
    }
    if (dropped > 0) {
      telemetry::LogLine note;
      note.time_us = to_epoch_us(SystemClock().wall_now());
      note.stream = telemetry::LogLine::Stream::platform;
      note.text = std::to_string(dropped) + " lines were dropped: this client reads too slowly";
      out += render_log_line(note);
    }
    if (!out.empty() || closed) co_return out;

    state->wake.expires_after(kHeartbeat);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await state->wake.async_wait(token);
    if (!woken) co_return "\n";
  }
}

namespace {

class LogBody final : public io::BodyReader {
 public:
  explicit LogBody(std::shared_ptr<LogFeed> feed) : feed_(std::move(feed)) {}
  io::Task<Result<std::string>> read() override { return feed_->next(); }

 private:
  std::shared_ptr<LogFeed> feed_;
};

}  // namespace

io::BodyReaderPtr make_log_body(std::shared_ptr<LogFeed> feed) {
  return std::make_unique<LogBody>(std::move(feed));
}

}  // namespace mayfly::dialects::native
