#include "engine/frame_protocol.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "engine/fakes.h"
#include "engine/frame_connection.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using telemetry::Outcome;

struct FrameProtocolTest : ::testing::Test {
  FrameProtocolTest() {
    auto [mine, theirs] = socket_pair();
    program = std::make_shared<Program>(loop, std::move(theirs));
    program->open();
    protocol = make_frame_protocol(
        loop.get_executor(), std::move(mine),
        [this](const std::string& id, telemetry::LogLine::Stream stream, std::string_view text) {
          logged += id + "|" + std::to_string(int(stream)) + "|" + std::string(text) + ";";
        },
        "arn:x", 4u << 20);
    InstanceEvents events;
    events.closed = [this](const std::string& why) { closed = why; };
    events.released = [this] { ++released; };
    protocol->listen(std::move(events));
  }
  ~FrameProtocolTest() override {
    protocol.reset();
    program->close();
    loop.restart();
    loop.poll();
  }
  Invocation& invocation(std::string id, std::string body = "{}") {
    held.push_back(std::make_unique<Invocation>());
    held.back()->request_id = std::move(id);
    held.back()->body = std::move(body);
    return *held.back();
  }
  Spawned<InstanceProtocol::Called> call(Invocation& invocation) {
    return spawn(loop, protocol->call(invocation, from_epoch_us(1'700'000'000'000'000)));
  }
  bool run(const Spawned<InstanceProtocol::Called>& called) {
    return run_until(loop, [&] { return called.done(); });
  }
  Result<std::string> read(Reply& reply) { return run_task(loop, reply.more->read()); }

  io_context loop;
  std::shared_ptr<Program> program;
  std::unique_ptr<InstanceProtocol> protocol;
  std::vector<std::unique_ptr<Invocation>> held;
  std::string logged;
  std::optional<std::string> closed;
  int released = 0;
};

TEST_F(FrameProtocolTest, ReadyIsParsed) {
  program->ready(R"({"model":"http","handler":"app.app","runtime":"Python 3.11.2",)"
                 R"("concurrency":8,"notes":["WSGI"]})");
  const auto started = run_task(loop, protocol->start());
  ASSERT_EQ(started.failure, nullptr);
  EXPECT_EQ(started.ready.model, functions::Model::http);
  EXPECT_EQ(started.ready.handler, "app.app");
  EXPECT_EQ(started.ready.concurrency, 8u);
  ASSERT_EQ(started.ready.notes.size(), 1u);
}

TEST_F(FrameProtocolTest, InitErrorCarriesTheUsersTrace) {
  program->send(0, FrameType::init_error, 0,
                R"({"errorType":"ImportError","errorMessage":"no x","stackTrace":["a","b"]})");
  const auto started = run_task(loop, protocol->start());
  ASSERT_NE(started.failure, nullptr);
  EXPECT_EQ(started.failure->outcome, Outcome::init_failed);
  EXPECT_EQ(started.failure->party, telemetry::Party::function);
  EXPECT_EQ(started.failure->message, "ImportError: no x");
  EXPECT_NE(started.failure->error_json.find("stackTrace"), std::string::npos);
}

TEST_F(FrameProtocolTest, QuestionsThatWaitForAnswersHaveALimit) {
  std::vector<InstanceEvents::Answering> waiting;
  InstanceEvents events;
  events.closed = [this](const std::string& why) { closed = why; };
  events.ask = [&](std::string, InstanceEvents::Answering answer) {
    waiting.push_back(std::move(answer));
  };
  protocol->listen(std::move(events));
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    std::string asks;  // in one write: nobody reads meanwhile
    for (int i = 0; i < 1'024; ++i)
      wire::append_frame(asks, invoke.stream, FrameType::ask, 0, std::string("\1\0\0\0{}", 6));
    p.send_raw(asks);
  };
  int answered = 0;
  program->on_answer = [&](Program& p, std::uint32_t stream, std::string_view) {
    ++answered;
    p.ask(stream, "{}");
    p.ask(stream, "{}");
  };
  auto called = call(invocation("a"));
  ASSERT_TRUE(run_until(loop, [&] { return waiting.size() == 1'024; }));
  EXPECT_FALSE(closed);
  waiting.front()(std::string("{}"));  // makes room for one, not for two
  ASSERT_TRUE(run_until(loop, [&] { return closed.has_value(); }));
  EXPECT_EQ(answered, 1);
  EXPECT_NE(closed->find("asks more"), std::string::npos);
  EXPECT_TRUE(run(called));
  for (auto& answer : waiting) answer(std::string("{}"));  // too late: no harm
}

TEST_F(FrameProtocolTest, ReadySaysWhetherItCanBeCloned) {
  EXPECT_EQ(parse_ready(R"({"model":"event"})")->cloneable, std::nullopt);
  EXPECT_EQ(parse_ready(R"({"model":"event","cloneable":"yes"})")->cloneable, std::nullopt);
  EXPECT_EQ(parse_ready(R"({"model":"event","cloneable":true})")->cloneable, true);
  const auto no = parse_ready(R"({"model":"event","cloneable":false,"why":"threads"})");
  EXPECT_EQ(no->cloneable, false);
  EXPECT_EQ(no->why, "threads");
  const auto chatty =
      parse_ready(R"({"model":"event","cloneable":false,"why":")" + std::string(9999, 'x') + "\"}");
  EXPECT_LE(chatty->why.size(), 500u);
}

struct CloneProtocolTest : FrameProtocolTest {
  CloneProtocolTest() {
    auto [mine, theirs] = socket_pair();
    program = std::make_shared<Program>(loop, std::move(theirs));
    program->open();
    protocol = make_frame_protocol(
        loop.get_executor(), std::move(mine),
        [](const std::string&, telemetry::LogLine::Stream, std::string_view) {}, "arn:x", 4u << 20,
        true);
    InstanceEvents events;
    events.closed = [this](const std::string& why) { closed = why; };
    protocol->listen(std::move(events));
  }
};

TEST_F(CloneProtocolTest, IsReadyAtOnce) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, invoke.body);
  };
  EXPECT_EQ(run_task(loop, protocol->start()).failure, nullptr);
  auto called = call(invocation("a", "7"));
  ASSERT_TRUE(run(called));
  EXPECT_EQ(called->reply.body, "7");
}

TEST_F(CloneProtocolTest, SayingThatItIsReadyIsABreach) {
  program->ready();
  EXPECT_TRUE(run_until(loop, [&] { return closed.has_value(); }));
  EXPECT_NE(closed->find("second ready"), std::string::npos);
}

TEST_F(CloneProtocolTest, HooksThatFailFailItsCalls) {
  program->on_invoke = [](Program& p, const Program::Invoke&) {
    p.send(0, FrameType::init_error, 0, R"({"errorType":"E","errorMessage":"no"})");
  };
  auto called = call(invocation("a"));
  ASSERT_TRUE(run(called));
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::init_failed);
  EXPECT_EQ(called->failure->message, "E: no");
  EXPECT_TRUE(run_until(loop, [&] { return closed.has_value(); }));
  EXPECT_EQ(*closed, "");
  auto next = call(invocation("b"));
  ASSERT_TRUE(run(next));
  EXPECT_EQ(next->failure->outcome, Outcome::init_failed);
}

TEST_F(FrameProtocolTest, ReadyThatIsNoneBreaksTheConnection) {
  program->ready("[]");
  const auto started = run_task(loop, protocol->start());
  ASSERT_NE(started.failure, nullptr);
  EXPECT_NE(started.failure->message.find("ready frame"), std::string::npos);
  EXPECT_TRUE(run_until(loop, [&] { return closed.has_value(); }));
}

TEST_F(FrameProtocolTest, HangUpBeforeReadyIsAFailedInit) {
  program->close();
  const auto started = run_task(loop, protocol->start());
  ASSERT_NE(started.failure, nullptr);
  EXPECT_EQ(started.failure->outcome, Outcome::init_failed);
  EXPECT_TRUE(run_until(loop, [&] { return closed.has_value(); }));
  EXPECT_EQ(*closed, "");
}

TEST_F(FrameProtocolTest, EventRoundTripWithMeta) {
  std::string meta;
  program->on_invoke = [&](Program& p, const Program::Invoke& invoke) {
    meta = invoke.meta;
    EXPECT_EQ(invoke.flags, wire::kEnd);
    p.reply(invoke.stream, "[" + invoke.body + "]");
  };
  auto& one = invocation("id-\"1", "7");
  one.trace_id = "t";
  one.client_context = "{\"a\":1}";
  auto called = call(one);
  ASSERT_TRUE(run(called));
  ASSERT_EQ(called->failure, nullptr);
  EXPECT_EQ(called->reply.body, "[7]");
  EXPECT_EQ(called->reply.kind, PayloadKind::event);
  EXPECT_EQ(called->reply.more, nullptr);
  EXPECT_EQ(meta, R"({"id":"id-\"1","deadline_ms":1700000000000,"trace":"t",)"
                  R"("client_context":"{\"a\":1}","arn":"arn:x"})");
}

