#pragma once
// The /etc of sandboxes: a few files of our own, and copies of those of the host that programs in
// /usr need (certificates, alternatives, language settings). Only what everybody may read on the
// host is copied, and nothing over a megabyte.

#include <string>

#include "base/result.h"

namespace mayfly::spawner {

// Where sandboxes on the shared network ask for names.
inline constexpr const char* kResolverAddress = "198.18.0.3";

Status fill_etc(const std::string& etc);

}  // namespace mayfly::spawner
