// Endpoints of the state that functions keep between their calls.

#include "dialects/native/state.h"
#include "tables/state.h"
#include "wire/http_message.h"
#include "wire/json_slices.h"

namespace mayfly::dialects::native {
namespace {

constexpr std::size_t kBodyMax = tables::kValueBytesMax + 1024;  // blanks around a value

// Values stay the text that they are: numbers keep their digits.
void append_item(std::string& out, const tables::Item& item) {
  out += "{\"key\":";
  wire::append_json_string(out, item.key);
  out.append(",\"value\":").append(item.value);
  out.append(",\"etag\":\"").append(tables::etag_of(item.value)).append("\"}");
}

Error no_such_key(const std::string& key) {
  return Error{Code::not_found, "The state has no key \"" + key + "\"."};
}

}  // namespace

Reply Api::State::list_state(Call call) {
  auto query = query_of(call, {"prefix", "after", "limit"});
  if (query.has_error()) co_return query.error();
  const auto limit =
      number_in(*query, "limit", 1, static_cast<std::int64_t>(tables::kListMax) - 1, 100);
  if (limit.has_error()) co_return limit.error();
  auto listing = parts.state->list(text_in(*query, "prefix"), text_in(*query, "after"),
                                   static_cast<std::size_t>(*limit) + 1);
  auto items = co_await std::move(listing);
  if (items.has_error()) co_return items.error();
  std::string out = "{\"items\":[";
  const std::size_t shown = std::min<std::size_t>(items->size(), static_cast<std::size_t>(*limit));
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) out += ',';
    append_item(out, (*items)[i]);
  }
  out += "],\"next\":";
  wire::append_json_string(out, shown < items->size() ? (*items)[shown - 1].key : std::string());
  co_return io::json_response(200, out + "}\n");
}

Reply Api::State::get_state(Call call) {
  auto getting = parts.state->get(call.name);
  auto item = co_await std::move(getting);
  if (item.has_error()) co_return item.error();
  if (!item->has_value()) co_return no_such_key(call.name);
  std::string out;
  append_item(out, **item);
  co_return io::json_response(200, out + "\n");
}

Reply Api::State::put_state(Call call) {
  std::string setting = "256 KB for a value of the state";
  auto body = co_await io::read_all(std::move(call.http.body), std::move(call.http.more), kBodyMax,
                                    std::move(setting));
  if (body.has_error()) co_return body.error();
  const auto value = wire::check_json(*body);
  if (value.has_error())
    co_return Error{Code::invalid_argument,
                    "The body must be a JSON value: " + value.error().message};
  tables::Item item{call.name, std::string(*value)};
  auto putting = parts.state->put(item.key, item.value);
  const Status put = co_await std::move(putting);
  if (put.has_error()) co_return put.error();
  std::string out;
  append_item(out, item);
  co_return io::json_response(200, out + "\n");
}

Reply Api::State::delete_state(Call call) {
  auto removing = parts.state->remove(call.name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return removed.error();
  std::string out = "{\"removed\":";
  wire::append_json_string(out, call.name);
  co_return io::json_response(200, out + "}\n");
}

}  // namespace mayfly::dialects::native