TEST_F(FrameProtocolTest, ManyCallsAtOnceAnsweredInAnyOrderReuseStreams) {
  std::vector<Program::Invoke> seen;
  std::uint32_t highest = 0;
  program->on_invoke = [&](Program& p, const Program::Invoke& invoke) {
    highest = std::max(highest, invoke.stream);
    seen.push_back(invoke);
    if (seen.size() < 20) return;
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) p.reply(it->stream, it->body);
    seen.clear();
  };
  for (int round = 0; round < 5; ++round) {
    std::vector<Spawned<InstanceProtocol::Called>> calls;
    for (int i = 0; i < 20; ++i)
      calls.push_back(call(invocation("r", std::to_string(round * 100 + i))));
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(run(calls[i]));
      EXPECT_EQ(calls[i]->reply.body, std::to_string(round * 100 + i));
    }
  }
  EXPECT_EQ(highest, 20u);
}

TEST_F(FrameProtocolTest, ErrorFrameIsAFunctionError) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.send(invoke.stream, FrameType::error, 0,
           R"({"errorType":"ValueError","errorMessage":"two\nlines","stackTrace":[]})");
  };
  auto called = call(invocation("a"));
  ASSERT_TRUE(run(called));
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::function_error);
  EXPECT_EQ(called->failure->message, "ValueError: two lines");
}

