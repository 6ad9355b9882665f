#pragma once
// The engine's side of one program that polls the Runtime API: which invocations
// it has, which wait for a poll. Private to the protocol; on one loop only.
//
// An exchange goes through  queued -> running -> answering -> done:  call()
// queues it, the program's GET next takes it, POST response or error answers
// it. The caller is told when the answer is complete (or its HTTP head is); the
// program takes the next one with its next poll. With a concurrency over 1 it may
// hold so many polls at a time, and answers in any order.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "dialects/lambda/extensions_api.h"
#include "dialects/lambda/runtime_api_protocol.h"
#include "dialects/lambda/runtime_api_syntax.h"
#include "engine/park.h"
#include "io/http_server.h"

namespace mayfly::dialects::lambda {

class RuntimeApiSession : public std::enable_shared_from_this<RuntimeApiSession> {
 public:
  using Protocol = engine::InstanceProtocol;

  // extensions: served on the same socket.
  // concurrency: invocations that the program may have at once.
  RuntimeApiSession(boost::asio::any_io_executor executor, RuntimeApiSettings settings,
                    std::string arn, std::uint32_t concurrency,
                    std::shared_ptr<ExtensionsApi> extensions);

  // Begins to serve. A socket that cannot be used shows as a failure of
  // wait_ready().
  void open(os::Fd listener);
  void listen(engine::InstanceEvents events) { events_ = std::move(events); }
  io::Task<Protocol::Started> wait_ready();
  io::Task<Protocol::Called> call(engine::Invocation& invocation, WallTime deadline);
  Protocol::Abort abort(const std::string& request_id);
  void ended();
  bool healthy() const { return !over_ && !broken_; }
  // No more callbacks; everything that waits is told.
  void close();

 private:
  struct Exchange;
  using ExchangePtr = std::shared_ptr<Exchange>;
  using PollPtr = std::shared_ptr<engine::Park>;

  static io::Task<io::HttpResponse> serve(std::weak_ptr<RuntimeApiSession> weak,
                                          io::HttpRequest request);
  static io::Task<io::HttpResponse> route(std::shared_ptr<RuntimeApiSession> self,
                                          io::HttpRequest request);
  static io::Task<io::HttpResponse> next(std::shared_ptr<RuntimeApiSession> self);
  static io::Task<io::HttpResponse> response(std::shared_ptr<RuntimeApiSession> self,
                                             std::string id, io::HttpRequest request);
  static io::Task<io::HttpResponse> buffered(std::shared_ptr<RuntimeApiSession> self,
                                             ExchangePtr exchange, io::HttpRequest request);
  static io::Task<io::HttpResponse> streamed(std::shared_ptr<RuntimeApiSession> self,
                                             ExchangePtr exchange, io::HttpRequest request,
                                             bool integration);
  static io::Task<io::HttpResponse> error(std::shared_ptr<RuntimeApiSession> self, std::string id,
                                          io::HttpRequest request);
  static io::Task<io::HttpResponse> init_error(std::shared_ptr<RuntimeApiSession> self,
                                               io::HttpRequest request);
  io::HttpResponse restore_next() const;

  // Null when the program may answer id now, going to that state; else what it
  // is told.
  std::unique_ptr<io::HttpResponse> refusal(const std::string& id, std::string_view to) const;
  // As the emulator words it.
  std::string_view state_name() const;
  io::HttpResponse wrong_state(std::string_view to) const;
  ExchangePtr present(const std::string& id) const;  // null: the program does not have it
  void wake_poll();
  io::HttpResponse too_large(Exchange* exchange);
  io::HttpResponse cut_off(Exchange& exchange);
  io::HttpResponse hand_over(ExchangePtr exchange);
  // The program is through with it.
  void finish(const ExchangePtr& exchange);
  void answered(const ExchangePtr& exchange);
  void fail_all();

  boost::asio::any_io_executor executor_;
  const RuntimeApiSettings settings_;
  const std::string arn_;
  const std::shared_ptr<ExtensionsApi> extensions_;
  engine::InstanceEvents events_;
  std::unique_ptr<io::HttpServer> server_;
  boost::asio::steady_timer last_words_;

  const std::uint32_t concurrency_;
  engine::Park ready_park_;
  bool ready_ = false;
  std::deque<PollPtr> polls_;  // GET next that wait and were not woken, oldest first
  bool over_ = false;          // the program is gone, or nobody is interested any more
  bool broken_ = false;        // it broke off an answer
  std::shared_ptr<engine::Failure> init_failure_;
  // In the program's hands: of a concurrency of 1 until its next poll, else until it has answered.
  std::map<std::string, ExchangePtr> present_;
  std::deque<ExchangePtr> queued_;  // wait for a poll
};

}  // namespace mayfly::dialects::lambda
