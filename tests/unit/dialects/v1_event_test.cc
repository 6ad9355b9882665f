#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "dialects/lambda/authorizer.h"
#include "dialects/lambda/http_event.h"

namespace mayfly::dialects {
namespace {

namespace json = boost::json;

class V1 : public ::testing::Test {
 protected:
  V1() {
    head_.method = "POST";
    head_.target = "/prod/pets/7?a=1&a=2&b=x%20y";
    head_.remote_ip = "203.0.113.9";
    head_.headers.add("Host", "api.example.com:8080");
    head_.headers.add("User-Agent", "curl/7");
    head_.headers.add("X-Two", "1");
    head_.headers.add("x-two", "2");
    auto app = std::make_shared<functions::App>();
    app->name = "pets";
    functions::Stage stage;
    stage.name = "prod";
    stage.variables = {{"table", "live"}};
    app->api.stages.push_back(stage);
    app_ = app;
    match_.route_key = "POST /pets/{id}";
    match_.resource = "/pets/{id}";
    match_.base = "/prod";
    match_.path = "/pets/7";
    match_.stage = "prod";
    match_.api_id = "pets";
    match_.parameters = {{"id", "7"}};
    match_.app = app_;
    match_.stage_settings = &app_->api.stages.front();
    match_.event = functions::EventForm::v1;
  }

