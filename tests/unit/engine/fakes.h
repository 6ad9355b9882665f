#pragma once
// A machine without a kernel: sandboxes whose program is test code on the same loop, speaking
// frames over a socket pair; telemetry and metrics that remember.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "engine/dispatcher.h"
#include "engine/frame_protocol.h"
#include "engine/park.h"
#include "telemetry/fake_metrics.h"
#include "wire/frames.h"

namespace mayfly::engine::testing {

using boost::asio::io_context;
using telemetry::testing::FakeMetrics;
using wire::FrameType;

inline std::pair<os::Fd, os::Fd> socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {os::Fd(fds[0]), os::Fd(fds[1])};
}

// The instance's end of a channel, driven by test code.
class Program : public std::enable_shared_from_this<Program> {
 public:
  struct Invoke {
    std::uint32_t stream;
    std::uint8_t flags;
    std::string meta, head, body;
  };
  std::function<void(Program&, const Invoke&)> on_invoke;
  std::function<void(Program&, std::uint32_t, std::string_view, bool end)> on_data;
  std::function<void(Program&, std::uint32_t)> on_cancel;
  std::function<void(Program&, std::uint32_t, std::uint32_t)> on_window;
  std::function<void(Program&)> on_shutdown;
  std::function<void(Program&, std::uint32_t, std::string_view json)> on_answer;
  std::function<void()> on_hang_up;

  Program(io_context& loop, os::Fd fd) : loop_(loop), socket_(loop) {
    socket_.assign(boost::asio::local::stream_protocol(), fd.release());
  }
  void open() { read(); }
  void send(std::uint32_t stream, FrameType type, std::uint8_t flags, std::string_view payload) {
    std::string bytes;
    wire::append_frame(bytes, stream, type, flags, payload);
    send_raw(bytes);
  }
  void send_raw(std::string_view bytes) {
    if (!socket_.is_open()) return;
    out_.append(bytes);
    boost::system::error_code ec;
    socket_.native_non_blocking(false, ec);
    boost::asio::write(socket_, boost::asio::buffer(out_), ec);
    out_.clear();
  }
  void ready(const std::string& json = R"({"model":"event","handler":"h","runtime":"Fake 1"})") {
    send(0, FrameType::ready, 0, json);
  }
  void reply(std::uint32_t stream, std::string_view body, std::uint8_t flags = wire::kEnd,
             std::string_view head = {}) {
    std::string payload(4, '\0');
    for (int i = 0; i < 4; ++i) payload[i] = static_cast<char>(head.size() >> (8 * i));
    payload.append(head).append(body);
    send(stream, FrameType::reply, flags, payload);
  }
  void ask(std::uint32_t stream, std::string_view json, char question = 1) {
    send(stream, FrameType::ask, 0, std::string{question, 0, 0, 0} + std::string(json));
  }
  void close() {
    boost::system::error_code ec;
    socket_.close(ec);
  }
  // Bytes that the engine has sent and this end has not read yet.
  std::size_t unread() {
    boost::system::error_code ec;
    return socket_.available(ec);
  }
  io_context& loop() { return loop_; }
  // Runs action later, unless the program is gone.
  void after(milliseconds delay, std::function<void(Program&)> action) {
    auto timer = std::make_shared<boost::asio::steady_timer>(loop_, delay);
    timer->async_wait([weak = weak_from_this(), timer, action = std::move(action)](auto ec) {
      const auto self = weak.lock();
      if (!ec && self && self->socket_.is_open()) action(*self);
    });
  }

