#include "gateway/gateway.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>

#include "telemetry/fake_metrics.h"

namespace mayfly::gateway {
namespace {

class FakeDialect final : public HttpDialect {
 public:
  explicit FakeDialect(std::string name) : name_(std::move(name)) {}
  std::optional<std::size_t> whole_body_max() const override { return 10; }
  Result<engine::Invocation> to_invocation(io::HttpRequest&, const RouteMatch& match,
                                           const std::string& request_id) const override {
    engine::Invocation invocation;
    invocation.request_id = request_id;
    invocation.version = match.version;
    invocation.body = name_ + "|" + match.route_key + "|" + match.base + "|" + match.path;
    for (const auto& [name, value] : match.parameters) invocation.body += "|" + name + "=" + value;
    return invocation;
  }
  io::HttpResponse to_response(engine::Answer& answer, const RouteMatch&) const override {
    io::HttpResponse response = io::text_response(200, answer.reply.body);
    response.head.headers.add("Access-Control-Allow-Origin", "https://function.example");
    response.head.headers.add("X-Mayfly-Request-Id", "forged");
    return response;
  }

 private:
  std::string name_;
};

functions::Route route(std::string method, std::string path, std::string function) {
  functions::Route r;
  r.method = std::move(method);
  r.path = std::move(path);
  r.function = std::move(function);
  return r;
}

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest() {
    add("hello", functions::Model::event);
    add("web", functions::Model::http);
    add("new", functions::Model::unknown);
    functions::App app;
    app.name = "shop";
    app.routes = {route("GET", "/pets/{id}", "hello"), route("POST", "/pets", "web"),
                  route("GET", "/gone", "removed")};
    app.cors.allow_origins = {"https://shop.example"};
    app.cors.allow_credentials = true;
    apps_.push_back(app);
    gateway_ = std::make_unique<Gateway>(GatewaySeams{
        [this](std::string_view name) {
          const auto found = versions_.find(std::string(name));
          return found == versions_.end() ? nullptr : found->second;
        },
        [this] {
          ++rebuilt_;
          return apps_;
        },
        [this] { return generation_; },
        [this](functions::VersionPtr) { return model_now(model_); },
        [this](engine::Invocation invocation) { return invoke(this, std::move(invocation)); },
        metrics_,
        event_,
        http_,
    });
  }

  void add(const std::string& name, functions::Model model) {
    auto version = std::make_shared<functions::Version>();
    version->function = name;
    version->model = model;
    versions_[name] = version;
  }

  static io::Task<Result<functions::Model>> model_now(Result<functions::Model> model) {
    co_return model;
  }
  static io::Task<engine::Answer> invoke(GatewayTest* test, engine::Invocation invocation) {
    engine::Answer answer;
    if (test->hangs_) {
      boost::asio::steady_timer timer(test->loop_);
      timer.expires_at(boost::asio::steady_timer::time_point::max());
      boost::system::error_code problem;
      auto token = boost::asio::redirect_error(boost::asio::use_awaitable, problem);
      co_await timer.async_wait(token);
      test->cancelled_ = problem == boost::asio::error::operation_aborted;
    }
    answer.request_id = invocation.request_id;
    answer.function = invocation.version->function;
    answer.queue_us = 1500;
    answer.run_us = 20;
    answer.failure = test->failure_;
    answer.reply.body = invocation.body;
    co_return answer;
  }

  struct Got {
    int status = 0;
    wire::Headers headers;
    std::string body;
    std::string header(std::string_view name) const {
      return std::string(headers.find(name).value_or("-"));
    }
    bool says(std::string_view text) const { return body.find(text) != std::string::npos; }
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;

  static io::HttpRequest request(std::string method, std::string target, Fields fields = {},
                                 std::string body = "") {
    io::HttpRequest r;
    r.head.method = std::move(method);
    r.head.target = std::move(target);
    r.body = std::move(body);
    for (const auto& [name, value] : fields) r.head.headers.add(name, value);
    return r;
  }

