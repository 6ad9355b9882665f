#include "triggers/event_post.h"

#include "wire/http_message.h"

namespace mayfly::triggers {

void make_post(engine::Invocation& invocation, std::string_view content_type,
               std::initializer_list<std::pair<std::string_view, std::string_view>> more) {
  wire::RequestHead head;
  head.method = "POST";
  head.target = "/";
  head.remote_ip = "127.0.0.1";
  head.headers.add("Host", "mayfly");
  head.headers.add("Content-Type", content_type.empty() ? "application/json" : content_type);
  head.headers.add("Content-Length", std::to_string(invocation.body.size()));
  for (const auto& [name, value] : more) head.headers.add(name, value);
  invocation.kind = engine::PayloadKind::http;
  invocation.head = wire::encode_request_head(head, "/", "");
}

}  // namespace mayfly::triggers
