#include "dialects/lambda/http_event.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.h"
#include "dialects/adapters/http_dialect.h"
#include "dialects/answers.h"
#include "dialects/raw_invoke.h"

namespace mayfly::dialects {
namespace {

namespace json = boost::json;
using lambda::read_v2_reply;

wire::RequestHead request(std::string method, std::string target) {
  wire::RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  head.remote_ip = "203.0.113.9";
  head.headers.add("Host", "api.example.com:8080");
  return head;
}

gateway::RouteMatch route(std::string path) {
  gateway::RouteMatch match;
  match.route_key = "$default";
  match.path = std::move(path);
  return match;
}

json::value event_of(const wire::RequestHead& head, std::string_view body,
                     const gateway::RouteMatch& match) {
  const auto text =
      lambda::write_v2_event(head, body, match, "the-id", from_epoch_us(1'763'665'200'123'000), {});
  boost::system::error_code ec;
  auto value = json::parse(text, ec);
  EXPECT_FALSE(ec) << text;
  return value;
}

std::string at(const json::value& value, const char* pointer) {
  boost::system::error_code ec;
  const auto* found = value.find_pointer(pointer, ec);
  if (found == nullptr) return "absent";
  return found->is_string() ? std::string(found->get_string()) : json::serialize(*found);
}

TEST(V2Event, HasWhatTheFormatPromises) {
  auto head = request("POST", "/a%20b/c?x=1&y=%C3%A9&x=2&flag&sp=a+b");
  head.headers.add("User-Agent", "curl/7");
  head.headers.add("X-Two", "1");
  head.headers.add("x-two", "2");
  head.headers.add("Cookie", "a=1; b=2");
  head.headers.add("cookie", "c=3");
  head.headers.add("Content-Type", "application/json");
  auto match = route("/a%20b/c");
  match.route_key = "POST /a b/{id}";
  match.parameters = {{"id", "c"}};
  const auto event = event_of(head, R"({"n":1})", match);
  EXPECT_EQ(at(event, "/version"), "2.0");
  EXPECT_EQ(at(event, "/routeKey"), "POST /a b/{id}");
  EXPECT_EQ(at(event, "/rawPath"), "/a b/c");
  EXPECT_EQ(at(event, "/rawQueryString"), "x=1&y=%C3%A9&x=2&flag&sp=a+b");
  EXPECT_EQ(at(event, "/cookies"), R"(["a=1","b=2","c=3"])");
  EXPECT_EQ(at(event, "/headers"),
            R"({"host":"api.example.com:8080","user-agent":"curl/7","x-two":"1,2",)"
            R"("content-type":"application/json"})");
  EXPECT_EQ(at(event, "/queryStringParameters"),
            "{\"x\":\"1,2\",\"y\":\"\xC3\xA9\",\"flag\":\"\",\"sp\":\"a b\"}");
  EXPECT_EQ(at(event, "/pathParameters"), R"({"id":"c"})");
  EXPECT_EQ(at(event, "/requestContext/http"),
            R"({"method":"POST","path":"/a b/c","protocol":"HTTP/1.1",)"
            R"("sourceIp":"203.0.113.9","userAgent":"curl/7"})");
  EXPECT_EQ(at(event, "/requestContext/requestId"), "the-id");
  EXPECT_EQ(at(event, "/requestContext/routeKey"), "POST /a b/{id}");
  EXPECT_EQ(at(event, "/requestContext/stage"), "$default");
  EXPECT_EQ(at(event, "/requestContext/domainName"), "api.example.com");
  EXPECT_EQ(at(event, "/requestContext/domainPrefix"), "api");
  EXPECT_EQ(at(event, "/requestContext/accountId"), "000000000000");
  EXPECT_EQ(at(event, "/requestContext/time"), "20/Nov/2025:19:00:00 +0000");
  EXPECT_EQ(at(event, "/requestContext/timeEpoch"), "1763665200123");
  EXPECT_EQ(at(event, "/body"), R"({"n":1})");
  EXPECT_EQ(at(event, "/isBase64Encoded"), "false");
}

TEST(V2Event, LeavesOutWhatIsNotThere) {
  const auto event = event_of(request("GET", "/"), "", route("/"));
  for (const char* name :
       {"/body", "/cookies", "/queryStringParameters", "/pathParameters", "/stageVariables"})
    EXPECT_EQ(at(event, name), "absent") << name;
  EXPECT_EQ(at(event, "/rawQueryString"), "");
  EXPECT_EQ(at(event, "/requestContext/http/userAgent"), "");
}

TEST(V2Event, BodyIsTextWhereItIsText) {
  struct Case {
    std::string type, body;
    bool text;
  };
  const std::string latin = "caf\xe9", utf8 = "caf\xc3\xa9";
  const Case cases[] = {
      {"", utf8, true},
      {"", latin, false},
      {"text/html; charset=utf-8", utf8, true},
      {"text/plain", latin, false},
      {"Application/JSON", "{}", true},
      {"application/vnd.api+json", "{}", true},
      {"image/svg+xml", "<svg/>", true},
      {"application/x-www-form-urlencoded", "a=1", true},
      {"application/octet-stream", "abc", false},
      {"image/png", "abc", false},
      {"multipart/form-data; boundary=x", "--x--", false},
  };
  for (const auto& c : cases) {
    auto head = request("PUT", "/");
    if (!c.type.empty()) head.headers.add("Content-Type", c.type);
    const auto event = event_of(head, c.body, route("/"));
    EXPECT_EQ(at(event, "/isBase64Encoded"), c.text ? "false" : "true") << c.type;
    const auto body = at(event, "/body");
    EXPECT_EQ(c.text ? body : decode_base64(body).value_or("?"), c.body) << c.type;
  }
  auto zipped = request("PUT", "/");
  zipped.headers.add("Content-Type", "text/plain");
  zipped.headers.add("Content-Encoding", "gzip");
  EXPECT_EQ(at(event_of(zipped, "abc", route("/")), "/isBase64Encoded"), "true");
}

TEST(V2Event, WhatIsNotDecodableStaysAsItCame) {
  const auto event = event_of(request("GET", "/%zz?a=%zz&%00=1&&=x"), "", route("/%zz"));
  EXPECT_EQ(at(event, "/rawPath"), "/%zz");
  EXPECT_EQ(at(event, "/queryStringParameters"), R"({"a":"%zz","%00":"1","":"x"})");
}

TEST(V2Event, ManyParametersTakeLinearTime) {
  std::string query;
  for (int i = 0; i < 20'000; ++i) query += "k" + std::to_string(i) + "=v&";
  const auto event = event_of(request("GET", "/?" + query), "", route("/"));
  EXPECT_EQ(event.at("queryStringParameters").as_object().size(), 20'000u);
}

TEST(V2Event, HostOfAnAddress) {
  auto head = request("GET", "/");
  head.headers.set("Host", "[::1]:8080");
  EXPECT_EQ(at(event_of(head, "", route("/")), "/requestContext/domainName"), "[::1]");
}

// ---- replies

TEST(V2Reply, ObjectWithStatus) {
  const auto reply = read_v2_reply(
      R"({"statusCode":201,"headers":{"X-A":"1","x-n":7,"x-b":true,"x-null":null,)"
      R"("Content-Length":"999","Connection":"close"},"multiValueHeaders":{"X-M":["1","2"]},)"
      R"("cookies":["a=1; Path=/","b=2"],"body":"hi","other":[1,{"x":2}]})");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->head.status, 201);
  EXPECT_EQ(reply->body, "hi");
  std::string fields;
  for (const auto field : reply->head.headers)
    fields.append(field.name).append("=").append(field.value).append("|");
  EXPECT_EQ(fields,
            "X-A=1|x-n=7|x-b=true|X-M=1|X-M=2|Set-Cookie=a=1; Path=/|Set-Cookie=b=2|"
            "Content-Type=text/plain; charset=utf-8|");
}

TEST(V2Reply, HeaderInBothFormsCountsOnce) {
  const auto reply = read_v2_reply(
      R"({"statusCode":200,"headers":{"X-M":"0"},"multiValueHeaders":{"X-M":["1","2"]}})");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->head.headers.size(), 2u);
  EXPECT_EQ(reply->body, "");
}

TEST(V2Reply, Base64Body) {
  const auto reply = read_v2_reply(
      R"({"statusCode":200,"headers":{"content-type":"image/png"},"body":"AAH/","isBase64Encoded":true})");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body, std::string("\0\1\xff", 3));
  EXPECT_EQ(reply->head.headers.find("content-type"), "image/png");
  EXPECT_EQ(reply->head.headers.size(), 1u);
}

TEST(V2Reply, AnyOtherValueIsTheBody) {
  for (const char* text : {R"({"a":1})", "[1,2]", "3", "true", "null", R"({"body":"x"})"}) {
    const auto reply = read_v2_reply(text);
    ASSERT_TRUE(reply.has_value()) << text;
    EXPECT_EQ(reply->head.status, 200);
    EXPECT_EQ(reply->body, text);
    EXPECT_EQ(reply->head.headers.find("content-type"), "application/json");
  }
  const auto text = read_v2_reply(R"("Hello \"you\"")");
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->body, "Hello \"you\"");
  EXPECT_EQ(text->head.headers.find("content-type"), "application/json");
}

TEST(V2Reply, StatusInTheFormsThatLanguagesMake) {
  EXPECT_EQ(read_v2_reply(R"({"statusCode":"404"})")->head.status, 404);
  EXPECT_EQ(read_v2_reply(R"({"statusCode":204.0})")->head.status, 204);
}

TEST(V2Reply, BreachesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no JSON"},
      {"{", "no JSON"},
      {"{} x", "no JSON"},
      {R"({"statusCode":"abc"})", "statusCode"},
      {R"({"statusCode":99})", "statusCode"},
      {R"({"statusCode":100})", "statusCode"},
      {R"({"statusCode":600})", "statusCode"},
      {R"({"statusCode":200.5})", "statusCode"},
      {R"({"statusCode":1e300})", "statusCode"},
      {R"({"statusCode":null})", "statusCode"},
      {R"({"statusCode":18446744073709551615})", "statusCode"},
      {R"({"statusCode":200,"headers":[]})", "headers"},
      {R"({"statusCode":200,"headers":{"a b":"x"}})", "token"},
      {R"({"statusCode":200,"headers":{"a":"x\r\nSet-Cookie: y"}})", "line break"},
      {R"({"statusCode":200,"headers":{"a":{}}})", "no text"},
      {R"({"statusCode":200,"multiValueHeaders":{"a":"x"}})", "no arrays"},
      {R"({"statusCode":200,"cookies":"a=1"})", "cookies"},
      {R"({"statusCode":200,"cookies":[1]})", "cookie"},
      {R"({"statusCode":200,"cookies":["a\nb"]})", "line break"},
      {R"({"statusCode":200,"body":{"a":1}})", "body"},
      {R"({"statusCode":200,"body":"*","isBase64Encoded":true})", "base64"},
      {R"({"statusCode":200,"isBase64Encoded":"yes"})", "isBase64Encoded"},
  };
  for (const auto& [text, part] : cases) {
    const auto reply = read_v2_reply(text);
    ASSERT_TRUE(reply.has_error()) << text;
    EXPECT_NE(reply.error().message.find(part), std::string::npos) << reply.error().message;
    EXPECT_TRUE(reply.error().message.starts_with("its reply")) << reply.error().message;
  }
  const std::string deep(100'000, '[');
  EXPECT_TRUE(read_v2_reply(deep).has_error());
}

// ---- the dialects around them

struct OneBody final : io::BodyReader {
  explicit OneBody(std::string t) : text(std::move(t)) {}
  io::Task<Result<std::string>> read() override { co_return std::exchange(text, {}); }
  std::string text;
};

template <class T>
T run(io::Task<T> task) {
  boost::asio::io_context loop;
  std::optional<T> result;
  boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr problem, T value) {
    if (problem) std::rethrow_exception(problem);
    result.emplace(std::move(value));
  });
  loop.run();
  return std::move(*result);
}

TEST(EventDialect, MakesAnEventOfARequest) {
  lambda::EventSettings settings;
  settings.body_bytes_max = 5;
  const auto dialect = lambda::make_event_dialect(settings);
  EXPECT_EQ(dialect->whole_body_max(), 5u);
  io::HttpRequest http;
  http.head = request("POST", "/function/f/x");
  http.head.headers.add("traceparent", "00-abc");
  http.body = "one,two";
  auto invocation = dialect->to_invocation(http, route("/x"), "id-1");
  ASSERT_TRUE(invocation.has_value());
  EXPECT_EQ(invocation->kind, engine::PayloadKind::event);
  EXPECT_EQ(invocation->request_id, "id-1");
  EXPECT_EQ(invocation->trace_id, "00-abc");
  EXPECT_NE(invocation->body.find("\"body\":\"one,two\""), std::string::npos);
  EXPECT_EQ(invocation->more, nullptr);
}

TEST(EventDialect, MalformedReplyIsA502ThatNamesTheFunction) {
  const auto dialect = lambda::make_event_dialect();
  engine::Answer answer;
  answer.request_id = "id-7";
  answer.function = "hello";
  answer.reply.body = R"({"statusCode":"x"})";
  const auto response = dialect->to_response(answer, route("/"));
  EXPECT_EQ(response.head.status, 502);
  EXPECT_NE(response.body.find("function hello gave no valid answer"), std::string::npos);
  EXPECT_NE(response.body.find("id-7"), std::string::npos);
  EXPECT_EQ(response.head.headers.find("x-mayfly-error"),
            "function_error; party=function; phase=reply");
}

TEST(EventDialect, FailureAndStreamedHttpAnswer) {
  const auto dialect = lambda::make_event_dialect();
  engine::Answer failed;
  failed.failure = std::make_shared<engine::Failure>();
  failed.failure->outcome = telemetry::Outcome::timeout;
  failed.failure->code = Code::deadline_exceeded;
  EXPECT_EQ(dialect->to_response(failed, route("/")).head.status, 504);

  engine::Answer streamed;
  streamed.reply.kind = engine::PayloadKind::http;
  streamed.reply.head = R"({"status":202,"headers":[["x-a","1"]]})";
  streamed.reply.body = "first";
  streamed.reply.more = std::make_unique<OneBody>("rest");
  const auto response = dialect->to_response(streamed, route("/"));
  EXPECT_EQ(response.head.status, 202);
  EXPECT_EQ(response.body, "first");
  EXPECT_NE(response.more, nullptr);
}

TEST(HttpDialect, PassesHeadAndBodyThrough) {
  const auto dialect = adapters::make_http_dialect();
  io::HttpRequest http;
  http.head = request("PATCH", "/function/f/a%20b?x=1");
  http.body = "bytes";
  auto match = route("/a%20b");
  match.base = "/function/f";
  EXPECT_EQ(dialect->whole_body_max(), std::nullopt);
  auto invocation = dialect->to_invocation(http, match, "id");
  ASSERT_TRUE(invocation.has_value());
  EXPECT_EQ(invocation->kind, engine::PayloadKind::http);
  EXPECT_EQ(invocation->body, "bytes");
  const auto head = json::parse(invocation->head);
  EXPECT_EQ(at(head, "/method"), "PATCH");
  EXPECT_EQ(at(head, "/path"), "/a%20b");
  EXPECT_EQ(at(head, "/query"), "x=1");
  EXPECT_EQ(at(head, "/base"), "/function/f");
  EXPECT_EQ(at(head, "/remote"), "203.0.113.9");
}

TEST(HttpDialect, HeadThatIsNoneIsA502) {
  const auto dialect = adapters::make_http_dialect();
  for (const char* head :
       {"", "[]", R"({"status":20,"headers":[]})", R"({"status":200,"headers":[["a b","x"]]})",
        R"({"status":200,"headers":[["a","x\r\ny"]]})"}) {
    engine::Answer answer;
    answer.function = "web";
    answer.reply.kind = engine::PayloadKind::http;
    answer.reply.head = head;
    const auto response = dialect->to_response(answer, route("/"));
    EXPECT_EQ(response.head.status, 502) << head;
    EXPECT_NE(response.body.find("function web"), std::string::npos) << head;
  }
}

TEST(RawInvoke, EventModelsGetTheBytesAndHttpModelsAPost) {
  auto version = std::make_shared<functions::Version>();
  const auto event = raw_invocation(version, functions::Model::runtime_api, "{\"a\":1}", "");
  EXPECT_EQ(event.kind, engine::PayloadKind::event);
  EXPECT_EQ(event.body, "{\"a\":1}");
  EXPECT_EQ(event.head, "");
  const auto http = raw_invocation(version, functions::Model::stdio, "abc", "text/plain");
  EXPECT_EQ(http.kind, engine::PayloadKind::http);
  const auto head = json::parse(http.head);
  EXPECT_EQ(at(head, "/method"), "POST");
  EXPECT_EQ(at(head, "/path"), "/");
  EXPECT_NE(http.head.find(R"(["Content-Type","text/plain"])"), std::string::npos);
  EXPECT_NE(http.head.find(R"(["Content-Length","3"])"), std::string::npos);
}

TEST(RawInvoke, AnswerIsCollected) {
  engine::Answer answer;
  answer.reply.body = "one,";
  answer.reply.more = std::make_unique<OneBody>("two");
  EXPECT_EQ(run(raw_answer(std::move(answer), 100)).value(), "one,two");
  engine::Answer large;
  large.reply.body = "12345";
  EXPECT_EQ(run(raw_answer(std::move(large), 4)).error().code, Code::too_large);
  engine::Answer failed;
  failed.failure = std::make_shared<engine::Failure>();
  failed.failure->message = "no";
  EXPECT_EQ(run(raw_answer(std::move(failed), 100)).error().message, "no");
}

TEST(Base64, RoundTripsEveryLength) {
  std::string bytes;
  for (int size = 0; size < 300; ++size) {
    std::string text;
    append_base64(text, bytes);
    EXPECT_EQ(text.size() % 4, 0u);
    EXPECT_EQ(decode_base64(text), bytes);
    while (text.ends_with('=')) text.pop_back();
    EXPECT_EQ(decode_base64(text), bytes);
    bytes += static_cast<char>(size * 7);
  }
  EXPECT_EQ(decode_base64("QQ=="), "A");
  for (const char* bad : {"A", "A===", "QQ*=", "Q\nQ=", "====", "AAAAA"})
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace mayfly::dialects
