#include "dialects/adapters/stdio_protocol.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <optional>
#include <unordered_map>

#include "base/log.h"
#include "dialects/adapters/failures.h"
#include "dialects/adapters/program.h"
#include "dialects/text.h"
#include "engine/park.h"
#include "wire/http_message.h"
#include "wire/utf8.h"

namespace mayfly::dialects::adapters {
namespace {

namespace asio = boost::asio;
using engine::Invocation;
using telemetry::Outcome;
using telemetry::Phase;
using Called = engine::InstanceProtocol::Called;

constexpr std::size_t kPartMax = 64 * 1024;
constexpr std::size_t kJsonCheckMax = 1024 * 1024;
// How long the beginning of the output is collected: most programs are over by then, and their exit
// status decides what the answer is.
constexpr std::chrono::milliseconds kGather{20};
constexpr std::size_t kHeaderEnvMax = 32 * 1024;

class StdioSession final : public std::enable_shared_from_this<StdioSession> {
 public:
  StdioSession(asio::any_io_executor executor, os::Fd to_stdin, os::Fd from_stdout,
               engine::LogSink log)
      : executor_(executor),
        in_(executor),
        out_(executor),
        gather_(executor),
        log_(std::move(log)) {
    adopt(in_, std::move(to_stdin));
    adopt(out_, std::move(from_stdout));
    out_over_ = !out_.is_open();
  }

  static io::Task<Called> call(std::shared_ptr<StdioSession> self, Invocation* invocation);
  static io::Task<Result<std::string>> read(std::shared_ptr<StdioSession> self);

  void abort() {
    aborted_ = true;
    close();
    park_.wake();
  }
  void ended(const sandbox::Exit& exit) {
    exit_ = exit;
    park_.wake();
  }
  void close() {
    pump_cancel_.emit(asio::cancellation_type::terminal);
    gather_.cancel();
    boost::system::error_code ignored;
    in_.close(ignored);
    out_.close(ignored);
  }
  bool failed() const { return aborted_ || (exit_ && (exit_->signalled || exit_->status != 0)); }

 private:
  static void adopt(asio::posix::stream_descriptor& into, os::Fd fd) {
    if (!fd.valid()) return;
    boost::system::error_code problem;
    into.assign(fd.get(), problem);
    if (problem) return;
    (void)fd.release();
    into.native_non_blocking(true, problem);
  }
  static io::Task<void> feed(std::shared_ptr<StdioSession> self, std::string body,
                             io::BodyReaderPtr more);
  // Waits until the output has a part, its beginning is collected, or all is over.
  static io::Task<void> fill(std::shared_ptr<StdioSession> self, bool gather);
  void take_output();
  void watch_output();
  bool over() const { return out_over_ && exit_.has_value(); }
  std::shared_ptr<engine::Failure> failure_of_exit(const std::string& request_id);

  const asio::any_io_executor executor_;
  asio::posix::stream_descriptor in_, out_;
  asio::steady_timer gather_;
  const engine::LogSink log_;
  asio::cancellation_signal pump_cancel_;
  engine::Park park_;
  std::string output_;  // read and not yet handed on
  bool out_over_ = false, watching_ = false, aborted_ = false, gathered_ = false;
  std::optional<sandbox::Exit> exit_;
};

struct StdioEnded {
  void operator()(const std::exception_ptr& problem) const {
    if (!problem) return;
    try {
      std::rethrow_exception(problem);
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::operation_aborted)
        log::error("writing to the standard input of a program failed: {}", error.what());
    } catch (const std::exception& error) {
      log::error("writing to the standard input of a program failed: {}", error.what());
    }
  }
};

class StdioBody final : public io::BodyReader {
 public:
  explicit StdioBody(std::shared_ptr<StdioSession> session) : session_(std::move(session)) {}
  io::Task<Result<std::string>> read() override { return StdioSession::read(session_); }

 private:
  std::shared_ptr<StdioSession> session_;
};

io::Task<void> StdioSession::feed(std::shared_ptr<StdioSession> self, std::string body,
                                  io::BodyReaderPtr more) {
  while (self->in_.is_open()) {
    if (!body.empty()) {
      boost::system::error_code problem;
      auto token = asio::redirect_error(asio::use_awaitable, problem);
      co_await asio::async_write(self->in_, asio::buffer(body), token);
      if (problem) break;  // a program need not read all of its input
    }
    if (!more) break;
    auto reading = more->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_error()) {
      // Half a request must not look like a whole one.
      if (!self->exit_) self->abort();
      co_return;
    }
    if (part->empty()) break;
    body = std::move(*part);
  }
  boost::system::error_code ignored;
  self->in_.close(ignored);
}