  Got send(std::string method, std::string target, Fields fields = {}, std::string body = "") {
    auto future = boost::asio::co_spawn(
        loop_, gateway_->handle(request(method, target, fields, body)), boost::asio::use_future);
    loop_.restart();
    loop_.run();
    io::HttpResponse response = future.get();
    return {response.head.status, response.head.headers, response.body};
  }

  boost::asio::io_context loop_;
  telemetry::testing::FakeMetrics metrics_;
  FakeDialect event_{"event"}, http_{"http"};
  std::map<std::string, functions::VersionPtr> versions_;
  std::vector<functions::App> apps_;
  std::uint64_t generation_ = 1;
  int rebuilt_ = 0;
  Result<functions::Model> model_ = functions::Model::http;
  std::shared_ptr<engine::Failure> failure_;
  bool hangs_ = false, cancelled_ = false;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(GatewayTest, CallsFunctionsByName) {
  const auto got = send("GET", "/function/hello/a%20b/c?x=1");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "event|$default|/function/hello|/a%20b/c");
  EXPECT_EQ(got.header("Server-Timing"), "queue;dur=1.500, run;dur=0.020");
  EXPECT_EQ(got.header("X-Mayfly-Request-Id").size(), 36u);
  EXPECT_EQ(send("POST", "/function/web").body, "http|$default|/function/web|/");
  EXPECT_EQ(send("HEAD", "/function/web").body, "http|$default|/function/web|/");
}

TEST_F(GatewayTest, FunctionsThatAreNotDirectAreCalledByTheirRoutesOnly) {
  auto closed = std::make_shared<functions::Version>(*versions_["hello"]);
  closed->settings.direct = false;
  versions_["hello"] = closed;
  for (const char* path : {"/function/hello", "/async-function/hello", "/function/hello/pets"}) {
    const auto got = send("POST", path);
    EXPECT_EQ(got.status, 403) << path;
    EXPECT_TRUE(got.says("setting 'direct' is off")) << got.body;
  }
  EXPECT_EQ(send("GET", "/pets/7").status, 200);
}

TEST_F(GatewayTest, AsksForTheModelWhenItIsUnknown) {
  EXPECT_EQ(send("GET", "/function/new").body, "http|$default|/function/new|/");
  model_ = functions::Model::runtime_api;
  EXPECT_EQ(send("GET", "/function/new").body, "event|$default|/function/new|/");
  model_ = Error{Code::function_error, "It fails to start."};
  // The invocation fails in its own words, and with a record.
  EXPECT_EQ(send("GET", "/function/new").body, "event|$default|/function/new|/");
}

TEST_F(GatewayTest, RoutesOfAppsReachTheirFunction) {
  EXPECT_EQ(send("GET", "/pets/7%208").body, "event|GET /pets/{id}||/pets/7%208|id=7 8");
  EXPECT_EQ(send("POST", "/pets").body, "http|POST /pets||/pets");
  const auto gone = send("GET", "/gone");
  EXPECT_EQ(gone.status, 404);
  EXPECT_TRUE(gone.says("removed"));
}

TEST_F(GatewayTest, RebuildsItsRoutesWhenTheCatalogueChanges) {
  EXPECT_EQ(send("GET", "/late").status, 404);
  apps_[0].routes.push_back(route("GET", "/late", "hello"));
  EXPECT_EQ(send("GET", "/late").status, 404);
  EXPECT_EQ(rebuilt_, 1);
  ++generation_;
  EXPECT_EQ(send("GET", "/late").status, 200);
  EXPECT_EQ(rebuilt_, 2);
}

TEST_F(GatewayTest, SaysWhatIsNotThere) {
  const auto function = send("GET", "/function/nobody");
  EXPECT_EQ(function.status, 404);
  EXPECT_TRUE(function.says("There is no function 'nobody'"));
  EXPECT_EQ(function.header("X-Mayfly-Error"), "not_found; party=client; phase=route");
  EXPECT_TRUE(function.says(function.header("X-Mayfly-Request-Id")));
  EXPECT_EQ(send("GET", "/nowhere").status, 404);
  EXPECT_EQ(send("GET", "/pets/%zz").status, 400);
  const auto method = send("DELETE", "/pets/7");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("Allow"), "GET, HEAD");
  const auto root = send("GET", "/");
  EXPECT_EQ(root.status, 200);
  EXPECT_TRUE(root.says("Mayfly gateway"));
  EXPECT_EQ(send("OPTIONS", "*").status, 204);
}

TEST_F(GatewayTest, TurnsErrorsOfTheDialectIntoClientErrors) {
  const auto large = send("POST", "/function/hello", {}, "more than ten bytes");
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.header("X-Mayfly-Error"), "too_large; party=client; phase=accept");
  EXPECT_TRUE(large.says("http.body_bytes_max"));
}

