#include "triggers/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mayfly::triggers {
namespace {

using Kind = Target::Kind;

constexpr std::size_t kTextBytesMax = 2048;
constexpr std::string_view kForms =
    "function:NAME, function:NAME:VERSION, queue:NAME, topic:NAME, bus:NAME, an http:// or "
    "https:// address, or an ARN";

Error no_target(std::string_view text, std::string_view why) {
  return Error{Code::invalid_argument, fmt::format("\"{}\" is no target: {}. A target is {}.",
                                                   text.substr(0, 200), why, kForms)};
}

bool is_name(std::string_view text, std::string_view also) {
  const auto good = [also](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || also.find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), good);
}

Result<Target> function_from(std::string_view text, std::string_view rest) {
  Target target;
  const auto colon = rest.find(':');
  target.name = std::string(rest.substr(0, colon));
  if (colon != std::string_view::npos) {
    target.qualifier = std::string(rest.substr(colon + 1));
    if (!is_name(target.qualifier, "$")) return no_target(text, "its version is not one");
  }
  if (!is_name(target.name, "")) return no_target(text, "its name is not one");
  return target;
}

Result<Target> named(Kind kind, std::string_view text, std::string_view rest) {
  // Of the services whose names these are: a queue may end with .fifo, a bus may hold / and dots.
  const std::string_view also = kind == Kind::bus ? "./" : ".";
  if (!is_name(rest, also)) return no_target(text, "its name is not one");
  return Target{kind, std::string(rest), ""};
}

// arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
Result<Target> arn_from(std::string_view text) {
  std::array<std::string_view, 5> parts;
  std::string_view rest = text;
  for (auto& part : parts) {
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) return no_target(text, "the ARN is cut short");
    part = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  const std::string_view service = parts[2];
  const auto without = [&rest](std::string_view prefix) {
    const bool has = rest.starts_with(prefix);
    if (has) rest.remove_prefix(prefix.size());
    return has;
  };
  if (service == "lambda" && without("function:")) return function_from(text, rest);
  if (service == "sqs") return named(Kind::queue, text, rest);
  if (service == "sns") return named(Kind::topic, text, rest);
  if (service == "events" && without("event-bus/")) return named(Kind::bus, text, rest);
  return no_target(text, "ARNs of functions, queues, topics and event buses can be targets");
}

Result<Target> webhook_from(std::string_view text) {
  const auto after = text.substr(text.find("//") + 2);
  const auto host = after.substr(0, after.find_first_of("/?"));
  if (host.empty() || host.front() == ':') return no_target(text, "the address names no host");
  if (host.find('@') != std::string_view::npos)
    return no_target(text, "an address with a password in it is not taken");
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '#')
      return no_target(text, "the address holds a blank, a control character or a #");
  return Target{Kind::webhook, std::string(text), ""};
}

}  // namespace

std::string_view kind_name(Kind kind) {
  constexpr std::array<std::string_view, 5> kNames{"function", "queue", "topic", "bus", "webhook"};
  return kNames[static_cast<std::size_t>(kind)];
}

Result<Target> parse_target(std::string_view text) {
  if (text.size() > kTextBytesMax) return no_target(text, "it is longer than 2048 bytes");
  if (text.starts_with("http://") || text.starts_with("https://")) return webhook_from(text);
  if (text.starts_with("arn:")) return arn_from(text);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos)
    return no_target(text, "it does not say of which kind it is");
  const auto kind = text.substr(0, colon);
  const auto rest = text.substr(colon + 1);
  if (kind == "function") return function_from(text, rest);
  if (kind == "queue") return named(Kind::queue, text, rest);
  if (kind == "topic") return named(Kind::topic, text, rest);
  if (kind == "bus") return named(Kind::bus, text, rest);
  return no_target(text, "there is no such kind");
}

std::string to_text(const Target& target) {
  if (target.kind == Kind::webhook) return target.name;
  std::string text(kind_name(target.kind));
  text.append(1, ':').append(target.name);
  if (!target.qualifier.empty()) text.append(1, ':').append(target.qualifier);
  return text;
}

std::string to_arn(const Target& target, std::string_view region, std::string_view account) {
  const auto arn = [&](std::string_view service, std::string_view resource) {
    return fmt::format("arn:aws:{}:{}:{}:{}{}", service, region, account, resource, target.name);
  };
  switch (target.kind) {
    case Kind::function:
      return arn("lambda", "function:") +
             (target.qualifier.empty() ? std::string() : ":" + target.qualifier);
    case Kind::queue:
      return arn("sqs", "");
    case Kind::topic:
      return arn("sns", "");
    case Kind::bus:
      return arn("events", "event-bus/");
    case Kind::webhook:
      break;
  }
  return target.name;
}

queues::NewMessage to_message(Delivery delivery, bool fifo) {
  queues::NewMessage message;
  message.body = std::move(delivery.body);
  for (auto& [name, value] : delivery.attributes)
    message.attributes.push_back({name, "String", std::move(value)});
  message.trace_header = std::move(delivery.trace_id);
  message.sender = std::move(delivery.source);
  message.group = std::move(delivery.group);
  message.deduplication_id = std::move(delivery.deduplication_id);
  if (!fifo) {
    message.deduplication_id.clear();  // standard queues know none
    return message;
  }
  if (message.group.empty()) message.group = message.sender.empty() ? "mayfly" : message.sender;
  // What is delivered once more after a lost answer is recognised.
  if (message.deduplication_id.empty()) message.deduplication_id = std::move(delivery.id);
  return message;
}

Targets::Targets(queues::QueueEngine& queues) : queues_(queues) {
  register_kind(Kind::queue, [this](Target target, Delivery delivery) {
    return to_queue(std::move(target), std::move(delivery));
  });
}
Targets::~Targets() = default;

void Targets::register_kind(Kind kind, Deliverer deliverer) {
  deliverers_[kind] = std::move(deliverer);
}

io::Task<Status> Targets::deliver(Target target, Delivery delivery) {
  const auto found = deliverers_.find(target.kind);
  if (found == deliverers_.end())
    co_return Error{Code::unsupported,
                    fmt::format("This server does not deliver to {}.", to_text(target))};
  const Deliverer deliverer = found->second;  // may be replaced while this waits
  io::Task<Status> task = deliverer(std::move(target), std::move(delivery));
  Status delivered = co_await std::move(task);
  co_return delivered;
}

io::Task<Status> Targets::to_queue(Target target, Delivery delivery) {
  const auto queue = queues_.find(target.name);
  if (!queue)
    co_return Error{Code::not_found, fmt::format("There is no queue \"{}\".", target.name)};
  std::vector<queues::NewMessage> messages;
  messages.push_back(to_message(std::move(delivery), queue->settings.fifo));
  io::Task<std::vector<Result<queues::Sent>>> sending =
      queues_.send(target.name, std::move(messages));
  const std::vector<Result<queues::Sent>> sent = co_await std::move(sending);
  if (sent.empty()) co_return Error{Code::internal, "The queue engine gave no answer."};
  if (sent.front().has_error()) co_return sent.front().error();
  co_return ok();
}

}  // namespace mayfly::triggers
