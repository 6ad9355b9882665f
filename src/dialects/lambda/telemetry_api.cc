#include "dialects/lambda/telemetry_api.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "dialects/lambda/runtime_api_replies.h"

namespace mayfly::dialects::lambda {

namespace {

constexpr std::size_t kHistoryMax = 1'000;
constexpr std::size_t kWaitingBytesMax = 4u << 20;  // of a subscriber that does not take them
constexpr std::size_t kSubscribersMax = 10;
constexpr int kAttempts = 3;
constexpr std::chrono::milliseconds kAnswerWithin{5'000};

struct PostEnded {
  void operator()(const std::exception_ptr& problem) const {
    if (problem) log::error("sending telemetry to an extension broke off");
  }
};

std::string json_list(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const auto& text : texts) {
    if (list.size() > 1) list += ',';
    wire::append_json_string(list, text);
  }
  return list + "]";
}

std::string named_record(std::string_view name, std::string_view state, std::string_view key,
                         const std::vector<std::string>& list) {
  std::string record = "{\"name\":";
  wire::append_json_string(record, name);
  record += ",\"state\":";
  wire::append_json_string(record, state);
  record.append(",\"").append(key).append("\":") += json_list(list);
  return record + "}";
}

}  // namespace

struct TelemetryHub::Subscriber {
  Subscriber(boost::asio::any_io_executor executor, TelemetrySubscription asked,
             io::Connector connector)
      : wanted(std::move(asked)),
        timer(executor),
        client(executor, std::move(connector), {kAnswerWithin, 1, 16 * 1024}) {}

  TelemetrySubscription wanted;
  std::string extension;
  std::vector<std::string> waiting;
  std::size_t bytes = 0;
  std::uint64_t dropped = 0, dropped_bytes = 0;
  bool sending = false, armed = false;
  boost::asio::steady_timer timer;
  io::HttpClient client;
};

TelemetryHub::TelemetryHub(boost::asio::any_io_executor executor,
                           std::function<io::Connector(std::uint16_t)> connector, bool json_logs,
                           std::function<WallTime()> now)
    : executor_(std::move(executor)),
      connector_(std::move(connector)),
      json_logs_(json_logs),
      now_(std::move(now)) {}

TelemetryHub::~TelemetryHub() = default;

io::HttpResponse TelemetryHub::subscribe(const std::string& extension, bool logs_api,
                                         std::string_view body) {
  if (!open_)
    return api_refusal(
        403, logs_api ? "Logs.SubscriptionClosed" : "Telemetry.SubscriptionClosed",
        logs_api ? "Logs API subscription is closed" : "Telemetry API subscription is closed");
  auto asked = parse_subscription(body, logs_api);
  if (asked.has_error()) return api_refusal(400, "ValidationError", asked.error().message);
  // A second subscription of an extension to the same API takes the place of the first.
  std::erase_if(subscribers_, [&](const auto& each) {
    return each->extension == extension && each->wanted.logs_api == logs_api;
  });
  if (subscribers_.size() >= kSubscribersMax)
    return api_refusal(400, "ValidationError", "There are as many subscriptions as are allowed.");
  const auto types = asked->types;
  auto connector = connector_(asked->port);
  auto made = std::make_shared<Subscriber>(executor_, std::move(*asked), std::move(connector));
  made->extension = extension;
  subscribers_.push_back(made);
  for (const auto& event : history_) give(made, event);
  platform(logs_api ? "platform.logsSubscription" : "platform.telemetrySubscription",
           named_record(extension, "Subscribed", "types", types));
  return io::json_response(200, "\"OK\"");
}

void TelemetryHub::close_subscriptions() {
  open_ = false;
  history_.clear();
}

void TelemetryHub::extension(const std::string& name, std::string_view state,
                             const std::vector<std::string>& events) {
  platform("platform.extension", named_record(name, state, "events", events));
}

void TelemetryHub::platform(std::string_view type, std::string_view record) {
  if (wanted()) add(type, telemetry_event(now_(), type, record));
}

void TelemetryHub::line(std::string_view type, std::string_view text) {
  if (wanted()) add(type, telemetry_event(now_(), type, line_record(text, json_logs_)));
}

void TelemetryHub::add(std::string_view type, std::string text) {
  if (over_) return;
  Event event{std::string(type), std::move(text)};
  for (const auto& each : subscribers_) give(each, event);
  if (!open_) return;
  history_.push_back(std::move(event));
  if (history_.size() > kHistoryMax) history_.pop_front();
}

void TelemetryHub::give(const SubscriberPtr& to, const Event& event) {
  const std::string_view type = event.type;
  if (!to->wanted.wants(type.substr(0, type.find('.')))) return;
  if (type == "platform.end" && !to->wanted.logs_api) return;
  if (to->bytes + event.text.size() > kWaitingBytesMax) {
    ++to->dropped;
    to->dropped_bytes += event.text.size();
    return;
  }
  to->waiting.push_back(event.text);
  to->bytes += event.text.size();
  if (to->waiting.size() >= to->wanted.items_max || to->bytes >= to->wanted.bytes_max)
    return send(to);
  if (std::exchange(to->armed, true)) return;
  to->timer.expires_after(to->wanted.timeout);
  to->timer.async_wait([weak = weak_from_this(), to](boost::system::error_code cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled) return;
    to->armed = false;
    self->send(to);
  });
}

