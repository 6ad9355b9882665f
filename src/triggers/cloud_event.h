#pragma once
// CloudEvents 1.0 (the specification, its JSON format and its HTTP binding): an event with its
// context attributes, read from and written to the three HTTP forms: binary (attributes in ce-
// headers, data in the body), structured (one JSON document) and batched (a JSON list of those).
// Pure; everything that is read is hostile.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "wire/http_message.h"

namespace mayfly::triggers {

struct CloudEvent {
  // The forms of an extension's value; uri, binary and timestamp travel as text.
  using Extension = std::variant<std::string, bool, std::int32_t>;

  std::string id, source, type;            // never empty
  std::string subject, data_schema, time;  // RFC 3339; may be empty
  std::string data_content_type;           // empty: JSON in the structured form
  std::map<std::string, Extension> extensions;
  std::string data;  // the bytes of the data
  bool has_data = false;
};

enum class CloudEventForm : std::uint8_t { none, binary, structured, batched };

inline constexpr std::string_view kCloudEventType = "application/cloudevents+json";
inline constexpr std::string_view kCloudEventBatchType = "application/cloudevents-batch+json";
inline constexpr std::size_t kCloudEventBatchMax = 1000;

// Which form a request has; none: it is no CloudEvent.
CloudEventForm cloud_event_form(const wire::Headers& headers);

// invalid_argument, naming the attribute.
Result<CloudEvent> read_binary_event(const wire::Headers& headers, std::string body);
Result<CloudEvent> read_structured_event(std::string_view json);
Result<std::vector<CloudEvent>> read_event_batch(std::string_view json);
// Any of the forms.
Result<std::vector<CloudEvent>> read_cloud_events(const wire::Headers& headers, std::string body);

// JSON is JSON in there, other text a JSON string, anything else data_base64.
std::string write_structured_event(const CloudEvent& event);
// The headers of the binary form; the body is event.data.
std::vector<std::pair<std::string, std::string>> binary_event_headers(const CloudEvent& event);

// application/json, text/json or anything+json; parameters are looked over.
bool is_json_type(std::string_view content_type);
// RFC 3339 with an offset or Z.
bool is_timestamp(std::string_view text);
Result<WallTime> parse_timestamp(std::string_view text);

}  // namespace mayfly::triggers