 private:
  void read() {
    socket_.async_wait(boost::asio::socket_base::wait_read,
                       [self = shared_from_this()](boost::system::error_code ec) {
                         if (!ec) self->on_readable();
                       });
  }
  void on_readable() {
    char buffer[65536];
    const ssize_t got = ::recv(socket_.native_handle(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got == 0) {
      close();
      if (on_hang_up) on_hang_up();
      return;
    }
    if (got > 0) in_.append(buffer, static_cast<std::size_t>(got));
    const auto self = shared_from_this();
    for (;;) {
      wire::Frame frame;
      std::size_t used = 0;
      const auto status = wire::decode_frame(in_, frame, used);
      ASSERT_NE(status, wire::DecodeStatus::error);
      if (status != wire::DecodeStatus::frame) break;
      handle(frame);
      in_.erase(0, used);
      if (!socket_.is_open()) return;
    }
    read();
  }
  void handle(const wire::Frame& frame) {
    if (frame.type == FrameType::answer && on_answer)
      return on_answer(*this, frame.stream, frame.payload.substr(4));
    if (frame.type == FrameType::invoke && on_invoke) {
      std::string_view meta, head, body;
      ASSERT_TRUE(wire::split_invoke(frame.payload, meta, head, body));
      on_invoke(*this, {frame.stream, frame.flags, std::string(meta), std::string(head),
                        std::string(body)});
    } else if (frame.type == FrameType::data && on_data) {
      on_data(*this, frame.stream, frame.payload, (frame.flags & wire::kEnd) != 0);
    } else if (frame.type == FrameType::cancel && on_cancel) {
      on_cancel(*this, frame.stream);
    } else if (frame.type == FrameType::window && on_window) {
      std::uint32_t bytes = 0;
      ASSERT_TRUE(wire::read_u32(frame.payload, bytes));
      on_window(*this, frame.stream, bytes);
    } else if (frame.type == FrameType::shutdown && on_shutdown) {
      on_shutdown(*this);
    }
  }

  io_context& loop_;
  boost::asio::local::stream_protocol::socket socket_;
  std::string in_, out_;
};

class FakeSandboxes;

class FakeSandbox final : public sandbox::Sandbox {
 public:
  FakeSandbox(FakeSandboxes& owner, sandbox::LaunchSpec spec);
  ~FakeSandbox() override;
  const std::string& id() const override { return spec_.id; }
  sandbox::Usage usage() const override { return usage_now; }
  io::Connector connector(std::uint16_t) override { return {}; }
  io::Task<Result<std::unique_ptr<sandbox::Sandbox>>> clone(sandbox::CloneSpec spec) override;
  void keep_shells(unsigned count) override {
    shells = count;
    shells_most = std::max(shells_most, count);
  }
  void set_cpu_share(std::uint32_t cpu_millis, bool) override { cpu_share = cpu_millis; }
  void terminate() override {
    if (on_terminate)
      on_terminate();
    else
      exit(false, 0, "exited with status 0");
  }
  void kill() override { exit(true, 9, "killed by SIGKILL"); }
  io::Task<sandbox::Exit> wait() override {
    while (!exit_) (void)co_await gone_.wait();
    co_return *exit_;
  }
  // The program ends.
  void exit(bool signalled, int status, std::string reason) {
    if (exit_) return;
    exit_ = sandbox::Exit{signalled, status, usage_now, std::move(reason)};
    if (program) program->close();
    stdout_write.reset();
    stderr_write.reset();
    gone_.wake();
  }
  const sandbox::LaunchSpec& spec() const { return spec_; }

  std::shared_ptr<Program> program;
  os::Fd stdout_write, stderr_write;
  std::function<void()> on_terminate;
  sandbox::Usage usage_now;
  unsigned shells = 0, shells_most = 0;
  std::uint32_t cpu_share = 0;  // as last set; 0: never
  std::string cloned_from;      // id of its template
  std::vector<std::string> clone_env;

