// link: mayfly_functions
// JSON of settings and applications. What is taken must come back the same from its own form.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "functions/app.h"
#include "functions/json_forms.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::functions;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto settings = settings_from_json(text); settings.has_value()) {
    const auto again = settings_from_json(settings_to_json(*settings));
    if (again.has_error() || !(*again == *settings)) std::abort();
  }
  if (const auto app = app_from_json(text); app.has_value()) {
    const auto again = app_from_json(app_to_json(*app));
    if (again.has_error() || again->name != app->name || !(again->cors == app->cors) ||
        again->routes.size() != app->routes.size())
      std::abort();
  }
  mayfly::ignore(decode_version(text), "any answer is right");
  return 0;
}