void StdioSession::take_output() {
  while (!out_over_ && output_.size() < kPartMax) {
    const std::size_t had = output_.size();
    output_.resize(kPartMax);
    const ssize_t got =
        out_.is_open() ? ::read(out_.native_handle(), output_.data() + had, kPartMax - had) : 0;
    const int problem = errno;
    output_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got < 0 && problem == EINTR) continue;
    if (got < 0 && problem == EAGAIN) return;
    if (got <= 0) out_over_ = true;
  }
}

void StdioSession::watch_output() {
  if (watching_ || out_over_ || !out_.is_open()) return;
  watching_ = true;
  out_.async_wait(asio::posix::stream_descriptor::wait_read,
                  [self = shared_from_this()](const boost::system::error_code&) {
                    self->watching_ = false;
                    self->park_.wake();
                  });
}

io::Task<void> StdioSession::fill(std::shared_ptr<StdioSession> self, bool gather) {
  bool armed = false;
  for (;;) {
    if (self->aborted_) co_return;
    self->take_output();
    if (self->over() || self->output_.size() >= kPartMax) co_return;
    if (!self->output_.empty() && (!gather || self->gathered_)) co_return;
    self->watch_output();
    if (!self->output_.empty() && !std::exchange(armed, true)) {
      self->gather_.expires_after(kGather);
      self->gather_.async_wait([weak = self->weak_from_this()](auto problem) {
        const auto waiting = weak.lock();
        if (problem || !waiting) return;
        waiting->gathered_ = true;
        waiting->park_.wake();
      });
    }
    const bool go_on = co_await self->park_.wait();
    if (!go_on) self->abort();
  }
}

std::shared_ptr<engine::Failure> StdioSession::failure_of_exit(const std::string& request_id) {
  // What it had to say went out before its end, and nobody has seen it.
  if (!output_.empty() && log_) log_(request_id, telemetry::LogLine::Stream::out, output_);
  const bool by_itself =
      !exit_->signalled && exit_->reason.find("out of memory") == std::string::npos;
  if (!by_itself) return engine::crash_failure(Phase::run);
  auto failure =
      engine::crash_failure(Phase::run, fmt::format("exited with status {}", exit_->status));
  failure->outcome = Outcome::function_error;
  return failure;
}

io::Task<Called> StdioSession::call(std::shared_ptr<StdioSession> self, Invocation* invocation) {
  Called called;
  const bool http = invocation->kind == engine::PayloadKind::http;
  const std::string id = invocation->request_id;
  asio::co_spawn(self->executor_,
                 feed(self, std::move(invocation->body), std::move(invocation->more)),
                 asio::bind_cancellation_slot(self->pump_cancel_.slot(), StdioEnded{}));
  auto filling = fill(self, true);
  co_await std::move(filling);
  const bool complete = self->over();
  if (complete || self->aborted_) self->close();
  if (self->aborted_) {
    called.failure = cancelled();
    co_return called;
  }
  if (complete && self->failed()) {
    called.failure = self->failure_of_exit(id);
    co_return called;
  }
  called.reply.kind = invocation->kind;
  if (http) {
    wire::ResponseHead head;
    head.headers.add("Content-Type", content_type_of(self->output_, complete));
    called.reply.head = wire::encode_response_head(head);
  }
  called.reply.body = std::move(self->output_);
  self->output_.clear();
  if (!complete) called.reply.more = std::make_unique<StdioBody>(self);
  co_return called;
}

io::Task<Result<std::string>> StdioSession::read(std::shared_ptr<StdioSession> self) {
  auto filling = fill(self, false);
  co_await std::move(filling);
  if (self->aborted_) co_return Error{Code::cancelled, "the call was cancelled", "read output", 0};
  if (!self->output_.empty()) {
    std::string part = std::move(self->output_);
    self->output_.clear();
    co_return part;
  }
  self->close();
  if (self->failed())
    co_return Error{Code::function_error, "the program " + self->exit_->reason, "read output", 0};
  co_return std::string();
}

class StdioProtocol final : public engine::InstanceProtocol {
 public:
  explicit StdioProtocol(std::shared_ptr<StdioSession> session) : session_(std::move(session)) {}
  ~StdioProtocol() override { session_->close(); }

  io::Task<Started> start() override {
    Started started;
    started.ready.model = functions::Model::stdio;
    started.ready.concurrency = 1;
    co_return started;
  }
  io::Task<Called> call(Invocation& invocation, WallTime) override {
    return StdioSession::call(session_, &invocation);
  }
  Abort abort(const std::string&) override {
    session_->abort();
    return Abort::unknown;
  }
  void ended(const sandbox::Exit& exit) override { session_->ended(exit); }
  bool healthy() const override { return !session_->failed(); }
  bool single_use() const override { return true; }

