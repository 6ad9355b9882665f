#include "triggers/call_record.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mayfly::triggers {
namespace {

CallMessage message() {
  CallMessage m;
  m.id = "id";
  m.alias = "mine";
  m.target = {Target::Kind::function, "hello", "3"};
  m.kind = engine::PayloadKind::http;
  m.head = "{}";
  m.body = std::string("\0\xff body", 7);
  m.source = "async";
  m.callback_url = "http://x/";
  m.accepted_us = 1'700'000'000'000'000;
  m.hops = 2;
  m.retries = 0;
  m.max_age_s = 60;
  m.dead_letter = "queue:dead";
  return m;
}

TEST(CallMessage, ComesBackAsItWas) {
  const CallMessage m = message();
  const auto back = decode_message(encode(m));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(encode(*back), encode(m));
  EXPECT_EQ(back->body, m.body);
  EXPECT_EQ(back->retries, 0u);
  EXPECT_EQ(back->max_age_s, 60);
  EXPECT_EQ(back->target, m.target);
}

TEST(CallMessage, DeliveriesKeepHeadersAndAttributes) {
  CallMessage m = message();
  m.target = {Target::Kind::webhook, "http://x/", ""};
  m.delivery.headers = {{"X-Call-Id", "1"}, {"X-Call-Id", "2"}};
  m.delivery.attributes = {{"a", "b"}};
  const auto back = decode_message(encode(m));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->delivery.headers, m.delivery.headers);
  EXPECT_EQ(back->delivery.attributes, m.delivery.attributes);
}

TEST(CallMessage, AnyCutOrChangedByteIsAnErrorOrAnotherMessage) {
  const std::string bytes = encode(message());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    EXPECT_TRUE(decode_message(bytes.substr(0, i)).has_error()) << i;
  EXPECT_TRUE(decode_message(bytes + "x").has_error());
  for (std::size_t i = 0; i < bytes.size(); ++i) {  // must not crash, hang or read past the end
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x80);
    (void)decode_message(changed);
  }
}

TEST(CallRecord, ComesBackAsItWas) {
  CallRecord r = first_record(message());
  EXPECT_EQ(r.function, "hello");
  EXPECT_EQ(r.target, "function:hello:3");
  EXPECT_LT(encode(r).size(), 128u);  // one for each call that waits
  r.state = CallState::failed;
  r.attempts = 3;
  r.ended_us = 5;
  r.error = "it broke";
  r.error_code = "function_error";
  r.status = 500;
  r.result = "partial";
  r.result_cut = true;
  r.message = encode(message());
  const auto back = decode_record(encode(r));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(encode(*back), encode(r));
  EXPECT_EQ(back->error, "it broke");
  EXPECT_TRUE(back->result_cut);
  for (std::size_t i = 0; i < encode(r).size(); ++i)
    EXPECT_TRUE(decode_record(encode(r).substr(0, i)).has_error()) << i;
}

TEST(CallRecord, TheFirstOneIsWrittenAsAnyOther) {
  CallMessage m = message();
  EXPECT_EQ(encode_first_record(m), encode(first_record(m)));
  m.again_of = "an earlier one";
  m.alias.clear();
  m.target = {Target::Kind::webhook, "http://x/", ""};
  EXPECT_EQ(encode_first_record(m), encode(first_record(m)));
}

TEST(CallIds, SortByTimeAndNeverRepeat) {
  CallIds ids;
  std::vector<std::string> made;
  for (int i = 0; i < 3000; ++i) made.push_back(ids.next(1'700'000'000'000'000 + i / 1000));
  made.push_back(ids.next(1'699'999'999'000'000));  // the clock stepped back
  EXPECT_TRUE(std::is_sorted(made.begin(), made.end()));
  EXPECT_EQ(std::adjacent_find(made.begin(), made.end()), made.end());
  for (const auto& id : made) EXPECT_TRUE(is_call_id(id)) << id;
  EXPECT_EQ(made.front()[14], '7');
  EXPECT_LE(first_id_at(1'700'000'000'000'000), made.front());
  EXPECT_GT(first_id_at(1'700'000'001'000'000), made.back());
  EXPECT_FALSE(is_call_id("../../etc/passwd"));
}

}  // namespace
}  // namespace mayfly::triggers
