#pragma once
// Which launches may have their program from a zygote, and what that zygote is. Pure.

#include <optional>
#include <string_view>

#include "sandbox/sandbox.h"

namespace mayfly::engine {

// For a launch that is complete but for the variables that the runtime reads itself. None: the
// language has no zygotes, or its interpreter would read something as it starts that the version
// has set. runtime_lib: host path of that folder.
std::optional<sandbox::ZygoteSpec> zygote_for(std::string_view language,
                                              const sandbox::LaunchSpec& spec,
                                              const std::string& runtime_lib);

}  // namespace mayfly::engine
