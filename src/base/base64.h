#pragma once
// Base64 (RFC 4648, standard alphabet with padding). Pure.

#include <optional>
#include <string>
#include <string_view>

namespace mayfly {

void append_base64(std::string& out, std::string_view bytes);
// nullopt when text is no base64. Padding may be missing, as many encoders leave it out.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace mayfly