void TelemetryHub::send(const SubscriberPtr& to) {
  if (over_ || to->sending || to->waiting.empty()) return;
  to->sending = true;
  boost::asio::co_spawn(executor_, post(shared_from_this(), to), PostEnded{});
}

io::Task<void> TelemetryHub::post(std::shared_ptr<TelemetryHub> self, SubscriberPtr to) {
  while (!to->waiting.empty() && !self->over_) {
    std::string body = "[";
    std::size_t taken = 0;
    while (taken < to->waiting.size() && taken < to->wanted.items_max &&
           (taken == 0 || body.size() + to->waiting[taken].size() < to->wanted.bytes_max)) {
      if (taken > 0) body += ',';
      body += to->waiting[taken++];
    }
    body += ']';
    for (std::size_t i = 0; i < taken; ++i) to->bytes -= to->waiting[i].size();
    to->waiting.erase(to->waiting.begin(),
                      to->waiting.begin() + static_cast<std::ptrdiff_t>(taken));
    bool sent = false;
    for (int attempt = 0; attempt < kAttempts && !sent && !self->over_; ++attempt) {
      io::HttpRequest request;
      request.head.method = "POST";
      request.head.target = to->wanted.path;
      request.head.headers.add("Host", "sandbox.localdomain:" + std::to_string(to->wanted.port));
      request.head.headers.add("Content-Type", "application/json");
      request.body = body;
      auto sending = to->client.send(std::move(request));
      auto answer = co_await std::move(sending);
      sent = answer.has_value() && answer->head.status / 100 == 2;
    }
    if (!sent) {
      to->dropped += taken;
      to->dropped_bytes += body.size();
    }
    if (to->dropped > 0 && sent) {
      const std::string record =
          "{\"reason\":\"The destination did not take them\",\"droppedRecords\":" +
          std::to_string(std::exchange(to->dropped, 0)) +
          ",\"droppedBytes\":" + std::to_string(std::exchange(to->dropped_bytes, 0)) + "}";
      self->give(to, {"platform.logsDropped",
                      telemetry_event(self->now_(), "platform.logsDropped", record)});
    }
  }
  to->sending = false;
}

void TelemetryHub::flush() {
  for (const auto& each : subscribers_) send(each);
}

void TelemetryHub::end() {
  over_ = true;
  for (const auto& each : subscribers_) each->timer.cancel();
  subscribers_.clear();
  close_subscriptions();
}

}  // namespace mayfly::dialects::lambda
