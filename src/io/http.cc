#include "io/http.h"

namespace mayfly::io {

HttpResponse text_response(int status, std::string body, std::string_view content_type) {
  HttpResponse response;
  response.head.status = status;
  response.head.headers.reserve(2, 64);
  response.head.headers.add("Content-Type", content_type);
  response.body = std::move(body);
  return response;
}

HttpResponse json_response(int status, std::string json) {
  return text_response(status, std::move(json), "application/json");
}

}  // namespace mayfly::io
