// How Connection hands out request bodies.

#include <algorithm>

#include "io/http_connection.h"

namespace mayfly::io {

void Connection::before_body_wait() {
  if (expect_pending_ && !response_begun_) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  expect_pending_ = false;
  read_deadline_ = core_->deadline(core_->options.stall_timeout);
  arm_read();
}

Connection::Take Connection::take_body(std::string& data, Error& error) {
  if (body_done_) return Take::end;
  if (!input().empty()) {
    expect_pending_ = false;
    if (framing_ == Framing::chunked) {
      const Take taken = take_chunked(data, error);
      if (taken != Take::wait) return taken;
    } else {
      const auto piece = input().substr(0, std::min<std::uint64_t>(body_left_, kBodyPiece));
      data.append(piece);
      body_left_ -= piece.size();
      body_done_ = body_left_ == 0;
      consume(piece.size());
      return Take::data;
    }
  }
  if (timed_out_) {
    error = {Code::deadline_exceeded,
             "The client sent nothing of the request body for longer than the setting "
             "http.stall_timeout allows.",
             "read request body"};
    return Take::error;
  }
  if (eof_ || closed_) {
    error = {Code::cancelled, "The client closed the connection in the middle of the request body.",
             "read request body"};
    return Take::error;
  }
  return Take::wait;
}

Connection::Take Connection::take_chunked(std::string& data, Error& error) {
  HttpError problem;
  std::size_t used = 0;
  const std::size_t before = data.size();
  const auto status = decoder_.decode(input(), used, data, before + kBodyPiece, problem);
  consume(used);
  body_total_ += data.size() - before;
  if (status == ParseStatus::error) {
    keep_alive_ = false;
    error = {Code::invalid_argument, std::move(problem.message), "read request body"};
    return Take::error;
  }
  if (body_total_ > core_->options.body_bytes_max) {
    keep_alive_ = false;
    error = {Code::too_large,
             "The request body is larger than the setting http.body_bytes_max allows (" +
                 std::to_string(core_->options.body_bytes_max) + " bytes).",
             "read request body"};
    return Take::error;
  }
  body_done_ = status == ParseStatus::complete;
  if (body_done_ && trailers_) *trailers_ = std::move(decoder_.trailers());
  if (data.size() > before) return Take::data;
  return body_done_ ? Take::end : Take::wait;
}

RequestBody::RequestBody(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {
  connection_->reader_ = this;
}

RequestBody::~RequestBody() {
  if (!connection_ || connection_->reader_ != this) return;
  connection_->reader_ = nullptr;
  connection_->read_deadline_ = 0;  // nobody waits for the client any more
}

void RequestBody::detach() {
  const auto keep = std::move(connection_);
  connection_.reset();
  keep->reader_ = nullptr;
  keep->read_deadline_ = 0;
  waiter_.notify();
}

Task<Result<std::string>> RequestBody::read() {
  std::string data;
  Error error;
  while (connection_) {
    switch (connection_->take_body(data, error)) {
      case Connection::Take::data:
        connection_->arm_read();
        co_return data;
      case Connection::Take::end:
        co_return std::string();
      case Connection::Take::error:
        co_return error;
      case Connection::Take::wait:
        break;
    }
    connection_->before_body_wait();
    co_await waiter_.wait();
    if (connection_ && !connection_->timed_out_) connection_->read_deadline_ = 0;
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) break;
  }
  co_return Error{Code::cancelled, "The request is over; its body is not read any more.",
                  "read request body"};
}

}  // namespace mayfly::io
