#include "gateway/gate.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "store/store.h"

namespace mayfly::gateway {
namespace {

class GateClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return SteadyTime(seconds(1000) + passed); }
  WallTime wall_now() const override {
    return from_epoch_us(1'763'665'200'000'000) + passed;  // 2025-11-20T19:00:00Z, a Thursday
  }
  std::chrono::milliseconds passed{0};
};

// Answers what a test says; the question is the kind and the identity.
class PlainDialect final : public AuthorizerDialect {
 public:
  std::string resource(const wire::RequestHead& head, const RouteMatch&) const override {
    return head.method + "/x";
  }
  std::string question(const functions::Authorizer&, const wire::RequestHead&, const RouteMatch&,
                       const std::vector<std::string>& identity,
                       const std::string&) const override {
    std::string out;
    for (const auto& one : identity) out += one + ";";
    return out;
  }
  Result<Grant> answer(const functions::Authorizer&, std::string_view reply) const override {
    if (reply == "broken") return Error{Code::function_error, "no answer"};
    Grant grant;
    grant.statements.push_back({reply != "deny", {std::string(reply == "get" ? "GET/*" : "*")}});
    grant.principal = reply;
    grant.context = "{}";
    return grant;
  }
  bool says_unauthorized(const engine::Failure& failure) const override {
    return failure.message == "Unauthorized";
  }
};

class GateTest : public ::testing::Test {
 protected:
  GateTest() : pool_(1), store_(store::make_memory_store()) {
    renew_quotas();
    app_->name = "shop";
    functions::Authorizer asker;
    asker.kind = functions::Authorizer::Kind::request;
    asker.name = "asker";
    asker.function = "asker";
    asker.identity = {"$request.header.X-Token", "$request.querystring.q"};
    asker.ttl_s = 60;
    app_->api.authorizers.push_back(asker);
    functions::UsagePlan plan;
    plan.name = "basic";
    plan.keys = {{"first", "0123456789abcdefghij"}, {"second", "abcdefghij0123456789"}};
    plan.quota = 5;
    plan.period = functions::QuotaPeriod::day;
    app_->api.plans.push_back(plan);
    build();
  }

  void renew_quotas() { quotas_ = std::make_unique<Quotas>(Quotas::Parts{*store_, pool_, clock_}); }

  void build() {
    gate_ = std::make_unique<Gate>(Gate::Parts{
        [this](std::string_view) -> functions::VersionPtr { return version_; },
        [this](engine::Invocation invocation) { return answered(this, std::move(invocation)); },
        &clock_, &dialect_, quotas_.get(), nullptr});
  }

  static io::Task<engine::Answer> answered(GateTest* test, engine::Invocation invocation) {
    ++test->asked_;
    test->question_ = invocation.body;
    engine::Answer answer;
    answer.failure = test->failure_;
    answer.reply.body = test->reply_;
    co_return answer;
  }

  // "in", or the status and body.
  std::string come(const std::string& method = "GET", const std::string& key = "") {
    wire::RequestHead head;
    head.method = method;
    head.target = "/x?q=a%20b";
    if (!token_.empty()) head.headers.add("X-Token", token_);
    if (!key.empty()) head.headers.add("x-api-key", key);
    match_ = {};
    match_.route_key = "GET /x";
    match_.app = app_;
    match_.event = event_;
    auto future = boost::asio::co_spawn(loop_, gate_->admit(head, match_, rules_, id_),
                                        boost::asio::use_future);
    loop_.run();
    loop_.restart();
    const auto kept = future.get();
    return kept ? std::to_string(kept->head.status) + " " + kept->body : "in";
  }

