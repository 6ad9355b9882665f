// The Extensions, Telemetry and Logs APIs: raw bytes, with the answers of AWS's
// emulator.
#include "dialects/lambda/extended_protocol.h"

#include <condition_variable>
#include <mutex>

#include "dialects/lambda/telemetry_syntax.h"
#include "dialects/runtime_api_fixture.h"

namespace mayfly::dialects::lambda {
namespace {

using namespace api_testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string api_error(const std::string& type, const std::string& message) {
  return "{\"errorMessage\":\"" + message + "\",\"errorType\":\"" + type + "\"}\n";
}

// An extension: one kept-alive connection.
struct Guest : Program {
  using Program::Program;
  Seen ask_extension(const std::string& method, const std::string& path,
                     const std::string& body = "", const std::string& headers = "") {
    ask_at("/2020-01-01/extension/", method, path, body, headers + identity());
    return seen();
  }
  Seen sign_up(const std::string& name, const std::string& body = R"({"events":["INVOKE"]})",
               const std::string& more = "") {
    const auto answer =
        ask_extension("POST", "register", body, "Lambda-Extension-Name: " + name + "\r\n" + more);
    id = answer.header("Lambda-Extension-Identifier");
    return answer;
  }
  void poll() { ask_at("/2020-01-01/extension/", "GET", "event/next", "", identity()); }
  std::string identity() const {
    return id.empty() ? "" : "Lambda-Extension-Identifier: " + id + "\r\n";
  }
  std::string id;
};

// mayfly-supervisor, as far as the engine sees it.
struct Supervisor : Program {
  using Program::Program;
  Seen tell(const std::string& what, const std::string& body) {
    ask_at("/mayfly/supervisor/", "POST", what, body, "");
    return seen();
  }
};

struct ExtensionsTest : RuntimeApiFixture {
  // The runtime and everybody else is ready.
  void ready(Program& runtime, std::vector<Guest*> guests) {
    runtime.ask("GET", kNext);
    for (auto* guest : guests) guest->poll();
    const auto result = started.get();
    ASSERT_EQ(result.failure, nullptr) << result.failure->message;
  }
};

TEST_F(ExtensionsTest, InternalOnesRegisterAndGetTheirEvents) {
  attach();
  Guest guest(port);
  const auto answer = guest.sign_up("inner", R"({"events":["INVOKE"]})",
                                    "Lambda-Extension-Accept-Feature: other, accountId\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            "{\"accountId\":\"000000000000\",\"functionName\":"
            "\"hello\",\"functionVersion\":"
            "\"$LATEST\",\"handler\":\"\"}\n");
  EXPECT_EQ(guest.id.size(), 36u);
  Program runtime(port);
  runtime.ask("GET", kNext);
  EXPECT_EQ(started.wait_for(0s), std::future_status::timeout) << "the extension is not ready";
  guest.poll();
  ASSERT_EQ(started.get().failure, nullptr);

  auto called = call("r-1");
  const auto event = guest.seen();
  EXPECT_EQ(event.status, 200);
  EXPECT_EQ(event.header("Lambda-Extension-Event-Identifier").size(), 36u);
  EXPECT_EQ(event.body,
            "{\"eventType\":\"INVOKE\",\"deadlineMs\":1700000000000,\"requestId\":"
            "\"r-1\","
            "\"invokedFunctionArn\":\"arn:aws:lambda:us-east-1:000000000000:function:"
            "hello\","
            "\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":\"Root=1-2-3\"}}");
  EXPECT_EQ(runtime.seen().status, 200);
  EXPECT_EQ(runtime.post(response_path("r-1"), "1").status, 202);
  EXPECT_EQ(called.get().reply.body, "1") << "the caller does not wait for the extension";
  // The next call waits for it.
  runtime.ask("GET", kNext);
  auto second = call("r-2");
  EXPECT_EQ(second.wait_for(0s), std::future_status::timeout);
  guest.poll();
  EXPECT_THAT(guest.seen().body, HasSubstr("\"requestId\":\"r-2\""));
  EXPECT_THAT(runtime.seen().header("Lambda-Runtime-Aws-Request-Id"), "r-2");
  EXPECT_EQ(runtime.post(response_path("r-2"), "2").status, 202);
  EXPECT_EQ(second.get().reply.body, "2");
}

TEST_F(ExtensionsTest, RefusalsOfRegistrations) {
  attach({"outer"});
  const auto state = [](const std::string& from, const std::string& to, const std::string& who) {
    return api_error("Extension.InvalidExtensionState",
                     "State transition from " + from + " to " + to + " failed for extension " +
                         who + ". Error: State transition is not allowed");
  };
  Guest guest(port);
  auto answer = guest.ask_extension("POST", "register", "{}");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body, api_error("Extension.InvalidExtensionName", "Empty extension name"));
  for (const char* body : {"", "no JSON", "[]", R"({"events":"INVOKE"})", R"({"events":[1]})",
                           R"({"configurationKeys":["a"]})"}) {
    answer = guest.sign_up("a", body);
    EXPECT_EQ(answer.status, 403) << body;
    EXPECT_THAT(answer.body, HasSubstr("\"errorType\":\"InvalidRequestFormat\"")) << body;
  }
  answer = guest.sign_up("a", R"({"events":["FOO"]})");
  EXPECT_EQ(answer.body, api_error("Extension.InvalidEventType", "FOO: ErrorInvalidEventType"));
  answer = guest.sign_up("a", R"({"events":["SHUTDOWN"]})");
  EXPECT_EQ(answer.body, api_error("Extension.InvalidEventType",
                                   "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"));
  EXPECT_EQ(guest.sign_up("outer", R"({"events":["INVOKE","SHUTDOWN"]})").status, 200);
  EXPECT_EQ(Guest(port).sign_up("outer").body, state("Registered", "Registered", "outer"));
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(Guest(port).sign_up("n" + std::to_string(i)).status, 200) << i;
  EXPECT_EQ(Guest(port).sign_up("n0").body,
            api_error("Extension.TooManyExtensions", "Extension limit (10) reached"));
  EXPECT_EQ(guest.ask_extension("GET", "register").status, 405);
  EXPECT_EQ(guest.ask_extension("GET", "other").status, 404);
}

TEST_F(ExtensionsTest, WhoAsksMustSayWhoHeIs) {
  attach();
  Guest guest(port);
  auto answer = guest.ask_extension("GET", "event/next");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body, api_error("Extension.MissingExtensionIdentifier",
                                   "Missing Lambda-Extension-Identifier header"));
  guest.id = "x";
  EXPECT_EQ(
      guest.ask_extension("GET", "event/next").body,
      api_error("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"));
  guest.id = "01234567-89ab-cdef-0123-456789abcdef";
  EXPECT_EQ(guest.ask_extension("GET", "event/next").body,
            api_error("Extension.UnknownExtensionIdentifier", "Unknown extension " + guest.id));
  Guest twin(port);
  EXPECT_EQ(guest.sign_up("a").status, 200);
  EXPECT_EQ(guest.sign_up("a").body, api_error("Extension.InvalidExtensionState",
                                               "Extension with this name already "
                                               "registered"));
  EXPECT_EQ(twin.sign_up("b").status, 200);
  Program runtime(port);
  Guest again(port);
  again.id = twin.id;
  twin.poll();
  again.poll();
  // Whichever of the two the server reads first waits.
  Guest* refused = nullptr;
  while (refused == nullptr) {
    if (twin.client.readable(milliseconds(1))) refused = &twin;
    if (again.client.readable(milliseconds(1))) refused = &again;
  }
  EXPECT_THAT(refused->seen().body, HasSubstr("State transition from Ready to Ready failed"));
  runtime.ask("GET", kNext);
  Guest late(port);
  while (late.sign_up("c").body.find("RegistrationClosed") == std::string::npos)
    std::this_thread::yield();
  EXPECT_EQ(late.sign_up("c").body,
            api_error("Extension.RegistrationClosed", "Extension registration closed already"));
}

TEST_F(ExtensionsTest, TheRuntimeStartsWhenAllHaveRegistered) {
  attach({"one", "two"});
  Supervisor supervisor(port);
  supervisor.ask_at("/mayfly/supervisor/", "GET", "start", "", "");
  Guest one(port), two(port);
  EXPECT_EQ(one.sign_up("one").status, 200);
  EXPECT_EQ(two.sign_up("two", R"({"events":[]})").status, 200);
  EXPECT_EQ(supervisor.seen().status, 200);
  Program runtime(port);
  ready(runtime, {&one, &two});
  auto called = call("r-1");
  EXPECT_THAT(one.seen().body, HasSubstr("INVOKE"));
  EXPECT_EQ(runtime.seen().status, 200);
  EXPECT_EQ(runtime.post(response_path("r-1"), "1").status, 202);
  EXPECT_EQ(called.get().reply.body, "1");
}

TEST_F(ExtensionsTest, ShutdownIsToldToWhoAskedForIt) {
  attach({"one", "two"});
  Guest one(port), two(port);
  one.sign_up("one", R"({"events":["SHUTDOWN"]})");
  two.sign_up("two", R"({"events":["INVOKE"]})");
  Program runtime(port);
  ready(runtime, {&one, &two});
  on_loop([&] {
    EXPECT_EQ(protocol->farewell(InstanceProtocol::Ending::overdue), 2000ms);
    EXPECT_EQ(protocol->farewell(InstanceProtocol::Ending::idle), 2000ms);
  });
  const auto event = one.seen();
  EXPECT_THAT(event.body, HasSubstr("{\"eventType\":\"SHUTDOWN\",\"deadlineMs\":"));
  EXPECT_THAT(event.body, HasSubstr("\"shutdownReason\":\"TIMEOUT\"}"));
  Supervisor supervisor(port);
  const auto ended = supervisor.tell("ended", "");
  EXPECT_EQ(ended.status, 200);
  EXPECT_EQ(ended.body, "two\n");
  EXPECT_EQ(supervisor.tell("exited", "one\nexit status 0").status, 202);
  EXPECT_EQ(closed.get_future().wait_for(0s), std::future_status::timeout) << "no crash";
}

TEST_F(ExtensionsTest, AnExtensionThatFailsInItsInitialisation) {
  attach({"one"});
  Guest one(port);
  one.sign_up("one");
  const auto missing = one.ask_extension("POST", "init/error");
  EXPECT_EQ(missing.status, 403);
  EXPECT_EQ(missing.body,
            api_error("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found"));
  const auto told = one.ask_extension("POST", "init/error", "{}",
                                      "Lambda-Extension-Function-Error-Type: No.Config\r\n");
  EXPECT_EQ(told.status, 202);
  EXPECT_EQ(told.body, "{\"status\":\"OK\"}\n");
  const auto result = started.get();
  ASSERT_NE(result.failure, nullptr);
  EXPECT_THAT(result.failure->error_json, HasSubstr("Extension.InitError"));
  EXPECT_THAT(result.failure->error_json, HasSubstr("No.Config"));
  EXPECT_EQ(one.ask_extension("GET", "event/next").status, 403);
}

TEST_F(ExtensionsTest, AFailureWaitsForWhatWasWrittenBefore) {
  attach({"one"});
  Supervisor supervisor(port), words(port);
  supervisor.ask_at("/mayfly/supervisor/", "GET", "start", "", "");
  Guest one(port);
  one.sign_up("one");
  EXPECT_EQ(supervisor.seen().status, 200);
  supervisor.ask_at("/mayfly/supervisor/", "GET", "trouble", "", "");
  EXPECT_EQ(words.tell("log", "nobody\nlost").status, 202);
  EXPECT_EQ(one.ask_extension("POST", "init/error", "{}",
                              "Lambda-Extension-Function-Error-Type: No.Config\r\n")
                .status,
            202);
  EXPECT_EQ(supervisor.seen().status, 200) << "it is asked for the rest";
  EXPECT_EQ(words.tell("log", "one\nbecause").status, 202);
  EXPECT_EQ(words.tell("log", "one\n of this").status, 202);
  EXPECT_EQ(words.tell("said", "").status, 202);
  EXPECT_THAT(started.get().failure->error_json, HasSubstr("Extension.InitError"));
}

TEST_F(ExtensionsTest, ASupervisorThatHasNotAskedYetIsWaitedFor) {
  attach({"one"});
  Supervisor supervisor(port);
  supervisor.ask_at("/mayfly/supervisor/", "GET", "start", "", "");
  Guest one(port);
  one.sign_up("one");
  EXPECT_EQ(supervisor.seen().status, 200);
  EXPECT_EQ(one.ask_extension("POST", "init/error", "{}",
                              "Lambda-Extension-Function-Error-Type: No.Config\r\n")
                .status,
            202);
  EXPECT_EQ(started.wait_for(0s), std::future_status::timeout) << "it may have more to say";
  supervisor.ask_at("/mayfly/supervisor/", "GET", "trouble", "", "");
  EXPECT_EQ(supervisor.seen().status, 200);
  EXPECT_EQ(supervisor.tell("said", "").status, 202);
  EXPECT_THAT(started.get().failure->error_json, HasSubstr("Extension.InitError"));
}

TEST_F(ExtensionsTest, AnExtensionThatEndsFailsTheCall) {
  attach({"one"});
  Guest one(port);
  one.sign_up("one");
  Program runtime(port);
  ready(runtime, {&one});
  auto called = call("r-1");
  one.seen();
  Supervisor supervisor(port);
  EXPECT_EQ(supervisor.tell("exited", "nobody\nexit status 3").status, 202);
  EXPECT_EQ(supervisor.tell("exited", "one\nexit status 3").status, 202);
  const auto failed = called.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->error_json,
            R"({"errorType":"Extension.Crash","errorMessage":)"
            R"("RequestId: r-1 Error: Extension one ended: exit status 3"})");
  EXPECT_THAT(closed.get_future().get(), HasSubstr("extension"));
}