 private:
  FakeSandboxes& owner_;
  sandbox::LaunchSpec spec_;
  std::optional<sandbox::Exit> exit_;
  Park gone_;
};

class FakeSandboxes final : public sandbox::Sandboxes {
 public:
  explicit FakeSandboxes(io_context& loop) : loop_(loop) {}
  io::Task<Result<std::unique_ptr<sandbox::Sandbox>>> launch(sandbox::LaunchSpec spec) override {
    ++launches;
    ++launching;
    launching_most = std::max(launching_most, launching);
    if (launch_takes.count() > 0) {
      boost::asio::steady_timer timer(loop_, launch_takes);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    --launching;
    if (launch_error) co_return *launch_error;
    if (spec.cloneable && template_error) co_return *template_error;
    auto made = std::make_unique<FakeSandbox>(*this, std::move(spec));
    if (on_launch) on_launch(*made);
    made->program->open();
    std::unique_ptr<sandbox::Sandbox> result = std::move(made);
    co_return result;
  }
  // Holds nothing of the template: it may be gone when this goes on.
  io::Task<Result<std::unique_ptr<sandbox::Sandbox>>> make_clone(sandbox::LaunchSpec of,
                                                                 sandbox::CloneSpec spec) {
    ++clones;
    const std::string from = of.id;
    of.id = spec.id;
    of.limits = spec.limits;
    of.cloneable = false;
    if (clone_takes.count() > 0) {
      boost::asio::steady_timer timer(loop_, clone_takes);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    if (clone_error) co_return *clone_error;
    auto made = std::make_unique<FakeSandbox>(*this, std::move(of));
    made->cloned_from = from;
    made->clone_env = spec.env;
    if (on_clone) on_clone(*made);
    made->program->open();
    std::unique_ptr<sandbox::Sandbox> result = std::move(made);
    co_return result;
  }
  const sandbox::Abilities& abilities() const override { return abilities_; }
  std::size_t running() const override { return live.size(); }
  io_context& loop() { return loop_; }
  // The sandbox of the template that stands; null when there is none.
  FakeSandbox* template_sandbox() {
    for (auto* sandbox : live)
      if (sandbox->spec().cloneable) return sandbox;
    return nullptr;
  }

  std::function<void(FakeSandbox&)> on_launch, on_clone;
  std::optional<Error> clone_error, template_error;
  milliseconds clone_takes{0};
  int clones = 0;
  std::optional<Error> launch_error;
  milliseconds launch_takes{0};
  int launches = 0, launching = 0, launching_most = 0;
  std::vector<FakeSandbox*> live;

 private:
  io_context& loop_;
  sandbox::Abilities abilities_;
};

inline FakeSandbox::FakeSandbox(FakeSandboxes& owner, sandbox::LaunchSpec spec)
    : owner_(owner), spec_(std::move(spec)) {
  auto [mine, theirs] = socket_pair();
  channel = std::move(mine);
  program = std::make_shared<Program>(owner.loop(), std::move(theirs));
  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  stdout_fd = os::Fd(pipes[0]);
  stdout_write = os::Fd(pipes[1]);
  if (::pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  stderr_fd = os::Fd(pipes[0]);
  stderr_write = os::Fd(pipes[1]);
  if (spec_.services) services = os::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  owner_.live.push_back(this);
}
inline io::Task<Result<std::unique_ptr<sandbox::Sandbox>>> FakeSandbox::clone(
    sandbox::CloneSpec spec) {
  return owner_.make_clone(spec_, std::move(spec));
}
inline FakeSandbox::~FakeSandbox() {
  program->close();
  std::erase(owner_.live, this);
}

class FakeTelemetry final : public telemetry::Telemetry {
 public:
  void add(telemetry::Record record) override { all.push_back(std::move(record)); }
  void add(telemetry::LogLine line) override { lines.push_back(std::move(line)); }
  void flush() override {}
  Result<std::vector<telemetry::Record>> records(const telemetry::RecordQuery&) override {
    return all;
  }
  Result<std::vector<telemetry::LogLine>> logs(const telemetry::LogQuery&) override {
    return lines;
  }
  Result<std::vector<telemetry::FunctionTotals>> totals(const std::string&) override {
    return std::vector<telemetry::FunctionTotals>{};
  }
  Result<std::vector<telemetry::BillLine>> bill(const std::string&, const std::string&,
                                                const std::string&) override {
    return std::vector<telemetry::BillLine>{};
  }
  const telemetry::PriceTable& prices() const override { return prices_; }
  std::shared_ptr<void> follow(std::string, LogListener) override { return nullptr; }
  Status forget(const std::string&) override { return ok(); }

  std::vector<telemetry::Record> all;
  std::vector<telemetry::LogLine> lines;

 private:
  telemetry::PriceTable prices_;
};

// Frames over the fake sandbox's channel; needs nothing of the machine.
class FakeFactory final : public ProtocolFactory {
 public:
  bool serves(const functions::Version&) const override { return true; }
  bool wants_runtime(const functions::Version&) const override { return false; }
  Status prepare(const functions::Version&, const functions::Runtime&,
                 sandbox::LaunchSpec& spec) const override {
    spec.argv = {"/fake"};
    spec.channel = true;
    return ok();
  }
  std::unique_ptr<InstanceProtocol> attach(const functions::Version&, sandbox::Sandbox& sandbox,
                                           boost::asio::any_io_executor executor,
                                           LogSink log) const override {
    return make_frame_protocol(std::move(executor), std::move(sandbox.channel), std::move(log),
                               "arn:test", 64u << 20);
  }
  bool clones(const functions::Version&, const functions::Runtime&) const override {
    return cloneable;
  }
  std::unique_ptr<InstanceProtocol> attach_clone(const functions::Version&,
                                                 sandbox::Sandbox& sandbox,
                                                 boost::asio::any_io_executor executor,
                                                 LogSink log) const override {
    return make_frame_protocol(std::move(executor), std::move(sandbox.channel), std::move(log),
                               "arn:test", 64u << 20, true);
  }
  bool cloneable = false;
};

// A body that test code pushes into.
class PushBody final : public io::BodyReader {
 public:
  struct Source {
    std::deque<std::string> parts;  // an empty part is the end
    std::optional<Error> error;
    Park park;
    bool dropped = false;
    void push(std::string part) {
      parts.push_back(std::move(part));
      park.wake();
    }
  };
  explicit PushBody(std::shared_ptr<Source> source) : source_(std::move(source)) {}
  ~PushBody() override { source_->dropped = true; }
  io::Task<Result<std::string>> read() override {
    const auto source = source_;
    while (source->parts.empty() && !source->error) {
      const bool go_on = co_await source->park.wait();
      if (!go_on) co_return Error{Code::cancelled, "cancelled", "", 0};
    }
    if (source->parts.empty()) co_return *source->error;
    std::string part = std::move(source->parts.front());
    source->parts.pop_front();
    co_return part;
  }

 private:
  std::shared_ptr<Source> source_;
};

// Runs the loop until done() or the time is over.
template <class Done>
bool run_until(io_context& loop, Done done, milliseconds at_most = milliseconds(5'000)) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  while (!done() && std::chrono::steady_clock::now() < until) {
    loop.restart();
    loop.run_one_for(milliseconds(20));
  }
  return done();
}

template <class T>
struct Spawned {
  std::shared_ptr<std::optional<T>> slot = std::make_shared<std::optional<T>>();
  bool done() const { return slot->has_value(); }
  T& operator*() { return **slot; }
  T* operator->() { return &**slot; }
};

template <class T>
Spawned<T> spawn(io_context& loop, io::Task<T> task) {
  Spawned<T> spawned;
  boost::asio::co_spawn(loop, std::move(task),
                        [slot = spawned.slot](std::exception_ptr problem, T value) {
                          if (problem) std::rethrow_exception(problem);
                          slot->emplace(std::move(value));
                        });
  return spawned;
}

template <class T>
T run_task(io_context& loop, io::Task<T> task) {
  auto spawned = spawn(loop, std::move(task));
  EXPECT_TRUE(run_until(loop, [&] { return spawned.done(); }));
  if (!spawned.done()) throw std::runtime_error("the task did not end");
  return std::move(*spawned);
}

}  // namespace mayfly::engine::testing