 private:
  std::shared_ptr<StdioSession> session_;
};

class StdioFactory final : public engine::ProtocolFactory {
 public:
  bool serves(const functions::Version& version) const override {
    return version.model == functions::Model::stdio ||
           (version.model == functions::Model::unknown && version.settings.runtime == "exec");
  }
  bool wants_runtime(const functions::Version&) const override { return false; }
  bool per_call(const functions::Version&) const override { return true; }
  Status prepare(const functions::Version& version, const functions::Runtime&,
                 sandbox::LaunchSpec& spec) const override {
    spec.argv = program_argv(version);
    spec.stdin_pipe = true;
    return ok();
  }
  Status prepare_call(const functions::Version&, const Invocation& invocation,
                      sandbox::LaunchSpec& spec) const override {
    return set_request_env(invocation, spec.env);
  }
  std::unique_ptr<engine::InstanceProtocol> attach(const functions::Version&,
                                                   sandbox::Sandbox& sandbox,
                                                   asio::any_io_executor executor,
                                                   engine::LogSink log) const override {
    return make_stdio_protocol(std::move(executor), std::move(sandbox.stdin_fd),
                               std::move(sandbox.stdout_fd), std::move(log));
  }
};

// Content-Type becomes Content_Type; empty for what cannot be a part of a variable's name, and for
// Proxy, which programs would take for their own setting.
std::string variable_of(std::string_view name) {
  if (wire::equal_ignoring_case(name, "proxy")) return {};
  std::string variable;
  bool first = true;
  for (const char c : name) {
    const bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    if (!lower && !upper && !(c >= '0' && c <= '9') && c != '-') return {};
    if (lower && first)
      variable += static_cast<char>(c - 'a' + 'A');
    else if (upper && !first)
      variable += static_cast<char>(c - 'A' + 'a');
    else
      variable += c == '-' ? '_' : c;
    first = c == '-';
  }
  return variable;
}

// Without a last character that is only half there.
std::string_view whole_characters(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const std::size_t wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return wanted > back ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

}  // namespace

std::unique_ptr<engine::ProtocolFactory> make_stdio_factory() {
  return std::make_unique<StdioFactory>();
}

std::unique_ptr<engine::InstanceProtocol> make_stdio_protocol(asio::any_io_executor executor,
                                                              os::Fd to_stdin, os::Fd from_stdout,
                                                              engine::LogSink log) {
  return std::make_unique<StdioProtocol>(std::make_shared<StdioSession>(
      std::move(executor), std::move(to_stdin), std::move(from_stdout), std::move(log)));
}

Status set_request_env(const Invocation& invocation, std::vector<std::string>& env) {
  engine::set_env(env, "MAYFLY_REQUEST_ID", invocation.request_id);
  if (!invocation.trace_id.empty()) engine::set_env(env, "_X_AMZN_TRACE_ID", invocation.trace_id);
  if (invocation.kind != engine::PayloadKind::http) return ok();
  auto request = wire::decode_request_head(invocation.head);
  if (request.has_error()) return std::move(request).error();
  engine::set_env(env, "Http_Method", request->head.method);
  engine::set_env(env, "Http_Path", request->head.path());
  engine::set_env(env, "Http_Query", request->head.query());
  std::unordered_map<std::string, std::string> fields;
  for (const auto [name, value] : request->head.headers) {
    const auto variable = variable_of(name);
    if (variable.empty() || value.find('\0') != std::string_view::npos) continue;
    auto& joined = fields[variable];
    if (!joined.empty()) joined += ", ";
    joined += value;
  }
  std::size_t bytes = 0;
  for (const auto& [variable, value] : fields) {
    if (bytes + variable.size() + value.size() > kHeaderEnvMax) continue;
    bytes += variable.size() + value.size();
    engine::set_env(env, "Http_" + variable, value);
  }
  return ok();
}

std::string content_type_of(std::string_view output, bool whole) {
  const auto first = output.find_first_not_of(" \t\r\n");
  const bool maybe_json =
      first != std::string_view::npos && (output[first] == '{' || output[first] == '[');
  if (maybe_json && whole && output.size() <= kJsonCheckMax) {
    boost::system::error_code problem;
    (void)boost::json::parse(boost::json::string_view(output.data(), output.size()), problem);
    if (!problem) return "application/json";
  }
  const bool text = wire::is_utf8(whole ? output : whole_characters(output)) &&
                    output.find('\0') == std::string_view::npos;
  return text ? "text/plain; charset=utf-8" : "application/octet-stream";
}

}  // namespace mayfly::dialects::adapters
