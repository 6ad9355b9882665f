#pragma once
// Parts of a request that every endpoint needs: route, query, credential; and the JSON of errors.
// Pure but for read_json().

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/invocation.h"
#include "io/http.h"
#include "telemetry/record.h"

namespace mayfly::dialects::native {

enum class Endpoint {
  healthz,
  metrics,
  info,
  runtimes,
  put_package,
  head_package,
  put_image,
  list_images,
  delete_image,
  list_buckets,
  put_bucket,
  delete_bucket,
  get_notifications,
  put_notifications,
  list_objects,
  put_object,
  get_object,
  delete_object,
  list_functions,
  put_function,
  get_function,
  delete_function,
  publish_version,
  list_versions,
  put_belongings,
  get_url,
  put_url,
  delete_url,
  list_layers,
  put_layer,
  delete_layer,
  invoke,
  logs,
  invocations,
  stats,
  bill,
  list_apps,
  put_app,
  delete_app,
  list_calls,
  get_call,
  cancel_call,
  retry_call,
  call_result,
  list_schedules,
  put_schedule,
  get_schedule,
  delete_schedule,
  enable_schedule,
  disable_schedule,
  run_schedule,
  list_topics,
  put_topic,
  get_topic,
  delete_topic,
  publish,
  subscribe,
  list_topic_subscriptions,
  list_subscriptions,
  get_subscription,
  delete_subscription,
  put_events,
  list_buses,
  put_bus,
  get_bus,
  delete_bus,
  list_rules,
  put_rule,
  get_rule,
  delete_rule,
  enable_rule,
  disable_rule,
  list_triggers,
  create_trigger,
  get_trigger,
  update_trigger,
  delete_trigger,
  list_state,
  get_state,
  put_state,
  delete_state,
  list_queues,
  put_queue,
  get_queue,
  delete_queue,
  send_messages,
  peek_messages,
  purge_queue,
  receive_messages,
  settle_messages,
  hide_messages,
  dead_letter_messages,
  redrive_messages,
  list_keys,
  create_key,
  delete_key,
};

struct Match {
  std::optional<Endpoint> endpoint;  // none: see allow
  std::string name;                  // the {name} or {sha256} of the path, decoded
  std::string allow;                 // path known, method not: the methods that are; else empty
};

// path as in wire::RequestHead::path(). HEAD is served where GET is.
Match match_route(std::string_view method, std::string_view path);

// name=value pairs, decoded; + is a space. A broken escape or a name not in known is an error.
Result<std::map<std::string, std::string>> parse_query(std::string_view query,
                                                       const std::vector<std::string_view>& known);

// Bearer KEY, compared in constant time.
bool credential_matches(std::string_view authorization, std::string_view key);

// Refuses what is no JSON object (invalid_argument, with the place) and keys that are not in known.
Result<boost::json::object> parse_object(std::string_view text,
                                         const std::vector<std::string_view>& known);

// {"error":{"code","message","party","phase","request_id","detail"?}}; detail is JSON text, or
// plain text that becomes a string.
std::string error_json(std::string_view code, std::string_view message, telemetry::Party party,
                       telemetry::Phase phase, std::string_view request_id,
                       std::string_view detail = {});

io::HttpResponse error_reply(const Error& error, const std::string& request_id);
io::HttpResponse failure_reply(const engine::Failure& failure, const std::string& request_id,
                               int status);

}  // namespace mayfly::dialects::native