  json::value event(std::string_view body = "", bool v2 = false) {
    const auto write = v2 ? lambda::write_v2_event : lambda::write_v1_event;
    const auto text =
        write(head_, body, match_, "the-id", from_epoch_us(1'763'665'200'123'000), {});
    boost::system::error_code failed;
    auto value = json::parse(text, failed);
    EXPECT_FALSE(failed) << text;
    return value;
  }
  static std::string at(const json::value& value, const char* pointer) {
    boost::system::error_code ec;
    const auto* found = value.find_pointer(pointer, ec);
    if (found == nullptr) return "absent";
    return found->is_string() ? std::string(found->get_string()) : json::serialize(*found);
  }

  wire::RequestHead head_;
  gateway::RouteMatch match_;
  std::shared_ptr<functions::App> app_;
};

TEST_F(V1, HasWhatTheFormatPromises) {
  const auto e = event("{\"x\":1}");
  EXPECT_EQ(at(e, "/resource"), "/pets/{id}");
  EXPECT_EQ(at(e, "/path"), "/pets/7");
  EXPECT_EQ(at(e, "/httpMethod"), "POST");
  EXPECT_EQ(at(e, "/headers/X-Two"), "2");
  EXPECT_EQ(at(e, "/multiValueHeaders/X-Two"), R"(["1","2"])");
  EXPECT_EQ(at(e, "/headers/User-Agent"), "curl/7");
  EXPECT_EQ(at(e, "/queryStringParameters"), R"({"a":"2","b":"x y"})");
  EXPECT_EQ(at(e, "/multiValueQueryStringParameters"), R"({"a":["1","2"],"b":["x y"]})");
  EXPECT_EQ(at(e, "/pathParameters"), R"({"id":"7"})");
  EXPECT_EQ(at(e, "/stageVariables"), R"({"table":"live"})");
  EXPECT_EQ(at(e, "/body"), "{\"x\":1}");
  EXPECT_EQ(at(e, "/isBase64Encoded"), "false");
  EXPECT_EQ(at(e, "/requestContext/resourcePath"), "/pets/{id}");
  EXPECT_EQ(at(e, "/requestContext/path"), "/prod/pets/7");
  EXPECT_EQ(at(e, "/requestContext/stage"), "prod");
  EXPECT_EQ(at(e, "/requestContext/httpMethod"), "POST");
  EXPECT_EQ(at(e, "/requestContext/identity/sourceIp"), "203.0.113.9");
  EXPECT_EQ(at(e, "/requestContext/identity/userAgent"), "curl/7");
  EXPECT_EQ(at(e, "/requestContext/identity/apiKey"), "absent");
  EXPECT_EQ(at(e, "/requestContext/requestId"), "the-id");
  EXPECT_EQ(at(e, "/requestContext/requestTimeEpoch"), "1763665200123");
  EXPECT_EQ(at(e, "/requestContext/requestTime"), "20/Nov/2025:19:00:00 +0000");
  EXPECT_EQ(at(e, "/requestContext/domainName"), "api.example.com");
  EXPECT_EQ(at(e, "/requestContext/domainPrefix"), "api");
  EXPECT_EQ(at(e, "/requestContext/apiId"), "pets");
  EXPECT_EQ(at(e, "/requestContext/authorizer"), "absent");
  EXPECT_EQ(at(e, "/version"), "absent");
}

TEST_F(V1, WhatIsNotThereIsNull) {
  head_.target = "/pets";
  match_.parameters.clear();
  match_.stage_settings = nullptr;
  const auto e = event();
  for (const char* name : {"/queryStringParameters", "/multiValueQueryStringParameters",
                           "/pathParameters", "/stageVariables", "/body"})
    EXPECT_EQ(at(e, name), "null") << name;
}

TEST_F(V1, BinaryMediaTypesDecide) {
  head_.headers.add("Content-Type", "image/png");
  EXPECT_EQ(at(event("abc"), "/isBase64Encoded"), "true");  // without types of its own: by type
  app_->api.binary = {"image/*"};
  EXPECT_EQ(at(event("abc"), "/body"), "YWJj");
  head_.headers.set("Content-Type", "application/octet-stream");
  EXPECT_EQ(at(event("abc"), "/body"), "abc");
  EXPECT_EQ(at(event("\xff"), "/isBase64Encoded"), "true");  // no text at all
}

TEST_F(V1, V2HasStageVariablesAndTheStageInItsPath) {
  match_.event = functions::EventForm::v2;
  const auto e = event("", true);
  EXPECT_EQ(at(e, "/rawPath"), "/prod/pets/7");
  EXPECT_EQ(at(e, "/requestContext/stage"), "prod");
  EXPECT_EQ(at(e, "/stageVariables/table"), "live");
}

TEST_F(V1, AuthorizersInTheContext) {
  match_.identity.kind = gateway::Identity::Kind::lambda;
  match_.identity.principal = "me";
  match_.identity.context = R"({"plan":"gold"})";
  EXPECT_EQ(at(event(), "/requestContext/authorizer"),
            R"({"principalId":"me","integrationLatency":0,"plan":"gold"})");
  EXPECT_EQ(at(event("", true), "/requestContext/authorizer"), R"({"lambda":{"plan":"gold"}})");
  match_.identity.context = "";
  EXPECT_EQ(at(event("", true), "/requestContext/authorizer/lambda"), "null");

  match_.identity.kind = gateway::Identity::Kind::jwt;
  match_.identity.claims = R"({"sub":"u","exp":1700000000,"groups":["a","b"],"ok":true})";
  match_.identity.scopes = {"read"};
  EXPECT_EQ(
      at(event("", true), "/requestContext/authorizer/jwt"),
      R"({"claims":{"sub":"u","exp":"1700000000","groups":"[a b]","ok":"true"},"scopes":["read"]})");

  match_.identity = {};
  match_.identity.kind = gateway::Identity::Kind::iam;
  match_.identity.access_key = "AKIA1";
  EXPECT_EQ(at(event("", true), "/requestContext/authorizer/iam/accessKey"), "AKIA1");
  EXPECT_EQ(at(event(), "/requestContext/identity/accessKey"), "AKIA1");
}

TEST_F(V1, FunctionUrlsSayWhoTheyAre) {
  match_ = {};
  match_.route_key = "$default";
  match_.base = "/url/abc";
  match_.path = "/x";
  match_.api_id = "abc";
  match_.url = true;
  auto e = event("", true);
  EXPECT_EQ(at(e, "/rawPath"), "/x");
  EXPECT_EQ(at(e, "/requestContext/accountId"), "anonymous");
  EXPECT_EQ(at(e, "/requestContext/apiId"), "abc");
  EXPECT_EQ(at(e, "/requestContext/domainName"), "abc.lambda-url.us-east-1.on.aws");
  EXPECT_EQ(at(e, "/requestContext/domainPrefix"), "abc");
  match_.identity.kind = gateway::Identity::Kind::iam;
  EXPECT_EQ(at(event("", true), "/requestContext/accountId"), "000000000000");
}

TEST_F(V1, Replies) {
  const auto body = [this](std::string_view reply) {
    auto response = lambda::read_v1_reply(reply, match_);
    return response.has_value()
               ? std::to_string(response->head.status) + " " + response->body + " " +
                     std::string(response->head.headers.find("content-type").value_or("-"))
               : "refused";
  };
  EXPECT_EQ(body(R"({"statusCode":200,"body":"x"})"), "200 x application/json");
  EXPECT_EQ(body(R"({"statusCode":200,"headers":{"content-type":"text/plain; charset=utf-8"},
                     "body":"x"})"),
            "200 x text/plain; charset=utf-8");
  EXPECT_EQ(body(R"("text")"), "refused");
  EXPECT_EQ(body(R"({"body":"x"})"), "refused");
  const std::string binary =
      R"({"statusCode":200,"multiValueHeaders":{"Content-Type":["image/png"]},"body":"YWJj",
          "isBase64Encoded":true})";
  EXPECT_EQ(body(binary), "200 abc image/png");
  app_->api.binary = {"image/png"};
  EXPECT_EQ(body(binary), "200 YWJj image/png");  // the client did not ask for it
  match_.accept = "image/png, text/html";
  EXPECT_EQ(body(binary), "200 abc image/png");
}

TEST_F(V1, QuestionsToAuthorizers) {
  const auto dialect = lambda::make_authorizer_dialect();
  functions::Authorizer authorizer;
  authorizer.kind = functions::Authorizer::Kind::token;
  const auto ask = [&](std::vector<std::string> identity) {
    return json::parse(dialect->question(authorizer, head_, match_, identity, "the-id"));
  };
  const std::string arn = "arn:aws:execute-api:us-east-1:000000000000:pets/prod/POST/pets/7";
  EXPECT_EQ(dialect->resource(head_, match_), arn);
  auto e = ask({"Bearer x"});
  EXPECT_EQ(json::serialize(e),
            R"({"type":"TOKEN","methodArn":")" + arn + R"(","authorizationToken":"Bearer x"})");
  authorizer.kind = functions::Authorizer::Kind::request;
  authorizer.payload = functions::EventForm::v1;
  e = ask({"a", "b"});
  EXPECT_EQ(at(e, "/type"), "REQUEST");
  EXPECT_EQ(at(e, "/methodArn"), arn);
  EXPECT_EQ(at(e, "/identitySource"), "a,b");
  EXPECT_EQ(at(e, "/pathParameters/id"), "7");
  EXPECT_EQ(at(e, "/requestContext/stage"), "prod");
  EXPECT_EQ(at(e, "/body"), "absent");
  authorizer.payload = functions::EventForm::v2;
  e = ask({"a"});
  EXPECT_EQ(at(e, "/version"), "2.0");
  EXPECT_EQ(at(e, "/routeArn"), arn);
  EXPECT_EQ(at(e, "/identitySource"), R"(["a"])");
  EXPECT_EQ(at(e, "/routeKey"), "POST /pets/{id}");
  EXPECT_EQ(at(e, "/isBase64Encoded"), "absent");
  EXPECT_EQ(at(ask({}), "/identitySource"), "null");
}

TEST(AuthorizerAnswers, PoliciesAndTheSimpleForm) {
  const auto dialect = lambda::make_authorizer_dialect();
  functions::Authorizer authorizer;
  authorizer.kind = functions::Authorizer::Kind::request;
  authorizer.simple = true;
  auto grant = dialect->answer(authorizer, R"({"isAuthorized":true,"context":{"n":1}})");
  ASSERT_TRUE(grant.has_value());
  EXPECT_TRUE(grant->allowed);
  EXPECT_EQ(grant->context, R"({"n":1})");
  EXPECT_FALSE(dialect->answer(authorizer, R"({"isAuthorized":"yes"})").has_value());

  authorizer.simple = false;
  authorizer.payload = functions::EventForm::v1;
  const auto policy = [](std::string_view effect, std::string_view resource) {
    return R"({"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[{)" +
           std::string(R"("Action":"execute-api:Invoke","Effect":")") + std::string(effect) +
           R"(","Resource":)" + std::string(resource) +
           R"(}]},"context":{"n":1,"b":true,"t":"x"},"usageIdentifierKey":"k"})";
  };
  const std::string arn = "arn:aws:execute-api:us-east-1:0:pets/prod/GET/pets/7";
  grant = dialect->answer(authorizer,
                          policy("Allow", R"(["arn:aws:execute-api:*:*:pets/*/GET/*","other"])"));
  ASSERT_TRUE(grant.has_value()) << grant.error().message;
  EXPECT_EQ(gateway::word_of(*grant, arn), gateway::Word::allow);
  EXPECT_EQ(gateway::word_of(*grant, "arn:aws:execute-api:us-east-1:0:pets/prod/POST/pets/7"),
            gateway::Word::silent);
  EXPECT_EQ(grant->context, R"({"n":"1","b":"true","t":"x"})");
  EXPECT_EQ(grant->api_key, "k");
  grant = dialect->answer(authorizer, policy("Deny", R"("*")"));
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(gateway::word_of(*grant, arn), gateway::Word::deny);
  for (const std::string& bad :
       {std::string("null"), std::string("{}"), std::string(R"({"principalId":"p"})"),
        policy("Perhaps", R"("*")"), policy("Allow", "7"),
        std::string(R"({"principalId":"p","policyDocument":{"Statement":[]},"context":{"o":{}}})")})
    EXPECT_FALSE(dialect->answer(authorizer, bad).has_value()) << bad;
}

TEST(Patterns, StarsAndQuestionMarks) {
  using gateway::matches_pattern;
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a*c?e", "abbbcde"));
  EXPECT_TRUE(matches_pattern("*/GET/*", "x/GET/pets/GET/1"));
  EXPECT_FALSE(matches_pattern("a*c", "ab"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_FALSE(matches_pattern(std::string(2000, '*') + "b", std::string(20'000, 'a')));
}

}  // namespace
}  // namespace mayfly::dialects
