// Access keys: what clients of AWS services sign with.

#include <boost/json/array.hpp>

#include "dialects/native/state.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

namespace {

constexpr std::size_t kNameMax = 256;

// Without the secret: that is told once, to who made the key.
json::object key_object(const identity::AccessKey& key) {
  return json::object{{"access_key_id", key.id},
                      {"name", key.name},
                      {"created_us", to_epoch_us(key.created)},
                      {"created", to_rfc3339(key.created)}};
}

Error no_keys() {
  return Error{Code::unsupported, "This server keeps no access keys."};
}

}  // namespace

Reply Api::State::list_keys(Call call) {
  if (!parts.keys) co_return no_keys();
  auto query = query_of(call, {});
  if (query.has_error()) co_return query.error();
  json::array keys;
  for (const auto& key : parts.keys->list()) keys.push_back(key_object(*key));
  co_return json_reply(200, json::object{{"keys", std::move(keys)}});
}

Reply Api::State::create_key(Call call) {
  if (!parts.keys) co_return no_keys();
  std::vector<std::string_view> known{"name"};
  auto reading = object_of(call, std::move(known));
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  std::string name;
  if (const json::value* given = body->if_contains("name")) {
    if (!given->is_string() || given->get_string().size() > kNameMax)
      co_return Error{Code::invalid_argument, "\"name\" wants a text of up to 256 characters."};
    name = std::string(given->get_string());
  }
  auto creating = parts.keys->create(std::move(name));
  auto key = co_await std::move(creating);
  if (key.has_error()) co_return key.error();
  json::object answer = key_object(**key);
  answer["secret_access_key"] = (*key)->secret;
  co_return json_reply(201, answer);
}

Reply Api::State::delete_key(Call call) {
  if (!parts.keys) co_return no_keys();
  auto removing = parts.keys->remove(call.name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return removed.error();
  co_return json_reply(200, json::object{{"removed", call.name}});
}

}  // namespace mayfly::dialects::native
