#include "dialects/lambda/http_event.h"

#include "dialects/answers.h"
#include "gateway/errors.h"

namespace mayfly::dialects::lambda {
namespace {

class EventDialect final : public gateway::HttpDialect {
 public:
  explicit EventDialect(EventSettings settings) : settings_(std::move(settings)) {}

  std::optional<std::size_t> whole_body_max() const override { return settings_.body_bytes_max; }

  Result<engine::Invocation> to_invocation(io::HttpRequest& request,
                                           const gateway::RouteMatch& route,
                                           const std::string& request_id) const override {
    engine::Invocation invocation;
    invocation.arrived = std::chrono::steady_clock::now();
    invocation.version = route.version;
    invocation.kind = engine::PayloadKind::event;
    invocation.trace_id = trace_of(request.head.headers);
    const auto write = route.event == functions::EventForm::v1 ? write_v1_event : write_v2_event;
    invocation.body = write(request.head, request.body, route, request_id,
                            std::chrono::system_clock::now(), settings_);
    invocation.request_id = request_id;
    return invocation;
  }

  io::HttpResponse to_response(engine::Answer& answer,
                               const gateway::RouteMatch& match) const override {
    if (answer.failure)
      return gateway::failure_response(*answer.failure, answer.function, answer.request_id);
    if (answer.reply.kind == engine::PayloadKind::http) return http_answer(answer);
    auto response = match.event == functions::EventForm::v1
                        ? read_v1_reply(answer.reply.body, match)
                        : read_v2_reply(answer.reply.body);
    if (response.has_error()) return bad_answer(answer, response.error());
    return std::move(*response);
  }

 private:
  EventSettings settings_;
};

}  // namespace

std::unique_ptr<gateway::HttpDialect> make_event_dialect(EventSettings settings) {
  return std::make_unique<EventDialect>(std::move(settings));
}

}  // namespace mayfly::dialects::lambda
