#include "dialects/adapters/http_dialect.h"

#include "dialects/answers.h"
#include "gateway/errors.h"

namespace mayfly::dialects::adapters {
namespace {

class HttpModels final : public gateway::HttpDialect {
 public:
  std::optional<std::size_t> whole_body_max() const override { return std::nullopt; }

  Result<engine::Invocation> to_invocation(io::HttpRequest& request,
                                           const gateway::RouteMatch& match,
                                           const std::string& request_id) const override {
    engine::Invocation invocation;
    invocation.arrived = std::chrono::steady_clock::now();
    invocation.version = match.version;
    invocation.kind = engine::PayloadKind::http;
    invocation.trace_id = trace_of(request.head.headers);
    invocation.head = wire::encode_request_head(request.head, match.path, match.base);
    invocation.body = std::move(request.body);
    invocation.more = std::move(request.more);
    invocation.request_id = request_id;
    return invocation;
  }

  io::HttpResponse to_response(engine::Answer& answer, const gateway::RouteMatch&) const override {
    if (answer.failure)
      return gateway::failure_response(*answer.failure, answer.function, answer.request_id);
    return http_answer(answer);
  }
};

}  // namespace

std::unique_ptr<gateway::HttpDialect> make_http_dialect() {
  return std::make_unique<HttpModels>();
}

}  // namespace mayfly::dialects::adapters
