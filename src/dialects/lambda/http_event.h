#pragma once
// HTTP for event models: a request becomes an API Gateway event, payload format 2.0, and the
// handler's result becomes a response by the rules of that format (docs/internals/engine.md).
// Sources: shared contract on the platforms' HTTP event shapes; AWS's payload format 2.0.

#include <memory>
#include <string>

#include "gateway/gateway.h"

namespace mayfly::dialects::lambda {

struct EventSettings {
  std::string account = "000000000000";
  std::string api_id = "mayfly";
  std::string region = "us-east-1";
  std::size_t body_bytes_max = 64u << 20;  // setting http.body_bytes_max
};

std::unique_ptr<gateway::HttpDialect> make_event_dialect(EventSettings settings = {});

// Writes the event. body is all of the request's body. Pure.
std::string write_v2_event(const wire::RequestHead& head, std::string_view body,
                           const gateway::RouteMatch& match, std::string_view request_id,
                           WallTime now, const EventSettings& settings);

// The same in payload format 1.0, which REST APIs send. Pure.
std::string write_v1_event(const wire::RequestHead& head, std::string_view body,
                           const gateway::RouteMatch& match, std::string_view request_id,
                           WallTime now, const EventSettings& settings);

// Reads a handler's result for a REST API: {"statusCode",...} and nothing else. With media types of
// its own (match.app->api.binary) a base64 body is decoded only when the client's first Accept is
// one of them. Errors as below. Pure.
Result<io::HttpResponse> read_v1_reply(std::string_view json, const gateway::RouteMatch& match);

// Reads a handler's result: {"statusCode",...} or any JSON value. An error says what is wrong with
// the reply, as a phrase that begins with "its reply". Pure; fuzzed.
Result<io::HttpResponse> read_v2_reply(std::string_view json);

// Reads what precedes a streamed HTTP answer: {"statusCode","headers","cookies"}, all optional.
// Errors as above. Pure; fuzzed.
Result<wire::ResponseHead> read_v2_prelude(std::string_view json);

}  // namespace mayfly::dialects::lambda