  GateClock clock_;
  io::BlockingPool pool_;
  boost::asio::io_context loop_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Quotas> quotas_;
  PlainDialect dialect_;
  std::shared_ptr<functions::App> app_ = std::make_shared<functions::App>();
  functions::VersionPtr version_ = std::make_shared<functions::Version>();
  std::unique_ptr<Gate> gate_;
  functions::RouteRules rules_;
  functions::EventForm event_ = functions::EventForm::v2;
  RouteMatch match_;
  const std::string id_ = "the-id";
  std::string token_ = "t", reply_ = "*", question_;
  std::shared_ptr<engine::Failure> failure_;
  int asked_ = 0;
};

TEST_F(GateTest, PaceOfRouteAndApplication) {
  rules_.throttle = {2, 2};
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(come(), R"(429 {"message":"Too Many Requests"})");
  clock_.passed += milliseconds(500);
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(come(), R"(429 {"message":"Too Many Requests"})");
  rules_.throttle = {};
  app_->api.throttle = {1, 1};
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(come(), R"(429 {"message":"Too Many Requests"})");
}

TEST_F(GateTest, AnAuthorizersWordHoldsForItsTime) {
  rules_.authorizer = "asker";
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(question_, "t;a b;");
  EXPECT_EQ(match_.identity.principal, "*");
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(asked_, 1);
  token_ = "other";
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(asked_, 2);
  clock_.passed += seconds(60);
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(asked_, 3);
  app_->api.authorizers.front().ttl_s = 0;
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(come(), "in");
  EXPECT_EQ(asked_, 5);
}

TEST_F(GateTest, ARememberedPolicyIsReadForEachRequest) {
  rules_.authorizer = "asker";
  reply_ = "get";
  EXPECT_EQ(come("GET"), "in");
  EXPECT_EQ(come("POST"), R"(403 {"message":"Forbidden"})");
  EXPECT_EQ(asked_, 1);
}

TEST_F(GateTest, Refusals) {
  rules_.authorizer = "asker";
  token_ = "";
  EXPECT_EQ(come(), R"(401 {"message":"Unauthorized"})");
  EXPECT_EQ(asked_, 0);  // an identity source is missing
  token_ = "t";
  reply_ = "deny";
  EXPECT_EQ(come(), R"(403 {"message":"Forbidden"})");
  event_ = functions::EventForm::v1;
  EXPECT_EQ(come(), R"(403 {"Message":"User is not authorized to access this resource with an )"
                    R"(explicit deny"})");
  token_ = "u";
  reply_ = "get";
  EXPECT_EQ(come("PUT"), R"(403 {"Message":"User is not authorized to access this resource"})");
  token_ = "v";
  reply_ = "broken";
  EXPECT_EQ(come(), R"(500 {"message":null})");
  failure_ = std::make_shared<engine::Failure>();
  failure_->message = "Unauthorized";
  EXPECT_EQ(come(), R"(401 {"message":"Unauthorized"})");
  failure_->message = "oh";
  event_ = functions::EventForm::v2;
  EXPECT_EQ(come(), R"(500 {"message":"Internal Server Error"})");
}

