// link: mayfly_triggers
// What functions stage and ask: JSON of strangers. Must answer, never throw or crash; what is taken
// stays within the limits of the state.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "triggers/effects.h"
#include "triggers/services.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto effects = mayfly::triggers::parse_effects(text);
  if (effects.has_error() && effects.error().message.empty()) std::abort();
  if (effects.has_value())
    for (const auto& item : effects->changes.puts)
      if (item.key.empty() || item.value.empty()) std::abort();
  const auto question = mayfly::triggers::parse_question(text);
  if (question.has_error() && question.error().message.empty()) std::abort();
  const auto failed = mayfly::triggers::failures_of(text, {{"a", "r"}, {"b", "s"}});
  if (failed.has_value())
    for (const auto index : *failed)
      if (index > 1) std::abort();
  return 0;
}