TEST_F(ExtensionsTest, NoteOfWhoWantsWhat) {
  const auto refused = [](std::string_view text, bool logs = false) {
    const auto asked = parse_subscription(text, logs);
    return asked.has_error() ? asked.error().message : "taken";
  };
  const std::string to = R"("destination":{"protocol":"HTTP","URI":"http://sandbox:80/a?b"})";
  const std::string good = R"({"schemaVersion":"2022-12-13","types":["platform"],)" + to + "}";
  EXPECT_EQ(refused(good), "taken");
  EXPECT_THAT(refused(good, true), HasSubstr("schemaVersion"));
  EXPECT_EQ(refused(R"({"types":["function"],)" + to + "}", true), "taken");
  EXPECT_THAT(refused(R"({"types":["function"],)" + to + "}"), HasSubstr("schemaVersion"));
  for (const char* types : {"[]", "\"platform\"", "[1]", R"(["metrics"])"})
    EXPECT_THAT(
        refused(R"({"schemaVersion":"2022-12-13","types":)" + std::string(types) + "," + to + "}"),
        HasSubstr("type"))
        << types;
  const auto with = [&](const std::string& uri) {
    return refused(
        R"({"schemaVersion":"2022-07-01","types":["platform"],"destination":{"protocol":)"
        R"("HTTP","URI":")" +
        uri + "\"}}");
  };
  EXPECT_EQ(with("http://sandbox.localdomain:8080"), "taken");
  for (const char* uri :
       {"", "https://sandbox:1", "http://10.0.0.1:80", "http://sandbox:0", "http://sandbox:65536",
        "http://sandbox:1x", "http://sandbox:80/a b", "http://sandbox:80/a\\r\\nb"})
    EXPECT_NE(with(uri), "taken") << uri;
  for (const char* bound : {R"("maxItems":999)", R"("maxBytes":1)", R"("timeoutMs":24)",
                            R"("timeoutMs":30001)", R"("maxItems":"many")"})
    EXPECT_THAT(refused(R"({"schemaVersion":"2022-12-13","types":["platform"],"buffering":{)" +
                        std::string(bound) + "}," + to + "}"),
                HasSubstr("buffering."))
        << bound;
  EXPECT_NE(refused(std::string(100'000, '[')), "taken");
  const auto parsed = parse_subscription(good, false);
  EXPECT_EQ(parsed->port, 80);
  EXPECT_EQ(parsed->path, "/a?b");
  EXPECT_EQ(line_record("a \"line\"", false), "\"a \\\"line\\\"\"");
  EXPECT_EQ(line_record(R"({"a":1})", true), R"({"a":1})");
  EXPECT_EQ(line_record("{a", true), "\"{a\"");
  EXPECT_EQ(json_ms(std::chrono::microseconds(12'034)), "12.034");
}

// Takes posts and answers them.
class Collector {
 public:
  Collector() {
    auto address = io::parse_address("127.0.0.1:0");
    auto fd = io::listen_tcp(*address, "collector");
    const auto bound = io::format_address(*io::local_address(fd->get()));
    port = bound.substr(bound.rfind(':') + 1);
    server_ = std::make_unique<io::HttpServer>(
        loop_, io::HttpServerOptions{},
        [this](io::HttpRequest request) { return take(this, std::move(request)); });
    EXPECT_TRUE(server_->listen_fd(std::move(*fd)).has_value());
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Collector() {
    boost::asio::post(loop_, [this] { server_->close(); });
    work_.reset();
    thread_.join();
  }
  // All that came, once text has.
  std::string wait_for(const std::string& text) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(came_.wait_for(lock, 10s, [&] { return all_.find(text) != std::string::npos; }))
        << all_;
    return all_;
  }
  std::string port;

 private:
  static io::Task<io::HttpResponse> take(Collector* self, io::HttpRequest request) {
    std::lock_guard lock(self->mutex_);
    EXPECT_EQ(request.head.target, "/events");
    self->all_ += request.body + "\n";
    self->came_.notify_all();
    co_return io::text_response(200, "");
  }
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
      boost::asio::make_work_guard(loop_);
  std::unique_ptr<io::HttpServer> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::string all_;
};

TEST_F(ExtensionsTest, TelemetryIsSentToWhoAskedForIt) {
  attach();
  Collector collector;
  Guest guest(port);
  const auto subscribe = [&](const std::string& path, const std::string& body) {
    guest.ask_at(path, "PUT", "", body, guest.identity());
    return guest.seen();
  };
  const std::string body =
      R"({"schemaVersion":"2022-12-13","types":["platform","function"],"buffering":)"
      R"({"timeoutMs":25},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:)" +
      collector.port + R"(/events"}})";
  EXPECT_EQ(subscribe("/2022-07-01/telemetry", body).status, 403) << "who asks?";
  guest.sign_up("watcher");
  const auto wrong = subscribe("/2022-07-01/telemetry", "{}");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(wrong.body, HasSubstr("\"errorType\":\"ValidationError\""));
  const auto taken = subscribe("/2022-07-01/telemetry", body);
  EXPECT_EQ(taken.status, 200);
  EXPECT_EQ(taken.body, "\"OK\"");
  Program runtime(port);
  ready(runtime, {&guest});
  EXPECT_EQ(Guest(port).ask_extension("GET", "event/next").status, 403);
  auto all = collector.wait_for("platform.initReport");
  EXPECT_THAT(all, HasSubstr("\"type\":\"platform.initStart\"")) << "from before the subscription";
  EXPECT_THAT(all, HasSubstr("platform.telemetrySubscription"));
  EXPECT_THAT(all, HasSubstr("\"type\":\"platform.initRuntimeDone\",\"record\":{"
                             "\"initializationType\":\"on-demand\",\"phase\":\"init\",\"status\":"
                             "\"success\"}"));

  auto called = call("r-1");
  guest.seen();
  runtime.seen();
  on_loop([&] { protocol->wrote("r-1", telemetry::LogLine::Stream::out, "said this"); });
  EXPECT_EQ(runtime.post(response_path("r-1"), "12").status, 202);
  called.get();
  all = collector.wait_for("platform.report");
  EXPECT_THAT(all, HasSubstr("\"type\":\"function\",\"record\":\"said this\""));
  EXPECT_THAT(all, HasSubstr("\"type\":\"platform.start\",\"record\":{\"requestId\":\"r-1\","
                             "\"version\":\"$LATEST\",\"tracing\""));
  EXPECT_THAT(all, HasSubstr("\"type\":\"platform.runtimeDone\",\"record\":{\"requestId\":\"r-1\","
                             "\"status\":\"success\",\"metrics\":{\"durationMs\":"));
  EXPECT_THAT(all, HasSubstr("\"producedBytes\":2}"));
  EXPECT_THAT(all, HasSubstr("\"initDurationMs\":"));
  EXPECT_EQ(all.find("platform.end"), std::string::npos) << "only of the Logs API";
  Guest late(port);
  late.id = guest.id;
  late.ask_at("/2022-07-01/telemetry", "PUT", "", body, late.identity());
  EXPECT_EQ(late.seen().body,
            api_error("Telemetry.SubscriptionClosed", "Telemetry API subscription is closed"));
  late.ask_at("/2020-08-15/logs", "PUT", "", body, late.identity());
  EXPECT_EQ(late.seen().body,
            api_error("Logs.SubscriptionClosed", "Logs API subscription is closed"));
}

TEST_F(ExtensionsTest, ProgramsAreFoundInTheLayers) {
  attach({"b", "a"});
  std::filesystem::create_directory(layers.path() + "/extensions/folder");
  EXPECT_THAT(external_extensions(version), ElementsAre("a", "b"));
  sandbox::LaunchSpec spec;
  EXPECT_TRUE(factory->prepare(version, {}, spec).has_error()) << "there is no supervisor";
  settings.runtime_lib = "/host/runtime-lib";
  factory = make_runtime_api_factory(settings);
  spec = {};
  version.entry = "/opt/bootstrap";
  ASSERT_TRUE(factory->prepare(version, {}, spec).has_value());
  EXPECT_THAT(spec.argv, ElementsAre("/var/runtime-lib/mayfly-supervisor", "/opt/bootstrap"));
  ASSERT_EQ(spec.mounts.size(), 1u);
  EXPECT_EQ(spec.mounts[0].host_path, "/host/runtime-lib");
}

}  // namespace
}  // namespace mayfly::dialects::lambda