TEST_F(FrameProtocolTest, LogsAreAttributed) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.send(invoke.stream, FrameType::log, 0,
           "\x01"
           "out\n");
    p.send(invoke.stream, FrameType::log, 0,
           "\x02"
           "err\n");
    p.send(0, FrameType::log, 0,
           "\x01"
           "alone\n");
    p.reply(invoke.stream, "1");
  };
  auto called = call(invocation("abc"));
  ASSERT_TRUE(run(called));
  EXPECT_EQ(logged, "abc|1|out\n;abc|2|err\n;|1|alone\n;");
}

TEST_F(FrameProtocolTest, StreamedReplyArrivesBitByBit) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, R"({"status":200})");
  };
  auto called = call(invocation("s"));
  ASSERT_TRUE(run(called));
  EXPECT_EQ(called->reply.kind, PayloadKind::http);
  EXPECT_EQ(called->reply.head, R"({"status":200})");
  EXPECT_EQ(called->reply.body, "a");
  ASSERT_NE(called->reply.more, nullptr);
  program->send(1, FrameType::data, 0, "bc");
  EXPECT_EQ(read(called->reply).value(), "bc");
  program->send(1, FrameType::data, wire::kEnd, "d");
  EXPECT_EQ(read(called->reply).value(), "d");
  EXPECT_EQ(read(called->reply).value(), "");
}

TEST_F(FrameProtocolTest, ErrorAfterReplyCutsTheAnswerOff) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, "{}");
    p.send(invoke.stream, FrameType::error, 0, R"({"errorType":"E","errorMessage":"m"})");
  };
  auto called = call(invocation("s"));
  ASSERT_TRUE(run(called));
  if (called->failure == nullptr) {
    const auto part = read(called->reply);
    ASSERT_TRUE(part.has_error());
    EXPECT_EQ(part.error().message, "E: m");
  } else {
    EXPECT_EQ(called->failure->message, "E: m");
  }
}

// A program that keeps to its window is held back until the reader takes bytes.
TEST_F(FrameProtocolTest, BackPressureOnTheAnswer) {
  std::uint32_t granted = 0;
  program->on_window = [&](Program&, std::uint32_t, std::uint32_t bytes) { granted += bytes; };
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "", wire::kHttp, "{}");
  };
  auto called = call(invocation("s"));
  ASSERT_TRUE(run(called));
  const std::string chunk(128 * 1024, 'x');
  for (int i = 0; i < 8; ++i) {
    program->send(1, FrameType::data, 0, chunk);
    run_until(
        loop, [] { return false; }, milliseconds(5));
  }
  EXPECT_EQ(granted, 0u);
  std::size_t got = 0;
  while (got < wire::kInitialWindow) got += read(called->reply).value().size();
  EXPECT_EQ(got, wire::kInitialWindow);
  auto next = spawn(loop, called->reply.more->read());
  EXPECT_TRUE(run_until(loop, [&] { return granted == wire::kInitialWindow; }));
  EXPECT_FALSE(next.done());
  program->send(1, FrameType::data, wire::kEnd, "!");
  EXPECT_TRUE(run_until(loop, [&] { return next.done(); }));
  EXPECT_EQ(next->value(), "!");
}

