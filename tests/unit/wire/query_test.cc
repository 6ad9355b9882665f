#include "wire/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mayfly::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> parameters(std::string_view query) {
  std::vector<std::string> all;
  while (const auto one = take_parameter(query))
    all.push_back(std::string(one->name) + "|" + std::string(one->value));
  return all;
}

TEST(QueryParameters, ComeInTheirOrderAsReceived) {
  EXPECT_THAT(parameters("b=1&a=%20+&b=2"), ElementsAre("b|1", "a|%20+", "b|2"));
  EXPECT_THAT(parameters("a=b=c&d=="), ElementsAre("a|b=c", "d|="));
}

TEST(QueryParameters, NeedNoValueAndNoName) {
  EXPECT_THAT(parameters("a&b=&=c"), ElementsAre("a|", "b|", "|c"));
}

TEST(QueryParameters, EmptyOnesAreNone) {
  EXPECT_THAT(parameters("&&a&&b&"), ElementsAre("a|", "b|"));
  EXPECT_THAT(parameters(""), IsEmpty());
  EXPECT_THAT(parameters("&"), IsEmpty());
}

}  // namespace
}  // namespace mayfly::wire
