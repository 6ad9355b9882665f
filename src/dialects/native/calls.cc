// /v1/calls: async calls, by their ids.

#include "base/base64.h"
#include "dialects/native/state.h"
#include "triggers/async_calls.h"

namespace mayfly::dialects::native {
namespace {

namespace json = boost::json;
using triggers::CallRecord;

void add_error(json::object& object, const CallRecord& record) {
  if (record.error.empty() && record.error_code.empty()) return;
  json::object error{{"code", record.error_code}, {"message", record.error}};
  if (!record.error_json.empty()) {
    boost::system::error_code failed;
    json::value detail = json::parse(record.error_json, failed);
    error["detail"] = failed ? json::value(record.error_json) : std::move(detail);
  }
  object["error"] = std::move(error);
}

json::object render(const CallRecord& record) {
  json::object object{{"id", record.id},
                      {"function", record.function},
                      {"target", record.target},
                      {"source", record.source},
                      {"state", triggers::state_name(record.state)},
                      {"attempts", record.attempts},
                      {"accepted_us", record.accepted_us}};
  if (!record.alias.empty()) object["call_id"] = record.alias;
  if (!record.again_of.empty()) object["again_of"] = record.again_of;
  if (record.next_us > 0) object["next_us"] = record.next_us;
  if (record.ended_us > 0) object["ended_us"] = record.ended_us;
  if (record.status > 0) object["status"] = record.status;
  if (record.duration_us > 0) object["duration_us"] = record.duration_us;
  add_error(object, record);
  return object;
}

// The answer as JSON when it is that, as text when it is UTF-8, else in base64.
void add_result(json::object& object, const CallRecord& record) {
  if (record.state != triggers::CallState::succeeded && record.result.empty()) return;
  object["result_type"] = record.result_type;
  if (record.result_cut) object["result_cut"] = true;
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 256;
  json::value value = json::parse(record.result, failed, {}, options);
  if (!failed && !record.result_cut) {
    object["result"] = std::move(value);
    return;
  }
  // Whether it is UTF-8: as a JSON string it would be read back.
  std::string quoted;
  wire::append_json_string(quoted, record.result);
  const bool text = quoted.find("\xef\xbf\xbd") == std::string::npos;
  if (text) {
    object["result"] = record.result;
    return;
  }
  std::string encoded;
  append_base64(encoded, record.result);
  object["result_base64"] = encoded;
}

Result<triggers::CallFilter> filter_of(const Query& query) {
  triggers::CallFilter filter;
  filter.function = text_in(query, "function");
  filter.before = text_in(query, "before");
  const auto limit = number_in(query, "limit", 1, 1000, 100);
  if (limit.has_error()) return limit.error();
  filter.limit = static_cast<std::size_t>(*limit);
  const std::string state = text_in(query, "state");
  if (state.empty()) return filter;
  filter.state = triggers::state_from_name(state);
  if (filter.state) return filter;
  return Error{Code::invalid_argument,
               "Query parameter state wants waiting, running, succeeded, failed or cancelled."};
}

}  // namespace

Reply Api::State::list_calls(Call call) {
  const auto query = query_of(call, {"function", "state", "before", "limit"});
  if (query.has_error()) co_return query.error();
  auto filter = filter_of(*query);
  if (filter.has_error()) co_return filter.error();
  auto listing = parts.calls->list(std::move(*filter));
  const auto page = co_await std::move(listing);
  if (page.has_error()) co_return page.error();
  json::array list;
  for (const auto& record : page->calls) list.push_back(render(record));
  json::object object{{"calls", std::move(list)}};
  if (!page->next.empty()) object["next"] = page->next;
  co_return json_reply(200, object);
}

Reply Api::State::calls(Endpoint endpoint, Call call) {
  if (parts.calls == nullptr)
    co_return Error{Code::unsupported, "This server takes no async calls."};
  if (endpoint == Endpoint::list_calls) {
    Reply listing = list_calls(std::move(call));
    auto listed = co_await std::move(listing);
    co_return listed;
  }
  if (endpoint == Endpoint::retry_call) {
    auto running = parts.calls->run_again(call.name);
    const auto again = co_await std::move(running);
    if (again.has_error()) co_return again.error();
    co_return json_reply(202, json::object{{"call_id", again->id}});
  }
  auto looking = endpoint == Endpoint::cancel_call ? parts.calls->cancel(call.name)
                                                   : parts.calls->find(call.name);
  const auto record = co_await std::move(looking);
  if (record.has_error()) co_return record.error();
  if (endpoint == Endpoint::call_result) {
    if (!triggers::is_over(record->state))
      co_return Error{Code::unavailable, "The call is not over yet."};
    io::HttpResponse response;
    response.head.status = 200;
    response.head.headers.set("Content-Type", record->result_type.empty()
                                                  ? "application/octet-stream"
                                                  : record->result_type);
    response.head.headers.set("X-Mayfly-Call-State", triggers::state_name(record->state));
    response.body = record->result;
    co_return response;
  }
  json::object object = render(*record);
  add_result(object, *record);
  co_return json_reply(200, object);
}

}  // namespace mayfly::dialects::native