TEST_F(GateTest, KeysAndTheirQuota) {
  rules_.api_key = true;
  EXPECT_EQ(come(), R"(403 {"message":"Forbidden"})");
  EXPECT_EQ(come("GET", "0123456789abcdefghiX"), R"(403 {"message":"Forbidden"})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(come("GET", "0123456789abcdefghij"), "in");
  EXPECT_EQ(match_.identity.api_key_name, "first");
  EXPECT_EQ(come("GET", "abcdefghij0123456789"), "in");  // has a count of its own
  // The count lasts when the gateway goes and comes.
  renew_quotas();
  build();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(come("GET", "0123456789abcdefghij"), "in");
  EXPECT_EQ(come("GET", "0123456789abcdefghij"), R"(429 {"message":"Limit Exceeded"})");
  EXPECT_EQ(come("GET", "0123456789abcdefghij"), R"(429 {"message":"Limit Exceeded"})");
  clock_.passed += std::chrono::hours(5);  // the next day
  EXPECT_EQ(come("GET", "0123456789abcdefghij"), "in");
  app_->api.plans.front().throttle = {1, 1};
  EXPECT_EQ(come("GET", "0123456789abcdefghij"), "in");
  EXPECT_EQ(come("GET", "0123456789abcdefghij"), R"(429 {"message":"Too Many Requests"})");
}

TEST(QuotaLeases, RequestsAtOnceShareOne) {
  io::BlockingPool pool(4);
  const auto store = store::make_memory_store();
  GateClock clock;
  functions::UsagePlan plan;
  plan.quota = 500;
  plan.period = functions::QuotaPeriod::month;
  int let_in = 0;
  bool over = false;
  // Each gateway is killed after twenty requests that came at once.
  for (int gateway = 0; gateway < 100 && !over; ++gateway) {
    Quotas quotas({*store, pool, clock});
    boost::asio::io_context loop;
    std::vector<std::future<Result<bool>>> came;
    for (int i = 0; i < 20; ++i)
      came.push_back(
          boost::asio::co_spawn(loop, quotas.take("shop/basic/a", plan), boost::asio::use_future));
    loop.run();
    for (auto& one : came) {
      const auto taken = one.get();
      ASSERT_TRUE(taken.has_value()) << taken.error().message;
      let_in += *taken ? 1 : 0;
      over = over || !*taken;
    }
  }
  // Shares of five; twenty are four of them, and nothing is left of the last.
  EXPECT_EQ(let_in, 500);
}

TEST(QuotaPeriods, Names) {
  const WallTime now = from_epoch_us(1'763'665'200'000'000);
  EXPECT_EQ(period_name(functions::QuotaPeriod::day, now), "2025-11-20");
  EXPECT_EQ(period_name(functions::QuotaPeriod::week, now), "2025-W47");
  EXPECT_EQ(period_name(functions::QuotaPeriod::month, now), "2025-11");
}

constexpr std::string_view kNoKeys = R"({"keys":[]})";

io::Task<Result<std::string>> text_now(Result<std::string> text) {
  co_return text;
}

TEST(KeySetsTest, FetchedKeptAndKeptOnWhenNothingNewerIsThere) {
  GateClock clock;
  std::vector<std::string> asked;
  Result<std::string> next = std::string(R"({"jwks_uri":"http://keys.example/set"})");
  KeySets sets(
      [&](std::string url) {
        asked.push_back(url);
        return text_now(url.ends_with("/set") ? Result<std::string>(std::string(kNoKeys)) : next);
      },
      clock);
  functions::Authorizer authorizer;
  authorizer.name = "jwt";
  authorizer.issuer = "https://issuer.example/";
  boost::asio::io_context loop;
  const auto keys = [&](KeySets::Want want) {
    auto future = boost::asio::co_spawn(loop, sets.keys(authorizer, want), boost::asio::use_future);
    loop.run();
    loop.restart();
    return future.get().has_value();
  };
  EXPECT_TRUE(keys(KeySets::Want::any));
  EXPECT_EQ(asked,
            (std::vector<std::string>{"https://issuer.example/.well-known/openid-configuration",
                                      "http://keys.example/set"}));
  EXPECT_TRUE(keys(KeySets::Want::any));
  EXPECT_TRUE(keys(KeySets::Want::fresh));  // too soon after the last time
  EXPECT_EQ(asked.size(), 2u);
  clock.passed += seconds(11);
  EXPECT_TRUE(keys(KeySets::Want::fresh));
  EXPECT_EQ(asked.size(), 4u);
  clock.passed += std::chrono::minutes(11);
  next = Error{Code::unavailable, "down"};
  EXPECT_TRUE(keys(KeySets::Want::any));
  EXPECT_EQ(asked.size(), 5u);
  EXPECT_TRUE(keys(KeySets::Want::any));
  EXPECT_EQ(asked.size(), 5u);
}

}  // namespace
}  // namespace mayfly::gateway
