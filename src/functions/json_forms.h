#pragma once
// JSON within the room: what the catalogue keeps in the store. The public forms are in app.h.

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "functions/types.h"

namespace mayfly::functions {

inline constexpr std::string_view kStoredVersionView = "\x01";
inline const std::string kStoredVersion(kStoredVersionView);

// One JSON object and nothing behind it; depth and size are bounded. what is named in errors.
Result<boost::json::object> parse_object(std::string_view text, std::string_view what);

// The stored form: a version byte, then JSON. Without what follows from the machine: host paths.
std::string encode_version(const Version& version);
Result<Version> decode_version(std::string_view bytes);

}  // namespace mayfly::functions