TEST_F(FrameProtocolTest, MoreThanTheWindowBreaksTheProtocol) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "", wire::kHttp, "{}");
  };
  auto called = call(invocation("s"));
  ASSERT_TRUE(run(called));
  const std::string chunk(wire::kInitialWindow + 1, 'x');
  std::thread writer([&] { program->send(1, FrameType::data, 0, chunk); });
  EXPECT_TRUE(run_until(loop, [&] { return closed.has_value(); }));
  writer.join();
  EXPECT_NE(closed->find("window"), std::string::npos);
}

TEST_F(FrameProtocolTest, LargeRequestGoesOutAsFarAsTheWindowAllows) {
  const std::string body = [] {
    std::string text(3 * wire::kInitialWindow + 17, ' ');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
    return text;
  }();
  std::string got;
  bool ended = false;
  program->on_invoke = [&](Program&, const Program::Invoke& invoke) {
    EXPECT_EQ(invoke.flags, 0);
    got = invoke.body;
  };
  program->on_data = [&](Program& p, std::uint32_t stream, std::string_view part, bool end) {
    got.append(part);
    if (!(ended = end)) return;
    p.reply(stream, "1");
  };
  auto called = call(invocation("big", body));
  EXPECT_TRUE(run_until(loop, [&] { return got.size() == wire::kInitialWindow; }));
  run_until(
      loop, [] { return false; }, milliseconds(10));
  EXPECT_EQ(got.size(), wire::kInitialWindow);
  for (int i = 0; i < 3; ++i) {
    std::string window;
    wire::append_window(window, 1, wire::kInitialWindow);
    program->send_raw(window);
  }
  ASSERT_TRUE(run(called));
  EXPECT_TRUE(ended);
  EXPECT_EQ(got, body);
}

TEST_F(FrameProtocolTest, StreamedRequestIsPumped) {
  auto source = std::make_shared<PushBody::Source>();
  auto& one = invocation("up", "first,");
  one.kind = PayloadKind::http;
  one.head = "{\"method\":\"POST\"}";
  one.more = std::make_unique<PushBody>(source);
  std::string got;
  program->on_invoke = [&](Program&, const Program::Invoke& invoke) {
    EXPECT_EQ(invoke.flags, wire::kHttp);
    EXPECT_EQ(invoke.head, "{\"method\":\"POST\"}");
    got = invoke.body;
  };
  program->on_data = [&](Program& p, std::uint32_t stream, std::string_view part, bool end) {
    got.append(part);
    if (end) p.reply(stream, got, wire::kEnd | wire::kHttp, "{\"status\":200}");
  };
  auto called = call(one);
  EXPECT_TRUE(run_until(loop, [&] { return got == "first,"; }));
  source->push("second,");
  EXPECT_TRUE(run_until(loop, [&] { return got == "first,second,"; }));
  source->push("third");
  source->push("");
  ASSERT_TRUE(run(called));
  EXPECT_EQ(called->reply.body, "first,second,third");
}

TEST_F(FrameProtocolTest, AnswerBeforeTheEndOfTheRequestStopsThePump) {
  auto source = std::make_shared<PushBody::Source>();
  auto& one = invocation("up");
  one.more = std::make_unique<PushBody>(source);
  program->on_invoke = [&](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "no");
  };
  auto called = call(one);
  ASSERT_TRUE(run(called));
  EXPECT_EQ(called->reply.body, "no");
  EXPECT_TRUE(run_until(loop, [&] { return source->dropped; }));
}

