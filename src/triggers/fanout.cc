#include "triggers/fanout.h"

#include "wire/http_message.h"

#include <fmt/format.h>

#include "base/log.h"

namespace mayfly::triggers {
namespace {

std::size_t size_of(const queues::NewMessage& message) {
  std::size_t size = message.body.size();
  for (const auto& attribute : message.attributes)
    size += attribute.name.size() + attribute.type.size() + attribute.value.size();
  return size;
}

}  // namespace

Fanout::Fanout(queues::QueueEngine& queues, AddCall add_call)
    : queues_(queues), add_call_(std::move(add_call)) {}

bool Fanout::add_message(queues::Batch& batch, Outgoing& out, std::string& reason) {
  const auto queue = queues_.find(out.target.name);
  if (!queue) {
    reason = fmt::format("There is no queue \"{}\".", out.target.name);
    return false;
  }
  Delivery copy = out.delivery;
  queues::NewMessage message = to_message(std::move(copy), queue->settings.fifo);
  for (auto& attribute : out.attributes) message.attributes.push_back(attribute);
  if (const std::size_t size = size_of(message); size > queue->settings.message_bytes_max) {
    reason = fmt::format("The message has {} bytes; queue \"{}\" takes {} (MaximumMessageSize).",
                         size, out.target.name, queue->settings.message_bytes_max);
    return false;
  }
  batch.sends.emplace_back(out.target.name, std::move(message));
  return true;
}

io::Task<Status> Fanout::add(queues::Batch* batch, Outgoing out) {
  if (out.target.kind != Target::Kind::queue) {
    io::Task<Status> adding = add_call_(batch, std::move(out));
    Status added = co_await std::move(adding);
    co_return added;
  }
  std::string reason;
  if (add_message(*batch, out, reason)) co_return ok();
  io::Task<Status> giving = give_up(batch, std::move(out), std::move(reason));
  Status given = co_await std::move(giving);
  co_return given;
}

io::Task<Status> Fanout::give_up(queues::Batch* batch, Outgoing out, std::string reason) {
  const std::string from = to_text(out.target);
  auto letter = out.dead_letter.empty() ? Result<Target>(Error{}) : parse_target(out.dead_letter);
  if (letter.has_value() && letter->kind == Target::Kind::queue) {
    Outgoing dead;
    dead.target = *letter;
    dead.delivery = std::move(out.delivery);
    dead.attributes = std::move(out.attributes);
    dead.attributes.push_back({"ErrorCode", "String", "undeliverable"});
    dead.attributes.push_back({"ErrorMessage", "String", reason});
    std::string again;
    if (add_message(*batch, dead, again)) co_return ok();
    reason += " Nor could it go to the dead letters: " + again;
  }
  log::warn("an event from {} for {} is lost: {}", out.delivery.source, from, reason);
  co_return ok();
}

std::string event_request(const CloudEvent& event) {
  wire::RequestHead head;
  head.method = "POST";
  head.target = "/";
  head.remote_ip = "127.0.0.1";
  head.headers.add("Host", "mayfly");
  for (const auto& [name, value] : binary_event_headers(event)) head.headers.add(name, value);
  if (!event.data_content_type.empty() && wire::is_field_value(event.data_content_type))
    head.headers.add("Content-Type", event.data_content_type);
  head.headers.add("Content-Length", std::to_string(event.data.size()));
  return wire::encode_request_head(head, "/", "");
}

}  // namespace mayfly::triggers
