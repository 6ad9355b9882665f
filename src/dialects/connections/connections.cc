#include "dialects/connections/connections.h"

#include "aws/session.h"
#include "aws/times.h"
#include "dialects/aws_values.h"
#include "dialects/text.h"
#include "wire/utf8.h"

namespace mayfly::dialects::connections {

namespace {

using aws::kDocument;
using aws::Kind;
using aws::kString;
using aws::Member;
using aws::Place;
using aws::Shape;

enum class ConnectionOp : int { post, get, remove };

constexpr Member kConnectionMembers[] = {{"Stage", &kString, {}, Place::path},
                                         {"ConnectionId", &kString, {}, Place::path, true}};
constexpr Shape kConnection{Kind::structure, kConnectionMembers};

constexpr aws::Operation operation(std::string_view name, ConnectionOp op, std::string_view method,
                                   std::string_view path, int status) {
  return {name,   &kConnection, &kDocument, static_cast<int>(op),
          method, path,         status,     op == ConnectionOp::post};
}

constexpr std::string_view kPlain = "/@connections/{ConnectionId}";
constexpr std::string_view kStaged = "/{Stage}/@connections/{ConnectionId}";

constexpr aws::Operation kConnectionOperations[] = {
    operation("PostToConnection", ConnectionOp::post, "POST", kPlain, 200),
    operation("GetConnection", ConnectionOp::get, "GET", kPlain, 200),
    operation("DeleteConnection", ConnectionOp::remove, "DELETE", kPlain, 204),
    operation("PostToConnection", ConnectionOp::post, "POST", kStaged, 200),
    operation("GetConnection", ConnectionOp::get, "GET", kStaged, 200),
    operation("DeleteConnection", ConnectionOp::remove, "DELETE", kStaged, 204),
};

constexpr aws::Contract make_connections_contract() {
  aws::Contract made;
  made.name = "execute-api";
  made.api_version = "2018-11-29";
  made.operations = kConnectionOperations;
  made.rest_json = true;
  return made;
}

constexpr aws::Contract kConnectionsContract = make_connections_contract();

aws::Fault connection_fault(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return {"GoneException", "The connection with the provided id no longer exists.", 410};
    case Code::too_large:
      return {"PayloadTooLargeException", error.message, 413};
    case Code::resource_exhausted:
      return {"LimitExceededException", error.message, 429};
    default:
      return aws::fault_of(error);
  }
}

std::string shown_time(WallTime time) {
  return aws::iso8601(static_cast<double>(to_epoch_ms(time)) / 1000.0);
}

}  // namespace

const aws::Contract& Connections::contract() const {
  return kConnectionsContract;
}

// What stands in the address as the stage is nothing to go by; the connection knows its own.
std::vector<aws::Need> Connections::needs(const aws::Call& call) const {
  const std::string id = text_member(call.input, "ConnectionId");
  const auto info = sockets_.find(id);
  const std::string api = info.has_value() ? info->api_id + "/" + info->stage : "*/*";
  return {{"execute-api:ManageConnections",
           "arn:aws:execute-api:" + region_ + ":" + account_ + ":" + api + "/" +
               std::string(call.operation->method) + "/@connections/" + id}};
}

io::Task<aws::Outcome<boost::json::object>> Connections::call(aws::Call call) {
  const std::string id = text_member(call.input, "ConnectionId");
  if (static_cast<ConnectionOp>(call.operation->tag) == ConnectionOp::remove) {
    const Status closed = sockets_.close(id);
    if (closed.has_error()) co_return connection_fault(closed.error());
    co_return boost::json::object{};
  }
  const auto info = sockets_.find(id);
  if (info.has_error()) co_return connection_fault(info.error());
  boost::json::object identity{{"sourceIp", info->source_ip}, {"userAgent", info->user_agent}};
  co_return boost::json::object{{"connectedAt", shown_time(info->connected)},
                                {"identity", std::move(identity)},
                                {"lastActiveAt", shown_time(info->last_active)}};
}

io::Task<aws::Outcome<io::HttpResponse>> Connections::answer(aws::Call call, std::string body) {
  // What is no text travels as bytes.
  const Status sent =
      sockets_.send(text_member(call.input, "ConnectionId"), body, !wire::is_utf8(body));
  if (sent.has_error()) co_return connection_fault(sent.error());
  io::HttpResponse response;
  co_return std::move(response);
}

}  // namespace mayfly::dialects::connections
