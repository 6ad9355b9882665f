// link: mayfly_triggers
// Documents of all forms: what is read can be written and read again without a loss.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "triggers/cloud_event.h"

namespace {

using mayfly::triggers::CloudEvent;

void same(const CloudEvent& a, const CloudEvent& b) {
  if (a.id != b.id || a.source != b.source || a.type != b.type || a.subject != b.subject ||
      a.time != b.time || a.data_schema != b.data_schema || a.has_data != b.has_data)
    std::abort();
  if (a.extensions.size() < b.extensions.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::triggers;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto event = read_structured_event(text); event.has_value()) {
    const auto back = read_structured_event(write_structured_event(*event));
    if (back.has_error()) std::abort();
    same(*event, *back);
    mayfly::wire::Headers headers;
    for (const auto& [name, value] : binary_event_headers(*event)) {
      if (!mayfly::wire::is_token(name) || !mayfly::wire::is_field_value(value)) std::abort();
      headers.add(name, value);
    }
    headers.add("Content-Type", "application/json");
    const auto binary = read_binary_event(headers, event->data);
    if (binary.has_error() || binary->id.empty()) std::abort();
  }
  mayfly::wire::Headers headers;
  headers.add("ce-specversion", "1.0");
  headers.add("ce-source", "s");
  headers.add("ce-type", "t");
  headers.add("ce-id", text);
  if (const auto event = read_binary_event(headers, ""); event.has_value()) {
    const auto back = read_structured_event(write_structured_event(*event));
    if (back.has_error()) std::abort();
    same(*event, *back);
  }
  mayfly::ignore(read_event_batch(text), "only that it ends");
  return 0;
}