TEST_F(FrameProtocolTest, BrokenRequestBodyCancelsTheCall) {
  auto source = std::make_shared<PushBody::Source>();
  auto& one = invocation("up");
  one.more = std::make_unique<PushBody>(source);
  bool cancelled = false;
  program->on_cancel = [&](Program&, std::uint32_t) { cancelled = true; };
  auto called = call(one);
  run_until(
      loop, [] { return false; }, milliseconds(5));
  source->error = Error{Code::io_error, "the client went away", "", 0};
  source->park.wake();
  ASSERT_TRUE(run(called));
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::cancelled);
  EXPECT_EQ(called->failure->party, telemetry::Party::client);
  EXPECT_TRUE(run_until(loop, [&] { return cancelled; }));
}

TEST_F(FrameProtocolTest, AbortResumesTheCallerAndReportsTheRelease) {
  std::uint32_t stream = 0;
  bool cancelled = false;
  program->on_invoke = [&](Program&, const Program::Invoke& invoke) { stream = invoke.stream; };
  program->on_cancel = [&](Program&, std::uint32_t id) { cancelled = id == stream; };
  auto called = call(invocation("a"));
  EXPECT_TRUE(run_until(loop, [&] { return stream != 0; }));
  EXPECT_EQ(protocol->abort("other"), InstanceProtocol::Abort::released);
  EXPECT_EQ(protocol->abort("a"), InstanceProtocol::Abort::pending);
  ASSERT_TRUE(run(called));
  EXPECT_EQ(called->failure->outcome, Outcome::cancelled);
  EXPECT_TRUE(run_until(loop, [&] { return cancelled; }));
  EXPECT_EQ(released, 0);
  program->reply(stream, "too late");
  EXPECT_TRUE(run_until(loop, [&] { return released == 1; }));
  EXPECT_EQ(protocol->abort("a"), InstanceProtocol::Abort::released);
}

TEST_F(FrameProtocolTest, DroppedReaderCancelsAndFreesTheStream) {
  bool cancelled = false;
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, "{}");
  };
  program->on_cancel = [&](Program& p, std::uint32_t stream) {
    cancelled = true;
    p.send(stream, FrameType::data, wire::kEnd, "rest");
  };
  auto called = call(invocation("s"));
  ASSERT_TRUE(run(called));
  called->reply.more.reset();
  EXPECT_TRUE(run_until(loop, [&] { return cancelled; }));
  // The stream is free again: a new call gets the same id.
  std::uint32_t second = 0;
  program->on_invoke = [&](Program& p, const Program::Invoke& invoke) {
    second = invoke.stream;
    p.reply(invoke.stream, "2");
  };
  run_until(
      loop, [] { return false; }, milliseconds(5));
  auto again = call(invocation("t"));
  ASSERT_TRUE(run(again));
  EXPECT_EQ(second, 1u);
  EXPECT_FALSE(closed.has_value());
}

TEST_F(FrameProtocolTest, CancellingTheCallerCancelsTheCall) {
  bool cancelled = false;
  program->on_cancel = [&](Program&, std::uint32_t) { cancelled = true; };
  auto& one = invocation("c");
  boost::asio::cancellation_signal signal;
  bool over = false;
  boost::asio::co_spawn(
      loop, protocol->call(one, WallTime{}),
      boost::asio::bind_cancellation_slot(
          signal.slot(), [&](std::exception_ptr, InstanceProtocol::Called) { over = true; }));
  run_until(
      loop, [] { return false; }, milliseconds(5));
  signal.emit(boost::asio::cancellation_type::terminal);
  EXPECT_TRUE(run_until(loop, [&] { return over && cancelled; }));
}

TEST_F(FrameProtocolTest, EndOfTheProgramFailsWhatRuns) {
  program->on_invoke = [](Program& p, const Program::Invoke&) { p.close(); };
  auto called = call(invocation("a"));
  ASSERT_TRUE(run(called));
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::crash);
  EXPECT_TRUE(called->failure->message.empty());
  EXPECT_TRUE(called->delivered);
  EXPECT_FALSE(protocol->healthy());
  auto later = call(invocation("b"));
  ASSERT_TRUE(run(later));
  EXPECT_FALSE(later->delivered);
}

TEST_F(FrameProtocolTest, CallOnADeadProgramIsNotDelivered) {
  program->close();
  auto called = call(invocation("a"));
  ASSERT_TRUE(run(called));
  EXPECT_EQ(called->failure->outcome, Outcome::crash);
  EXPECT_FALSE(called->delivered);
}

