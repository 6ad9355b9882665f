#include "dialects/lambda/runtime_api_response.h"

#include <boost/asio/this_coro.hpp>
#include <optional>

#include "base/base64.h"
#include "dialects/lambda/http_event.h"
#include "dialects/lambda/runtime_api_syntax.h"
#include "engine/instance_protocol.h"

namespace mayfly::dialects::lambda {
namespace {

constexpr std::string_view kErrorBody = "Lambda-Runtime-Function-Error-Body";
constexpr std::size_t kPreludeMax = 128 * 1024;
constexpr std::size_t kDiscardMax = 64u << 20;  // of a body that is refused

class StreamReader final : public io::BodyReader {
 public:
  StreamReader(std::shared_ptr<ResponseStream> stream, std::function<void()> broke_off)
      : stream_(std::move(stream)), broke_off_(std::move(broke_off)) {}
  ~StreamReader() override {
    if (stream_->ended) return;
    stream_->dropped = true;
    stream_->over.wake();
  }

  io::Task<Result<std::string>> read() override {
    auto reading = stream_->source->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_value() && !part->empty()) co_return part;
    if (part.has_error()) {
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none)
        co_return Error{Code::cancelled, "the call was given up", "", 0};
    }
    stream_->ended = true;
    stream_->over.wake();
    if (part.has_error()) {
      broke_off_();
      co_return Error{Code::unavailable, "the program broke off its answer", "", 0};
    }
    const auto wrong = trailer_error(stream_->trailers.get());
    if (!wrong.empty()) {
      const auto failure = engine::function_failure(telemetry::Phase::reply, wrong);
      co_return Error{Code::function_error, failure->message, "", 0};
    }
    co_return std::string();
  }

 private:
  std::shared_ptr<ResponseStream> stream_;
  std::function<void()> broke_off_;
};

}  // namespace

io::Task<bool> discard(io::BodyReader& body, std::size_t at_most) {
  std::size_t seen = 0;
  while (seen <= at_most) {
    auto reading = body.read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error()) co_return false;
    if (part->empty()) co_return true;
    seen += part->size();
  }
  co_return false;
}

io::Task<Taken> take_body(io::HttpRequest& request, std::size_t limit) {
  while (request.more && request.body.size() <= limit) {
    auto reading = request.more->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error()) co_return Taken::cut_off;
    if (part->empty())
      request.more.reset();
    else
      request.body += *part;
  }
  if (request.body.size() <= limit) co_return Taken::whole;
  request.body = {};
  if (request.more) {
    auto rest = discard(*request.more, kDiscardMax);
    (void)co_await std::move(rest);
  }
  co_return Taken::too_large;
}

std::string trailer_error(const wire::Headers* trailers) {
  if (trailers == nullptr) return {};
  const auto type = trailers->find(kErrorType);
  if (!type || type->empty()) return {};
  const auto body = decode_base64(trailers->find(kErrorBody).value_or(std::string_view()));
  return error_object(body.value_or(std::string()), *type);
}

io::Task<Prelude> take_prelude(io::HttpRequest& request) {
  Prelude prelude;
  std::optional<std::size_t> mark;
  std::size_t seen = 0;
  while (!(mark = find_prelude_end(request.body, seen)) && request.more &&
         request.body.size() <= kPreludeMax) {
    seen = request.body.size();
    auto reading = request.more->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error()) {
      prelude.cut_off = true;
      co_return prelude;
    }
    if (part->empty())
      request.more.reset();
    else
      request.body += *part;
  }
  if (!mark) {
    prelude.problem = "its HTTP answer has no JSON prelude that ends with 8 NUL bytes";
    co_return prelude;
  }
  auto read = read_v2_prelude(std::string_view(request.body).substr(0, *mark));
  if (read.has_error())
    prelude.problem = read.error().message;
  else
    prelude.head = std::move(*read);
  request.body.erase(0, *mark + kPreludeMark);
  co_return prelude;
}

io::BodyReaderPtr read_stream(std::shared_ptr<ResponseStream> stream,
                              std::function<void()> broke_off) {
  return std::make_unique<StreamReader>(std::move(stream), std::move(broke_off));
}

}  // namespace mayfly::dialects::lambda
