#include "engine/answer_body.h"

#include <boost/asio/this_coro.hpp>

#include "engine/instance.h"

namespace mayfly::engine {
namespace {

using telemetry::Outcome;
using telemetry::Phase;

class CountingBody final : public io::BodyReader {
 public:
  CountingBody(std::shared_ptr<Call> call, io::BodyReaderPtr body)
      : call_(std::move(call)), body_(std::move(body)) {}

  io::Task<Result<std::string>> read() override {
    auto reading = body_->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_value() && !call_->finished()) call_->record.bytes_in += part->size();
    co_return part;
  }

 private:
  std::shared_ptr<Call> call_;
  io::BodyReaderPtr body_;
};

class AnswerBody final : public io::BodyReader {
 public:
  AnswerBody(std::shared_ptr<Call> call, io::BodyReaderPtr body)
      : call_(std::move(call)), body_(std::move(body)) {}

  ~AnswerBody() override {
    if (!call_->finished()) {
      CallEnd end;
      end.outcome = call_->timed_out ? Outcome::timeout : Outcome::cancelled;
      end.party = call_->timed_out ? telemetry::Party::function : telemetry::Party::client;
      end.phase = Phase::reply;
      end.error = call_->timed_out ? call_->timeout_failure()->message
                                   : "the caller went away before the end of the answer";
      call_->finish(std::move(end), Call::Slot::aborted);
    }
  }

  io::Task<Result<std::string>> read() override {
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    auto reading = body_->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error()) {
      auto explaining = explain(part.error());
      Error error = co_await std::move(explaining);
      part = std::move(error);
    } else if (part->empty()) {
      call_->finish({}, Call::Slot::free);
    } else {
      call_->record.bytes_out += part->size();
    }
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    co_return part;
  }

 private:
  // Why the answer was cut off; the call is over then.
  io::Task<Error> explain(Error error) {
    if (call_->timed_out) {
      const auto failure = call_->timeout_failure();
      call_->finish(end_of(*failure), Call::Slot::aborted);
      co_return Error{failure->code, failure->message, "", 0};
    }
    CallEnd end;
    end.party = telemetry::Party::function;
    end.phase = Phase::reply;
    end.outcome = Outcome::function_error;
    Call::Slot slot = Call::Slot::free;
    if (error.code == Code::cancelled) {
      end.outcome = Outcome::cancelled;
      end.party = telemetry::Party::client;
      slot = Call::Slot::aborted;
    } else if (error.code == Code::too_large) {
      slot = Call::Slot::aborted;
    } else if (!call_->instance->protocol().healthy()) {
      auto failure = crash_failure(Phase::reply);
      auto explaining = call_->instance->explain_crash(std::move(failure));
      failure = co_await std::move(explaining);
      end = end_of(*failure);
      end.phase = Phase::reply;
      error.message = failure->message;
    }
    end.error = error.message;
    call_->finish(std::move(end), slot);
    co_return error;
  }

  std::shared_ptr<Call> call_;
  io::BodyReaderPtr body_;  // goes first: it may hold the stream of the aborted call
};

}  // namespace

void count_request(Invocation& invocation, std::shared_ptr<Call> call) {
  invocation.more = std::make_unique<CountingBody>(std::move(call), std::move(invocation.more));
}

io::BodyReaderPtr wrap_answer(std::shared_ptr<Call> call, io::BodyReaderPtr body) {
  return std::make_unique<AnswerBody>(std::move(call), std::move(body));
}

}  // namespace mayfly::engine
