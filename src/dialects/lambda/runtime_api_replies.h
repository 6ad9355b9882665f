#pragma once
// Internal: the answers that all APIs inside a sandbox give, byte for byte those of AWS's emulator
// (package rendering).

#include <string>
#include <string_view>

#include "io/http.h"
#include "wire/http_message.h"

namespace mayfly::dialects::lambda {

inline io::HttpResponse api_refusal(int status, std::string_view type, std::string_view message) {
  std::string text = "{\"errorMessage\":";
  wire::append_json_string(text, message);
  text += ",\"errorType\":";
  wire::append_json_string(text, type);
  text += "}\n";
  return io::json_response(status, std::move(text));
}

inline io::HttpResponse api_accepted_with(int status) {
  return io::json_response(status, "{\"status\":\"OK\"}\n");
}

inline io::HttpResponse api_accepted() {
  return api_accepted_with(202);
}

}  // namespace mayfly::dialects::lambda
