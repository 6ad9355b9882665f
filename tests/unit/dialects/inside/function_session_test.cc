#include "dialects/inside/function_session.h"

#include <gtest/gtest.h>

namespace mayfly::dialects::inside {
namespace {

functions::Version version_with(const std::string& policy) {
  functions::Version version;
  version.function = "orders";
  version.settings.policy = policy;
  return version;
}

std::string refusal(const FunctionSession& session, const std::string& action,
                    const std::string& resource) {
  const aws::Need need{action, resource};
  const auto checked = session.check(std::span(&need, 1));
  return checked.has_value() ? "" : checked.error().code + ": " + checked.error().message;
}

TEST(FunctionCredentials, AreAlwaysTheSameAndEachFunctionsOwn) {
  const auto one = credentials_of("secret", "a"), again = credentials_of("secret", "a");
  const auto other = credentials_of("secret", "b"), elsewhere = credentials_of("secreT", "a");
  EXPECT_EQ(one.key.id, again.key.id);
  EXPECT_EQ(one.key.secret, again.key.secret);
  EXPECT_EQ(one.token, again.token);
  for (const auto* different : {&other, &elsewhere}) {
    EXPECT_NE(one.key.id, different->key.id);
    EXPECT_NE(one.key.secret, different->key.secret);
    EXPECT_NE(one.token, different->token);
  }
  EXPECT_EQ(one.key.id.size(), 20u);
  EXPECT_TRUE(one.key.id.starts_with("ASIA"));
  EXPECT_EQ(one.key.id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), std::string::npos);
  EXPECT_EQ(one.key.secret.size(), 40u);
  EXPECT_GE(one.token.size(), 40u);
}

TEST(FunctionSession, SaysWhoItIs) {
  const FunctionSession session(version_with(""), credentials_of("s", "orders"), "123456789012");
  EXPECT_EQ(session.arn(), "arn:aws:sts::123456789012:assumed-role/orders/orders");
  EXPECT_TRUE(session.user_id().ends_with(":orders"));
}

TEST(FunctionSession, RefusesWithWhatWouldAllow) {
  const FunctionSession standard(version_with(""), credentials_of("s", "orders"), "123456789012");
  EXPECT_EQ(refusal(standard, "sqs:SendMessage", "arn:aws:sqs:r:1:q"), "");
  const std::string text = refusal(standard, "sqs:CreateQueue", "arn:aws:sqs:r:1:q");
  EXPECT_EQ(text.find("AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/orders/"
                      "orders is not authorized to perform: sqs:CreateQueue on resource: "
                      "arn:aws:sqs:r:1:q"),
            0u)
      << text;
  EXPECT_NE(text.find("'policy'"), std::string::npos);

  const FunctionSession narrow(
      version_with(R"({"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:r:1:q"})"),
      credentials_of("s", "orders"), "1");
  EXPECT_EQ(refusal(narrow, "sqs:CreateQueue", "arn:aws:sqs:r:1:q"), "");
  EXPECT_NE(refusal(narrow, "sqs:SendMessage", "arn:aws:sqs:r:1:other"), "");
  EXPECT_NE(refusal(narrow, "s3:GetObject", "arn:aws:s3:::b/k").find("setting 'policy'"),
            std::string::npos);
}

TEST(FunctionSession, APolicyThatCannotBeReadAllowsNothing) {
  const FunctionSession session(version_with("{"), credentials_of("s", "orders"), "1");
  EXPECT_NE(refusal(session, "sqs:SendMessage", "arn:aws:sqs:r:1:q"), "");
}

TEST(FunctionSession, EachNeedCounts) {
  const FunctionSession session(
      version_with(R"({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::a/*"})"),
      credentials_of("s", "orders"), "1");
  const std::vector<aws::Need> needs{{"s3:PutObject", "arn:aws:s3:::a/k"},
                                     {"s3:GetObject", "arn:aws:s3:::b/k"}};
  EXPECT_TRUE(session.check(needs).has_error());
  EXPECT_TRUE(session.check(std::span(needs).first(1)).has_value());
  EXPECT_TRUE(session.check({}).has_value());
}

}  // namespace
}  // namespace mayfly::dialects::inside
