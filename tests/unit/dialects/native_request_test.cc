#include "dialects/native/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "gateway/errors.h"

namespace mayfly::dialects::native {
namespace {

using ::testing::HasSubstr;

TEST(NativeRoutes, FindTheirEndpointAndName) {
  EXPECT_EQ(match_route("GET", "/v1/functions").endpoint, Endpoint::list_functions);
  const auto put = match_route("PUT", "/v1/functions/hello");
  EXPECT_EQ(put.endpoint, Endpoint::put_function);
  EXPECT_EQ(put.name, "hello");
  EXPECT_EQ(match_route("POST", "/v1/functions/hello:3/invoke").name, "hello:3");
  EXPECT_EQ(match_route("POST", "/v1/functions/hello%3A%24LATEST/invoke").name, "hello:$LATEST");
  EXPECT_EQ(match_route("HEAD", "/v1/packages/abc").endpoint, Endpoint::head_package);
  EXPECT_EQ(match_route("HEAD", "/v1/info").endpoint, Endpoint::info);
}

TEST(NativeRoutes, KnownPathWithAnotherMethodSaysWhichAreAllowed) {
  const auto match = match_route("PATCH", "/v1/functions/hello");
  EXPECT_FALSE(match.endpoint);
  EXPECT_EQ(match.allow, "PUT, GET, HEAD, DELETE");
  EXPECT_EQ(match_route("GET", "/v1/packages").allow, "PUT");
}

TEST(NativeRoutes, UnknownPathsMatchNothing) {
  for (const char* path :
       {"/", "/v1", "/v1/", "/v1/functions/", "/v1/functions//invoke", "/v1/functions/a/b",
        "/v2/functions", "/v1/functions/a%00", "/v1/functions/a%zz", "/v1/info/"}) {
    const auto match = match_route("GET", path);
    EXPECT_FALSE(match.endpoint) << path;
    EXPECT_EQ(match.allow, "") << path;
  }
}

TEST(NativeQuery, DecodesAndNamesWhatItDoesNotKnow) {
  const auto query = parse_query("a=1%202&b=x+y&c", {"a", "b", "c"});
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->at("a"), "1 2");
  EXPECT_EQ(query->at("b"), "x y");
  EXPECT_EQ(query->at("c"), "");
  EXPECT_THAT(parse_query("d=1", {"a", "b"}).error().message,
              HasSubstr("\"d\" here; there are a, b"));
  EXPECT_TRUE(parse_query("a=%4", {"a"}).has_error());
}

TEST(NativeCredential, OnlyTheKeyItselfFits) {
  EXPECT_TRUE(credential_matches("Bearer secret", "secret"));
  EXPECT_TRUE(credential_matches("bearer secret", "secret"));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "secret",
                            "Basic secret", "Bearer  secret"})
    EXPECT_FALSE(credential_matches(wrong, "secret")) << wrong;
  EXPECT_FALSE(credential_matches("Bearer ", ""));  // a server without a key lets nobody in
}

TEST(NativeBody, NamesTheWrongKeyAndTheWrongPlace) {
  EXPECT_TRUE(parse_object(R"({"package":"a"})", {"package"}).has_value());
  EXPECT_THAT(parse_object(R"({"pakage":"a"})", {"package", "check"}).error().message,
              HasSubstr("\"pakage\"; there are package, check"));
  EXPECT_THAT(parse_object(R"({"package":})", {"package"}).error().message, HasSubstr("byte 11"));
  EXPECT_THAT(parse_object("[1]", {"package"}).error().message, HasSubstr("object"));
  EXPECT_TRUE(parse_object(R"({} x)", {}).has_error());
  EXPECT_TRUE(parse_object("", {}).has_error());
  EXPECT_TRUE(parse_object(" {} \r\n", {}).has_value());
  EXPECT_TRUE(parse_object(std::string(5000, '['), {}).has_error());
}

TEST(NativeStatus, EveryOutcomeHasItsStatus) {
  engine::Failure failure;
  failure.outcome = telemetry::Outcome::timeout;
  EXPECT_EQ(gateway::http_status(failure), 504);
  failure.outcome = telemetry::Outcome::refused;
  EXPECT_EQ(gateway::http_status(failure), 429);
  failure.outcome = telemetry::Outcome::crash;
  EXPECT_EQ(gateway::http_status(failure), 502);
  failure.outcome = telemetry::Outcome::platform_error;
  failure.code = Code::unavailable;
  EXPECT_EQ(gateway::http_status(failure), 503);
  EXPECT_EQ(gateway::http_status(Code::too_large), 413);
  EXPECT_EQ(gateway::http_status(Code::unauthenticated), 401);
}

}  // namespace
}  // namespace mayfly::dialects::native
