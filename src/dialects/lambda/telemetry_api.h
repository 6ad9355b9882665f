#pragma once
// What extensions of one sandbox are told of it through the Telemetry and the Logs API: events are
// collected for each subscriber and posted to a port of the sandbox's own loopback. On one loop.

#include <boost/asio/any_io_executor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dialects/lambda/telemetry_syntax.h"
#include "io/http.h"
#include "io/http_client.h"

namespace mayfly::dialects::lambda {

class TelemetryHub : public std::enable_shared_from_this<TelemetryHub> {
 public:
  // connector: to a port inside the sandbox. json_logs: lines that are JSON objects stay objects.
  TelemetryHub(boost::asio::any_io_executor executor,
               std::function<io::Connector(std::uint16_t port)> connector, bool json_logs,
               std::function<WallTime()> now);
  ~TelemetryHub();

  // An answer for the extension. Events from the start on are sent to who subscribes in time.
  io::HttpResponse subscribe(const std::string& extension, bool logs_api, std::string_view body);
  void close_subscriptions();  // the initialisation is over
  void extension(const std::string& name, std::string_view state,
                 const std::vector<std::string>& events);

  // Whether anybody is or may come to be interested: events need not be composed for nobody.
  bool wanted() const { return open_ || !subscribers_.empty(); }
  // type "platform.start" ...; record: JSON.
  void platform(std::string_view type, std::string_view record);
  void line(std::string_view type, std::string_view text);  // "function" or "extension"
  // Everything that waits is sent now.
  void flush();
  // No more I/O.
  void end();

 private:
  struct Subscriber;
  struct Event {
    std::string type, text;
  };
  using SubscriberPtr = std::shared_ptr<Subscriber>;

  void add(std::string_view type, std::string text);
  void give(const SubscriberPtr& to, const Event& event);
  void send(const SubscriberPtr& to);
  static io::Task<void> post(std::shared_ptr<TelemetryHub> self, SubscriberPtr to);

  const boost::asio::any_io_executor executor_;
  const std::function<io::Connector(std::uint16_t)> connector_;
  const bool json_logs_;
  const std::function<WallTime()> now_;
  std::vector<SubscriberPtr> subscribers_;
  std::deque<Event> history_;  // for who subscribes later; while open_
  bool open_ = true;
  bool over_ = false;
};

}  // namespace mayfly::dialects::lambda
