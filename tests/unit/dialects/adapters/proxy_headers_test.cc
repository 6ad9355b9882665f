#include "dialects/adapters/proxy_headers.h"

#include "dialects/adapters/fixture.h"

namespace mayfly::dialects::adapters::testing {
namespace {

TEST(ProxiedRequest, SetsWhatProxiesSet) {
  auto invocation = http_invocation("id-1");
  invocation.trace_id = "Root=1-5-6";
  const auto head = proxied_request(invocation);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->target, "/a%20b?x=1");
  EXPECT_EQ(head->headers.find("host"), "example.test");
  EXPECT_EQ(head->headers.find("x-forwarded-for"), "9.9.9.9, 10.1.2.3");
  EXPECT_EQ(head->headers.find("x-forwarded-host"), "example.test");
  EXPECT_EQ(head->headers.find("x-forwarded-proto"), "http");
  EXPECT_EQ(head->headers.find("x-forwarded-prefix"), "/function/f");
  EXPECT_EQ(head->headers.find("x-mayfly-request-id"), "id-1");
  EXPECT_EQ(head->headers.find("x-amzn-trace-id"), "Root=1-5-6");
  EXPECT_FALSE(head->headers.contains("connection"));
  EXPECT_FALSE(head->headers.contains("x-hop"));
}

}  // namespace
}  // namespace mayfly::dialects::adapters::testing
