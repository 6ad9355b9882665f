#include "triggers/cloud_event.h"

#include <gtest/gtest.h>

namespace mayfly::triggers {
namespace {

wire::Headers headers(std::vector<std::pair<std::string, std::string>> fields) {
  wire::Headers out;
  for (const auto& [name, value] : fields) out.add(name, value);
  return out;
}

std::string refusal(std::string_view structured) {
  const auto event = read_structured_event(structured);
  return event.has_value() ? "read" : event.error().message;
}

TEST(CloudEvents, Form) {
  EXPECT_EQ(cloud_event_form(headers({})), CloudEventForm::none);
  EXPECT_EQ(cloud_event_form(headers({{"Content-Type", "application/json"}})),
            CloudEventForm::none);
  EXPECT_EQ(
      cloud_event_form(headers({{"content-type", "Application/CloudEvents+JSON; charset=utf-8"}})),
      CloudEventForm::structured);
  EXPECT_EQ(cloud_event_form(headers({{"content-type", "application/cloudevents-batch+json"}})),
            CloudEventForm::batched);
  EXPECT_EQ(cloud_event_form(headers({{"CE-SpecVersion", "1.0"}})), CloudEventForm::binary);
}

TEST(CloudEvents, Binary) {
  const auto event = read_binary_event(headers({{"ce-specversion", "1.0"},
                                                {"Ce-Id", "1"},
                                                {"ce-source", "/s"},
                                                {"ce-type", "t"},
                                                {"ce-time", "2026-11-21T10:00:00.5+01:00"},
                                                {"ce-subject", "Euro%20%E2%82%AC%20100%"},
                                                {"ce-number", "7"},
                                                {"Content-Type", "text/plain"},
                                                {"X-Other", "no"}}),
                                       "bytes");
  ASSERT_TRUE(event.has_value()) << event.error().message;
  EXPECT_EQ(event->id, "1");
  EXPECT_EQ(event->subject, "Euro \u20ac 100%");
  EXPECT_EQ(event->data, "bytes");
  EXPECT_EQ(event->data_content_type, "text/plain");
  EXPECT_EQ(event->extensions.size(), 1u);
  EXPECT_EQ(std::get<std::string>(event->extensions.at("number")), "7");

  // And back: the same fields, printable.
  wire::Headers back;
  for (const auto& [name, value] : binary_event_headers(*event)) back.add(name, value);
  EXPECT_EQ(back.find("ce-subject"), "Euro%20%E2%82%AC%20100%25");
  EXPECT_EQ(back.find("ce-time"), "2026-11-21T10:00:00.5+01:00");
  back.add("Content-Type", "text/plain");
  const auto again = read_binary_event(back, event->data);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->subject, event->subject);
  EXPECT_EQ(again->extensions, event->extensions);
}

TEST(CloudEvents, BinaryRefusals) {
  const auto message = [](std::vector<std::pair<std::string, std::string>> fields) {
    const auto event = read_binary_event(headers(std::move(fields)), "");
    return event.has_value() ? std::string("read") : event.error().message;
  };
  EXPECT_NE(message({{"ce-id", "1"}}).find("specversion is missing"), std::string::npos);
  EXPECT_NE(message({{"ce-specversion", "0.3"}}).find("0.3, not 1.0"), std::string::npos);
  EXPECT_NE(message({{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "s"}}).find("type"),
            std::string::npos);
  EXPECT_NE(message({{"ce-specversion", "1.0"}, {"ce-under_score", "1"}}).find("no attribute"),
            std::string::npos);
  EXPECT_NE(message({{"ce-specversion", "1.0"}, {"ce-id", "%ff"}}).find("UTF-8"),
            std::string::npos);
}

constexpr std::string_view kBegin = R"({"specversion":"1.0","id":"1","source":"s","type":"t")";

TEST(CloudEvents, Structured) {
  const auto event = read_structured_event(std::string(kBegin) +
                                           R"(,"flag":true,"n":-5,"x":null,"data":{"a":[1]}})");
  ASSERT_TRUE(event.has_value()) << event.error().message;
  EXPECT_EQ(event->data, R"({"a":[1]})");
  EXPECT_EQ(event->data_content_type, "application/json");
  EXPECT_EQ(event->extensions.size(), 2u);
  EXPECT_EQ(std::get<std::int32_t>(event->extensions.at("n")), -5);
  EXPECT_EQ(write_structured_event(*event),
            R"({"specversion":"1.0","id":"1","source":"s","type":"t",)"
            R"("datacontenttype":"application/json","flag":true,"n":-5,"data":{"a":[1]}})");

  const auto data_of = [](std::string_view rest) {
    const auto read = read_structured_event(std::string(kBegin) + std::string(rest));
    return read.has_value() ? read->data : read.error().message;
  };
  EXPECT_EQ(data_of(R"(,"datacontenttype":"text/xml","data":"<a/>"})"), "<a/>");
  EXPECT_EQ(data_of(R"(,"datacontenttype":"application/json","data":"<a/>"})"), "\"<a/>\"");
  EXPECT_EQ(data_of(R"(,"data_base64":"AP8="})"), std::string("\0\xff", 2));
  EXPECT_EQ(data_of(R"(,"data":null})"), "null");
  EXPECT_EQ(data_of("}"), "");
}

TEST(CloudEvents, StructuredRefusals) {
  const std::string begin(kBegin);
  EXPECT_NE(refusal("[]").find("JSON object"), std::string::npos);
  EXPECT_NE(refusal("{").find("not valid"), std::string::npos);
  EXPECT_NE(refusal(R"({"id":"1"})").find("specversion"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"id":5})").find("id is no text"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"id":""})").find("id is missing or empty"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"Big":"x"})").find("\"Big\""), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"x":1.5})").find("extension x"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"x":4294967296})").find("extension x"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"x":{}})").find("extension x"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"time":"yesterday"})").find("time"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"data":1,"data_base64":""})").find("both"), std::string::npos);
  EXPECT_NE(refusal(begin + R"(,"data_base64":"***"})").find("base64"), std::string::npos);
}