TEST_F(GatewayTest, WhatTheUsersCodeSaidIsNotForThePublic) {
  failure_ = engine::function_failure(
      telemetry::Phase::init,
      R"({"errorType":"ValueError","errorMessage":"no such database: secret"})");
  const auto got = send("GET", "/function/hello");
  EXPECT_EQ(got.status, 502);
  EXPECT_FALSE(got.says("secret"));
  EXPECT_FALSE(got.says("ValueError"));
  EXPECT_TRUE(got.says("Function hello failed in its initialisation."));
  EXPECT_TRUE(got.says("mayfly invocations --request " + got.header("X-Mayfly-Request-Id")));
  EXPECT_TRUE(got.says("mayfly logs hello"));
}

TEST_F(GatewayTest, MapsFailuresToStatusAndNamesTheParty) {
  using telemetry::Outcome;
  struct Case {
    Outcome outcome;
    Code code;
    int status;
  };
  for (const auto& [outcome, code, status] : std::vector<Case>{
           {Outcome::function_error, Code::function_error, 502},
           {Outcome::crash, Code::function_error, 502},
           {Outcome::out_of_memory, Code::function_error, 502},
           {Outcome::init_failed, Code::function_error, 502},
           {Outcome::timeout, Code::deadline_exceeded, 504},
           {Outcome::refused, Code::resource_exhausted, 429},
           {Outcome::refused, Code::unavailable, 503},
           {Outcome::cancelled, Code::cancelled, 503},
           {Outcome::platform_error, Code::internal, 500},
           {Outcome::platform_error, Code::unavailable, 503},
       }) {
    failure_ = std::make_shared<engine::Failure>();
    failure_->outcome = outcome;
    failure_->code = code;
    failure_->party = telemetry::Party::function;
    failure_->phase = telemetry::Phase::run;
    failure_->message = "Why.";
    const auto got = send("GET", "/function/hello");
    EXPECT_EQ(got.status, status) << static_cast<int>(outcome);
    EXPECT_EQ(got.header("X-Mayfly-Error"),
              std::string(code_name(code)) + "; party=function; phase=run");
    EXPECT_TRUE(got.says("\"message\":\"Why.\""));
    EXPECT_EQ(got.header("Retry-After"), status == 429 ? "1" : "-");
  }
  failure_->outcome = Outcome::refused;
  failure_->code = Code::resource_exhausted;
  failure_->retry_after_s = 7;
  EXPECT_EQ(send("GET", "/function/hello").header("Retry-After"), "7");
}

