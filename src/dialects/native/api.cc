#include "dialects/native/api.h"

#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/ids.h"
#include "base/log.h"
#include "dialects/native/state.h"

namespace mayfly::dialects::native {

namespace {

constexpr std::size_t kJsonBodyMax = 1u << 20;  // of deploys and apps; not of invocations

io::HttpResponse unrouted(const Match& match, const std::string& method, const std::string& path,
                          const std::string& request_id) {
  using telemetry::Party;
  using telemetry::Phase;
  if (match.allow.empty())
    return error_reply(Error{Code::not_found, "The API has nothing at " + path +
                                                  "; docs/reference/api.md lists its paths. "
                                                  "Functions are served on the gateway port."},
                       request_id);
  auto response = io::json_response(
      405, error_json("invalid_argument",
                      method + " is not allowed on " + path + "; allowed: " + match.allow + ".",
                      Party::client, Phase::route, request_id));
  response.head.headers.set("Allow", match.allow);
  response.head.headers.set("X-Mayfly-Request-Id", request_id);
  return response;
}

io::HttpResponse unauthorized(const std::string& key_file, const std::string& request_id) {
  auto response = error_reply(
      Error{Code::unauthenticated,
            "The API wants the header \"Authorization: Bearer KEY\". The key is in " + key_file +
                " on the server; the CLI finds it there by itself, or takes it from --key or "
                "MAYFLY_KEY."},
      request_id);
  response.head.headers.set("WWW-Authenticate", "Bearer realm=\"mayfly\"");
  return response;
}

}  // namespace

io::HttpResponse json_reply(int status, const boost::json::object& object) {
  return io::json_response(status, boost::json::serialize(object) + "\n");
}

std::string text_of(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Error no_such_function(const std::string& name) {
  return Error{Code::not_found,
               "There is no function \"" + name + "\"; `mayfly ls` lists the functions."};
}

Result<std::int64_t> number_in(const Query& query, const std::string& name, std::int64_t low,
                               std::int64_t high, std::int64_t fallback) {
  const auto found = query.find(name);
  if (found == query.end()) return fallback;
  const std::string& text = found->second;
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || value < low || value > high)
    return Error{Code::invalid_argument,
                 fmt::format("Query parameter {} wants a whole number from {} to {}, not \"{}\".",
                             name, low, high, text)};
  return value;
}

std::string text_in(const Query& query, const std::string& name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

Result<bool> flag_in(const Query& query, const std::string& name) {
  const auto found = query.find(name);
  if (found == query.end() || found->second == "0" || found->second == "false") return false;
  if (found->second.empty() || found->second == "1" || found->second == "true") return true;
  return Error{Code::invalid_argument,
               "Query parameter " + name + " wants 1 or 0, not \"" + found->second + "\"."};
}

Result<Query> Api::State::query_of(const Call& call,
                                   const std::vector<std::string_view>& known) const {
  return parse_query(call.http.head.query(), known);
}

io::Task<Result<boost::json::object>> Api::State::object_of(Call& call,
                                                            std::vector<std::string_view> known) {
  std::string setting = "1 MB for requests of this kind";
  auto body = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                    kJsonBodyMax, std::move(setting));
  if (body.has_error()) co_return body.error();
  co_return parse_object(*body, known);
}

Api::State::State(ApiParts p) : parts(std::move(p)) {
  functions::Catalogue& catalogue = parts.catalogue;
  functions::Packages& packages = parts.packages;
  // A package outlives the longest invocation that may still run from it.
  const milliseconds grace{catalogue.defaults().timeout_ms_max + 60'000};
  keeper = std::make_shared<PackageKeeper>(PackageKeeper::Parts{
      parts.loop, parts.pool, clock, [&catalogue] { return catalogue.packages_in_use(); },
      [&packages, images = catalogue.image_trees()](const std::set<std::string>& keep) {
        return packages.collect(keep) + (images == nullptr ? 0 : images->collect(keep));
      },
      grace});
}

Reply Api::State::dispatch(Endpoint endpoint, Call call) {
  switch (endpoint) {
    case Endpoint::healthz:
      break;  // answered before, without a credential
    case Endpoint::metrics:
      return metrics(std::move(call));
    case Endpoint::info:
      return info(std::move(call));
    case Endpoint::runtimes:
      return runtimes(std::move(call));
    case Endpoint::put_package:
      return put_package(std::move(call));
    case Endpoint::head_package:
      return head_package(std::move(call));
    case Endpoint::list_functions:
      return list_functions(std::move(call));
    case Endpoint::put_function:
      return put_function(std::move(call));
    case Endpoint::get_function:
      return get_function(std::move(call));
    case Endpoint::delete_function:
      return delete_function(std::move(call));
    case Endpoint::publish_version:
      return publish_version(std::move(call));
    case Endpoint::list_versions:
      return list_versions(std::move(call));
    case Endpoint::invoke:
      return invoke(std::move(call));
    case Endpoint::logs:
      return logs(std::move(call));
    case Endpoint::invocations:
      return invocations(std::move(call));
    case Endpoint::stats:
      return stats(std::move(call));
    case Endpoint::bill:
      return bill(std::move(call));
    case Endpoint::list_apps:
      return list_apps(std::move(call));
    case Endpoint::put_app:
      return put_app(std::move(call));
    case Endpoint::delete_app:
      return delete_app(std::move(call));
    case Endpoint::list_calls:
    case Endpoint::get_call:
    case Endpoint::cancel_call:
    case Endpoint::retry_call:
    case Endpoint::call_result:
      return calls(endpoint, std::move(call));
    case Endpoint::list_schedules:
    case Endpoint::put_schedule:
    case Endpoint::get_schedule:
    case Endpoint::delete_schedule:
    case Endpoint::enable_schedule:
    case Endpoint::disable_schedule:
    case Endpoint::run_schedule:
      return schedules(endpoint, std::move(call));
    case Endpoint::list_queues:
      return list_queues(std::move(call));
    case Endpoint::put_queue:
      return put_queue(std::move(call));
    case Endpoint::get_queue:
      return get_queue(std::move(call));
    case Endpoint::delete_queue:
      return delete_queue(std::move(call));
    case Endpoint::send_messages:
      return send_messages(std::move(call));
    case Endpoint::peek_messages:
      return peek_messages(std::move(call));
    case Endpoint::purge_queue:
      return purge_queue(std::move(call));
    case Endpoint::receive_messages:
      return receive_messages(std::move(call));
    case Endpoint::settle_messages:
      return settle_messages(std::move(call));
    case Endpoint::hide_messages:
      return hide_messages(std::move(call));
    case Endpoint::dead_letter_messages:
      return dead_letter_messages(std::move(call));
    case Endpoint::redrive_messages:
      return redrive_messages(std::move(call));
    default:
      return dispatch_belongings(endpoint, std::move(call));
  }
  return info(std::move(call));
}

Api::Api(ApiParts parts) : state_(std::make_shared<State>(std::move(parts))) {
  state_->keeper->collect();  // what an earlier server left
}
Api::~Api() = default;

void Api::set_facts(ServerFacts facts) {
  state_->facts = std::move(facts);
}

std::shared_ptr<PackageKeeper> Api::package_keeper() const {
  return state_->keeper;
}

void Api::close_streams() {
  state_->closing = true;
  for (const auto& weak : state_->feeds)
    if (const auto feed = weak.lock()) feed->close();
}

io::Task<io::HttpResponse> Api::handle(io::HttpRequest request) {
  const auto state = state_;
  Call call;
  call.request_id = new_uuid();
  call.arrived = state->clock.steady_now();
  const std::string request_id = call.request_id;
  const std::string method = request.head.method;
  const std::string path(request.head.path());

  Match match = match_route(method, path);
  if (match.endpoint == Endpoint::healthz)
    co_return io::json_response(200, "{\"status\":\"ok\"}\n");
  const auto credential = request.head.headers.find("Authorization");
  if (!credential || !credential_matches(*credential, state->parts.key))
    co_return unauthorized(state->parts.key_file, request_id);
  if (!match.endpoint) co_return unrouted(match, method, path, request_id);

  call.http = std::move(request);
  call.name = std::move(match.name);
  Reply replying = state->dispatch(*match.endpoint, std::move(call));
  auto reply = co_await std::move(replying);
  if (reply.has_error()) co_return error_reply(reply.error(), request_id);
  if (!reply->head.headers.contains("X-Mayfly-Request-Id"))
    reply->head.headers.set("X-Mayfly-Request-Id", request_id);
  co_return std::move(*reply);
}

}  // namespace mayfly::dialects::native