TEST_F(FrameProtocolTest, EveryBreachIsNamed) {
  struct Breach {
    const char* part;
    std::function<void(Program&, std::uint32_t)> commit;
  };
  const Breach breaches[] = {
      {"no frame", [](Program& p, std::uint32_t) { p.send_raw("GET / HTTP/1.1\r\n\r\n"); }},
      {"not open", [](Program& p, std::uint32_t) { p.reply(77, "x"); }},
      {"not open", [](Program& p, std::uint32_t) { p.reply(0, "x"); }},
      {"before its reply", [](Program& p, std::uint32_t s) { p.send(s, FrameType::data, 0, "x"); }},
      {"lengths", [](Program& p, std::uint32_t s) { p.send(s, FrameType::reply, 1, "\x09"); }},
      {"only the engine", [](Program& p, std::uint32_t s) { p.send(s, FrameType::cancel, 0, ""); }},
      {"log frame", [](Program& p, std::uint32_t s) { p.send(s, FrameType::log, 0, "\x07x"); }},
      {"log frame", [](Program& p, std::uint32_t s) { p.send(s, FrameType::log, 0, ""); }},
      {"window frame", [](Program& p, std::uint32_t s) { p.send(s, FrameType::window, 0, "x"); }},
      {"beyond the limit",
       [](Program& p, std::uint32_t s) {
         p.send(s, FrameType::window, 0, std::string_view("\xff\xff\xff\xff", 4));
       }},
      {"twice",
       [](Program& p, std::uint32_t s) {
         std::string two;
         wire::append_frame(two, s, FrameType::reply, 0, std::string_view("\0\0\0\0", 4));
         two += two;
         p.send_raw(two);
       }},
  };
  for (const auto& breach : breaches) {
    auto [mine, theirs] = socket_pair();
    auto bad = std::make_shared<Program>(loop, std::move(theirs));
    bad->open();
    auto spoken = make_frame_protocol(
        loop.get_executor(), std::move(mine), [](const auto&, auto, auto) {}, "arn", 1 << 20);
    std::optional<std::string> why;
    InstanceEvents events;
    events.closed = [&](const std::string& text) { why = text; };
    spoken->listen(std::move(events));
    bad->on_invoke = [&](Program& p, const Program::Invoke& invoke) {
      breach.commit(p, invoke.stream);
    };
    auto called = spawn(loop, spoken->call(invocation("a"), WallTime{}));
    EXPECT_TRUE(run_until(loop, [&] { return why.has_value() && called.done(); }));
    EXPECT_NE(why.value_or("").find(breach.part), std::string::npos) << why.value_or("");
    spoken.reset();
    bad->close();
  }
}

TEST_F(FrameProtocolTest, TooLargeResultNamesTheSetting) {
  program->on_invoke = [](Program& p, const Program::Invoke& invoke) {
    std::string bytes;
    std::string payload(4, '\0');
    payload.append(5u << 20, 'x');
    wire::append_frame(bytes, invoke.stream, FrameType::reply, wire::kEnd, payload);
    std::thread([&p, bytes] { p.send_raw(bytes); }).detach();
  };
  auto called = call(invocation("a"));
  ASSERT_TRUE(run(called));
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->code, Code::too_large);
  EXPECT_NE(called->failure->message.find("engine.response_bytes_max"), std::string::npos);
}

TEST_F(FrameProtocolTest, ShutdownIsSent) {
  bool asked = false;
  program->on_shutdown = [&](Program&) { asked = true; };
  protocol->shutdown();
  EXPECT_TRUE(run_until(loop, [&] { return asked; }));
}

TEST(ParseReady, RefusesWhatItDoesNotKnow) {
  EXPECT_TRUE(parse_ready("{}").has_error());
  EXPECT_TRUE(parse_ready("{\"model\":\"unknown\"}").has_error());
  EXPECT_TRUE(parse_ready("{\"model\":7}").has_error());
  EXPECT_TRUE(parse_ready("{").has_error());
  EXPECT_EQ(parse_ready("{\"model\":\"event\",\"concurrency\":-3}")->concurrency, 0u);
  EXPECT_EQ(parse_ready("{\"model\":\"event\",\"concurrency\":99999}")->concurrency, 1000u);
}

TEST(SetEnv, ReplacesWholeNamesOnly) {
  std::vector<std::string> env{"A=1", "AB=2"};
  set_env(env, "A", "3");
  set_env(env, "B", "4");
  EXPECT_EQ(env, (std::vector<std::string>{"A=3", "AB=2", "B=4"}));
}

}  // namespace
}  // namespace mayfly::engine
