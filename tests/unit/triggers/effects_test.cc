#include "triggers/effects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "triggers/services.h"

namespace mayfly::triggers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string problem(const std::string& json) {
  const auto read = parse_effects(json);
  EXPECT_TRUE(read.has_error()) << json;
  return read.has_error() ? read.error().message : "taken";
}

TEST(Effects, ReadsEverything) {
  const auto read = parse_effects(R"({
    "require":[{"key":"a","etag":"12"},{"key":"b","etag":null}],
    "put":[{"key":"c","value":{"x": 1.50}}], "delete":["d"],
    "add":[{"key":"e","delta":-5,"at_least":0},{"key":"f","delta":1,"at_least":null}],
    "send":[{"queue":"clicks","body":"text","delay_s":7,"group":"g","deduplication_id":"i",
             "attributes":{"s":{"type":"String","value":"v"},"b":{"type":"Binary","value":"AAE="}}},
            {"queue":"queue:other","body":""}]})");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const auto& c = read->changes;
  ASSERT_EQ(c.require.size(), 2u);
  EXPECT_EQ(c.require[0].etag, "12");
  EXPECT_FALSE(c.require[1].etag.has_value());
  EXPECT_EQ(c.puts.at(0).value, R"({"x": 1.50})");
  EXPECT_THAT(c.deletes, ElementsAre("d"));
  EXPECT_EQ(c.adds.at(0).at_least, 0);
  EXPECT_FALSE(c.adds.at(1).at_least.has_value());
  ASSERT_EQ(read->sends.size(), 2u);
  const auto& m = read->sends[0].second;
  EXPECT_EQ(read->sends[0].first, "clicks");
  EXPECT_EQ(m.delay_s, 7u);
  EXPECT_EQ(m.group, "g");
  ASSERT_EQ(m.attributes.size(), 2u);
  EXPECT_EQ(m.attributes[1].value, std::string("\0\1", 2));
  EXPECT_EQ(read->sends[1].first, "other");
  EXPECT_TRUE(parse_effects("")->changes.empty());
  EXPECT_TRUE(parse_effects("{}")->changes.empty());
}

TEST(Effects, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(problem("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(problem("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(problem(R"({"puts":[]})"), HasSubstr("no member \"puts\""));
  EXPECT_THAT(problem(R"({"put":{}})"), HasSubstr("\"put\" must be a list"));
  EXPECT_THAT(problem(R"({"put":[{"key":"k"}]})"), HasSubstr("needs \"key\" and \"value\""));
  EXPECT_THAT(problem(R"({"put":[{"key":5,"value":1}]})"), HasSubstr("must be a text"));
  EXPECT_THAT(problem(R"({"put":[{"key":"","value":1}]})"), HasSubstr("must not be empty"));
  EXPECT_THAT(problem(R"({"put":[{"key":"k","value":1},{"key":"k","value":2}]})"),
              HasSubstr("\"k\" is written twice"));
  EXPECT_THAT(problem(R"({"add":[{"key":"k","delta":0.5}]})"), HasSubstr("whole number"));
  EXPECT_THAT(problem(R"({"add":[{"key":"k"}]})"), HasSubstr("needs \"key\" and \"delta\""));
  EXPECT_THAT(problem(R"({"send":[{"queue":"q"}]})"), HasSubstr("needs \"queue\" and \"body\""));
  EXPECT_THAT(problem(R"({"send":[{"queue":".calls","body":""}]})"), HasSubstr("own queue"));
  EXPECT_THAT(problem(R"({"send":[{"queue":"q","body":"","delay_s":901}]})"),
              HasSubstr("\"q\": delay_s"));
  EXPECT_THAT(
      problem(
          R"({"send":[{"queue":"q","body":"","attributes":{"a":{"type":"Binary","value":"!"}}}]})"),
      HasSubstr("no base64"));
  EXPECT_EQ(parse_effects(R"({"put":[{"key":")" + std::string(1025, 'k') + R"(","value":1}]})")
                .error()
                .code,
            Code::too_large);
}

TEST(Effects, Questions) {
  const auto get = parse_question(R"({"op":"state.get","key":"k"})");
  ASSERT_TRUE(get.has_value());
  EXPECT_EQ(get->key, "k");
  const auto list = parse_question(R"({"op":"state.list","prefix":"p","limit":7,"after":"k"})");
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->op, Question::Op::list);
  EXPECT_EQ(list->limit, 7u);
  for (const char* bad :
       {"{}", R"({"op":"state.set","key":"k"})", R"({"op":"state.get"})",
        R"({"op":"state.list","limit":0})", R"({"op":"state.get","key":"k","x":1})", "5"})
    EXPECT_TRUE(parse_question(bad).has_error()) << bad;
}

TEST(BatchItemFailures, AreThoseOfLambda) {
  const std::vector<QueueSettlement::Held> messages = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  const auto failed = [&](const std::string& result) { return failures_of(result, messages); };
  for (const char* fine :
       {"", "null", "{}", "5", "\"text\"", R"({"batchItemFailures":null})",
        R"({"batchItemFailures":[]})", R"("batchItemFailures")", R"({"other":1})"}) {
    ASSERT_TRUE(failed(fine).has_value()) << fine;
    EXPECT_THAT(*failed(fine), IsEmpty()) << fine;
  }
  EXPECT_THAT(
      *failed(
          R"({"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"},{"itemIdentifier":"c"}]})"),
      ElementsAre(0, 2));
  for (const char* broken :
       {R"({"batchItemFailures":5})", R"({"batchItemFailures":[5]})",
        R"({"batchItemFailures":[{}]})", R"({"batchItemFailures":[{"itemIdentifier":""}]})",
        R"({"batchItemFailures":[{"itemIdentifier":null}]})",
        R"({"batchItemFailures":[{"itemIdentifier":"d"}]})",
        R"({"batchItemFailures":[{"itemId":"a"}]})"})
    EXPECT_EQ(failed(broken).error().code, Code::invalid_argument) << broken;
}

}  // namespace
}  // namespace mayfly::triggers