TEST_F(GatewayTest, AnswersPreflights) {
  const auto got = send("OPTIONS", "/pets/7",
                        {{"Origin", "https://shop.example"},
                         {"Access-Control-Request-Method", "GET"},
                         {"Access-Control-Request-Headers", "x-a, x-b"}});
  EXPECT_EQ(got.status, 204);
  EXPECT_EQ(got.header("Access-Control-Allow-Origin"), "https://shop.example");
  EXPECT_EQ(got.header("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(got.header("Access-Control-Allow-Methods"), "GET");
  EXPECT_EQ(got.header("Access-Control-Allow-Headers"), "x-a, x-b");
  EXPECT_EQ(got.header("Access-Control-Max-Age"), "600");
  EXPECT_EQ(got.header("Vary"), "Origin");
  const auto stranger =
      send("OPTIONS", "/pets/7",
           {{"Origin", "https://evil.example"}, {"Access-Control-Request-Method", "GET"}});
  EXPECT_EQ(stranger.status, 204);
  EXPECT_EQ(stranger.header("Access-Control-Allow-Origin"), "-");
  EXPECT_EQ(stranger.header("Vary"), "Origin");
  EXPECT_EQ(send("OPTIONS", "/pets/7").status, 405);
}

TEST_F(GatewayTest, AddsCorsToAnswersAndErrors) {
  const Fields origin = {{"Origin", "https://shop.example"}};
  const auto got = send("GET", "/pets/7", origin);
  EXPECT_EQ(got.header("Access-Control-Allow-Origin"), "https://shop.example");
  EXPECT_EQ(got.header("Vary"), "Origin");
  EXPECT_EQ(send("DELETE", "/pets/7", origin).header("Access-Control-Allow-Origin"),
            "https://shop.example");
  EXPECT_EQ(send("GET", "/pets/7", {{"Origin", "https://evil.example"}})
                .header("Access-Control-Allow-Origin"),
            "-");
  // Functions called by name have no app: what they say about CORS stands.
  EXPECT_EQ(send("GET", "/function/hello", origin).header("Access-Control-Allow-Origin"),
            "https://function.example");
  apps_[0].cors.allow_origins = {"*"};
  apps_[0].cors.allow_credentials = false;
  ++generation_;
  const auto any = send("GET", "/pets/7", origin);
  EXPECT_EQ(any.header("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(any.header("Vary"), "-");
}

TEST_F(GatewayTest, ServesStaticFolders) {
  char name[] = "/tmp/mayfly-gateway-XXXXXX";
  const std::filesystem::path dir = ::mkdtemp(name);
  std::ofstream(dir / "index.html") << "home";
  functions::Route site;
  site.method = "GET";
  site.path = "/site/{proxy+}";
  site.static_dir = dir;
  apps_[0].routes.push_back(site);
  ++generation_;
  EXPECT_EQ(send("GET", "/site/").body, "home");
  EXPECT_EQ(send("GET", "/site/index.html").body, "home");
  const auto missing = send("GET", "/site/missing");
  EXPECT_EQ(missing.status, 404);
  EXPECT_TRUE(missing.says("/site/missing"));
  EXPECT_EQ(send("POST", "/site/index.html").status, 405);
  EXPECT_EQ(send("GET", "/site").header("Location"), "/site/");
  std::filesystem::remove_all(dir);
}

TEST_F(GatewayTest, CountsRequests) {
  send("GET", "/function/hello");
  send("GET", "/nowhere");
  send("BREW", "/nowhere");
  const auto value = [&](const std::string& key) { return metrics_.at(key).value; };
  EXPECT_EQ(value("mayfly_http_requests_total,method=GET,status=2xx"), 1);
  EXPECT_EQ(value("mayfly_http_requests_total,method=GET,status=4xx"), 1);
  EXPECT_EQ(value("mayfly_http_requests_total,method=other,status=4xx"), 1);
  EXPECT_EQ(metrics_.at("mayfly_http_request_duration_seconds").count, 3);
  EXPECT_EQ(value("mayfly_http_requests_in_flight"), 0);
}

TEST_F(GatewayTest, CancellingTheRequestCancelsTheInvocation) {
  hangs_ = true;
  boost::asio::cancellation_signal signal;
  boost::asio::co_spawn(loop_, gateway_->handle(request("GET", "/function/hello")),
                        boost::asio::bind_cancellation_slot(
                            signal.slot(), [](std::exception_ptr, io::HttpResponse) {}));
  loop_.poll();
  EXPECT_EQ(metrics_.at("mayfly_http_requests_in_flight").value, 1);
  signal.emit(boost::asio::cancellation_type::terminal);
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(cancelled_);
  EXPECT_EQ(metrics_.at("mayfly_http_requests_in_flight").value, 0);
}

}  // namespace
}  // namespace mayfly::gateway
