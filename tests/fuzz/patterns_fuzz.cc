// link: mayfly_triggers
// A pattern and an event, cut at the first zero byte: what compiles matches or does not, and says
// the same one level down, in a choice between itself and itself.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "triggers/patterns.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using mayfly::triggers::Pattern;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto cut = all.find('\0');
  const std::string text(all.substr(0, cut));
  const std::string event(cut == std::string_view::npos ? text : all.substr(cut + 1));
  const auto pattern = Pattern::compile(text);
  if (pattern.has_error()) {
    if (pattern.error().message.empty()) std::abort();
    return 0;
  }
  const bool matched = pattern->matches_text(event);
  const auto opened =
      std::count_if(event.begin(), event.end(), [](char c) { return c == '{' || c == '['; });
  // Deeper events are no JSON to the parser; what is no object is an absent one a level down.
  if (opened > 30 || !event.starts_with('{')) return 0;
  const std::string down = "{\"w\":" + text + "}";
  const auto choice = Pattern::compile("{\"$or\":[" + down + "," + down + "]}", SIZE_MAX);
  if (choice.has_value() && choice->matches_text("{\"w\":" + event + "}") != matched) {
    // Then the event was no JSON by itself, and became some by what was put around it.
    if (matched) std::abort();
  }
  return 0;
}