TEST(CloudEvents, OtherDataThanJsonSurvivesTheStructuredForm) {
  CloudEvent event;
  event.id = event.source = event.type = "x";
  event.has_data = true;
  for (const auto& [type, data] :
       std::vector<std::pair<std::string, std::string>>{{"image/png", "\x89PNG\xff"},
                                                        {"text/plain", "h\u00e9"},
                                                        {"application/json", "{broken"},
                                                        {"application/problem+json", "[1,2]"}}) {
    event.data_content_type = type;
    event.data = data;
    const auto back = read_structured_event(write_structured_event(event));
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(back->data, data);
  }
}

TEST(CloudEvents, Batch) {
  const std::string one = std::string(kBegin) + "}";
  const auto events = read_event_batch("[" + one + "," + one + "]");
  ASSERT_TRUE(events.has_value());
  EXPECT_EQ(events->size(), 2u);
  EXPECT_EQ(read_event_batch("[]")->size(), 0u);
  EXPECT_TRUE(read_event_batch(one).has_error());
  EXPECT_TRUE(read_event_batch("[1]").has_error());
  std::string many = "[" + one;
  for (std::size_t i = 0; i < kCloudEventBatchMax; ++i) many += "," + one;
  EXPECT_TRUE(read_event_batch(many + "]").has_error());
}

TEST(CloudEvents, Timestamps) {
  EXPECT_EQ(to_rfc3339(*parse_timestamp("2026-11-21T10:00:00.25Z")), "2026-11-21T10:00:00.250Z");
  EXPECT_EQ(to_rfc3339(*parse_timestamp("2026-11-21T00:30:00+01:00")), "2026-11-20T23:30:00.000Z");
  for (const char* bad : {"", "2026-11-21", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                          "2026-11-21T10:00:00", "2026-11-21T25:00:00Z", "2026-11-21T10:00:00.Z",
                          "2026-11-21T10:00:00Zx", "2026-11-21T10:00:00+1:00"})
    EXPECT_TRUE(parse_timestamp(bad).has_error()) << bad;
}

}  // namespace
}  // namespace mayfly::triggers
