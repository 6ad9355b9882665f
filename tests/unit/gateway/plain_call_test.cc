#include "gateway/plain_call.h"

#include <gtest/gtest.h>

namespace mayfly::gateway {
namespace {

std::string name_in(const std::string& target,
                    const std::vector<std::pair<std::string, std::string>>& fields = {}) {
  wire::RequestHead head;
  head.method = "POST";
  head.target = target;
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  return plain_call(head).value_or("-");
}

TEST(PlainCall, IsACallOfAFunctionByItsName) {
  EXPECT_EQ(name_in("/function/hello"), "hello");
  EXPECT_EQ(name_in("/function/hello/a/b?c=d"), "hello");
  EXPECT_EQ(name_in("/function/h%65llo"), "hello");
  EXPECT_EQ(name_in("/function/hello", {{"X-Mayfly-Async", "0"}, {"Host", "a.example"}}), "hello");
}

TEST(PlainCall, IsNothingThatNeedsMoreOfTheGateway) {
  EXPECT_EQ(name_in("/"), "-");
  EXPECT_EQ(name_in("/functions/hello"), "-");
  EXPECT_EQ(name_in("/function/hello:live"), "-");
  EXPECT_EQ(name_in("/async-function/hello"), "-");
  EXPECT_EQ(name_in("/function/hello", {{"X-Mayfly-Async", "1"}}), "-");
  EXPECT_EQ(name_in("/function/hello", {{"Upgrade", "websocket"}}), "-");
  EXPECT_EQ(name_in("/function/hello", {{"Host", "abc.lambda-url.us-east-1.example"}}), "-");
  EXPECT_EQ(name_in("/url/abc"), "-");
}

}  // namespace
}  // namespace mayfly::gateway
