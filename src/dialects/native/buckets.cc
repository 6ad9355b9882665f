// Buckets and their objects: `mayfly bucket`, and packages that lie in a bucket. S3's clients have
// the dialect of their own.

#include <boost/json/array.hpp>

#include "buckets/buckets.h"
#include "dialects/native/state.h"
#include "triggers/targets.h"
#include "wire/utf8.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

namespace {

constexpr std::int64_t kObjectsMax = 1000;

Error no_buckets_here() {
  return Error{Code::unsupported, "This server keeps no buckets."};
}

Error error_of(const buckets::Failure& failure) {
  using buckets::Why;
  switch (failure.why) {
    case Why::bucket_not_empty:
      return Error{Code::conflict,
                   failure.error.message + " `mayfly bucket rm --recursive` removes them, too."};
    case Why::full:
      return Error{Code::resource_exhausted, failure.error.message};
    default:
      return failure.error;
  }
}

json::object render_bucket(const buckets::Bucket& bucket) {
  return json::object{{"name", bucket.name},
                      {"region", bucket.region},
                      {"created_us", bucket.created_us},
                      {"created", to_rfc3339(from_epoch_us(bucket.created_us))}};
}

json::object render_object(const buckets::Object& object) {
  std::string type = "application/octet-stream";
  for (const auto& [name, value] : object.attributes.fields)
    if (name == "Content-Type") type = value;
  return json::object{{"key", object.key},
                      {"size", object.size},
                      {"etag", object.etag},
                      {"type", type},
                      {"modified_us", object.modified_us},
                      {"modified", to_rfc3339(from_epoch_us(object.modified_us))}};
}

json::object render_notifications(const std::vector<buckets::Notification>& notifications) {
  json::array list;
  for (const auto& one : notifications)
    list.push_back(json::object{{"id", one.id},
                                {"target", one.target},
                                {"events", json::array(one.events.begin(), one.events.end())},
                                {"prefix", one.prefix},
                                {"suffix", one.suffix}});
  return json::object{{"notifications", std::move(list)}};
}

Result<buckets::Notification> notification_in(const json::value& value) {
  if (!value.is_object()) return invalid("A notification is an object with id, target and events.");
  const json::object& object = value.get_object();
  for (const auto& [key, ignored] : object)
    if (key != "id" && key != "target" && key != "events" && key != "prefix" && key != "suffix")
      return invalid("There is no key \"" + std::string(key) +
                     "\" of notifications; there are id, target, events, prefix, suffix.");
  buckets::Notification out{text_of(object, "id"),
                            text_of(object, "target"),
                            {},
                            text_of(object, "prefix"),
                            text_of(object, "suffix")};
  const json::value* events = object.if_contains("events");
  if (events == nullptr || !events->is_array())
    return invalid("\"events\" must be a list of texts.");
  for (const auto& event : events->get_array()) {
    if (!event.is_string()) return invalid("\"events\" must be a list of texts.");
    std::string name(event.get_string());
    out.events.push_back(name.starts_with("s3:") ? name.substr(3) : std::move(name));
  }
  return out;
}

buckets::Cause cause_of(const Call& call, const char* event) {
  return {event, call.request_id, call.http.head.remote_ip, {}};
}

}  // namespace

Reply Api::State::bucket_requests(Endpoint endpoint, Call call) {
  switch (endpoint) {
    case Endpoint::list_buckets:
      return list_buckets(std::move(call));
    case Endpoint::put_bucket:
      return put_bucket(std::move(call));
    case Endpoint::delete_bucket:
      return delete_bucket(std::move(call));
    case Endpoint::get_notifications:
      return get_notifications(std::move(call));
    case Endpoint::put_notifications:
      return put_notifications(std::move(call));
    case Endpoint::list_objects:
      return list_objects(std::move(call));
    case Endpoint::put_object:
      return put_object(std::move(call));
    case Endpoint::get_object:
      return get_object(std::move(call));
    default:
      return delete_object(std::move(call));
  }
}

Reply Api::State::list_buckets(Call call) {
  if (parts.buckets == nullptr) co_return no_buckets_here();
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  json::array list;
  for (const auto& bucket : parts.buckets->list()) list.push_back(render_bucket(bucket));
  co_return json_reply(200, json::object{{"buckets", std::move(list)}});
}

Reply Api::State::put_bucket(Call call) {
  if (parts.buckets == nullptr) co_return no_buckets_here();
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  auto creating = parts.buckets->create(call.name, facts.region);
  auto created = co_await std::move(creating);
  const bool existed = created.has_error() && created.error().why == buckets::Why::bucket_exists;
  if (created.has_error() && !existed) co_return error_of(created.error());
  const buckets::Bucket* bucket = parts.buckets->find(call.name);
  if (!bucket) co_return Error{Code::conflict, "The bucket " + call.name + " was just removed."};
  json::object answer = render_bucket(*bucket);
  answer["existed"] = existed;
  co_return json_reply(200, answer);
}

Reply Api::State::delete_bucket(Call call) {
  if (parts.buckets == nullptr) co_return no_buckets_here();
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  auto removing = parts.buckets->remove(call.name);
  auto removed = co_await std::move(removing);
  if (removed.has_error()) co_return error_of(removed.error());
  co_return json_reply(200, json::object{{"removed", call.name}});
}

Reply Api::State::get_notifications(Call call) {
  if (parts.buckets == nullptr) co_return no_buckets_here();
  if (auto query = query_of(call, {}); query.has_error()) co_return query.error();
  const buckets::Bucket* bucket = parts.buckets->find(call.name);
  if (!bucket) co_return Error{Code::not_found, "There is no bucket \"" + call.name + "\"."};
  co_return json_reply(200, render_notifications(bucket->notifications));
}

Reply Api::State::put_notifications(Call call) {
  if (parts.buckets == nullptr) co_return no_buckets_here();
  std::vector<std::string_view> known{"notifications"};
  auto reading = object_of(call, known);
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  const json::value* list = body->if_contains("notifications");
  if (list == nullptr || !list->is_array()) co_return invalid("\"notifications\" must be a list.");
  std::vector<buckets::Notification> notifications;
  for (const auto& item : list->get_array()) {
    auto one = notification_in(item);
    if (one.has_error()) co_return one.error();
    const Status there = parts.check_target ? parts.check_target(one->target) : ok();
    if (there.has_error()) co_return invalid(there.error().message);
    const auto target = triggers::parse_target(one->target);
    if (target.has_error()) co_return target.error();
    one->target = triggers::to_arn(*target, facts.region, facts.account);  // as S3 shows it
    notifications.push_back(std::move(*one));
  }
  if (const Status good = check_notifications(notifications); good.has_error())
    co_return good.error();
  json::object answer = render_notifications(notifications);
  auto setting = parts.buckets->set_notifications(call.name, std::move(notifications));
  auto set = co_await std::move(setting);
  if (set.has_error()) co_return error_of(set.error());
  co_return json_reply(200, answer);
}

Reply Api::State::list_objects(Call call) {
  if (parts.buckets == nullptr) co_return no_buckets_here();
  auto query = query_of(call, {"prefix", "delimiter", "after", "limit"});
  if (query.has_error()) co_return query.error();
  auto limit = number_in(*query, "limit", 1, kObjectsMax, kObjectsMax);
  if (limit.has_error()) co_return limit.error();
  buckets::ListQuery wanted;
  wanted.bucket = call.name;
  wanted.prefix = text_in(*query, "prefix");
  wanted.delimiter = text_in(*query, "delimiter");
  wanted.after = text_in(*query, "after");
  wanted.limit = static_cast<std::size_t>(*limit);
  auto listing = parts.buckets->list(std::move(wanted));
  auto page = co_await std::move(listing);
  if (page.has_error()) co_return error_of(page.error());
  json::array objects, prefixes;
  for (const auto& entry : page->entries)
    if (entry.object)
      objects.push_back(render_object(*entry.object));
    else
      prefixes.emplace_back(entry.prefix);
  json::object answer{{"objects", std::move(objects)}, {"prefixes", std::move(prefixes)}};
  if (page->truncated && !page->entries.empty()) answer["next"] = page->entries.back().name();
  co_return json_reply(200, answer);
}

// The key that a request names.
Result<std::string> Api::State::object_key(const Call& call) const {
  if (parts.buckets == nullptr) return no_buckets_here();
  auto query = query_of(call, {"key"});
  if (query.has_error()) return query.error();
  std::string key = text_in(*query, "key");
  MAYFLY_TRY(buckets::check_key(key));
  return key;
}

Reply Api::State::put_object(Call call) {
  auto key = object_key(call);
  if (key.has_error()) co_return key.error();
  if (!parts.buckets->find(call.name))
    co_return Error{Code::not_found, "There is no bucket \"" + call.name +
                                         "\": make it with `mayfly bucket create`."};
  buckets::Object object;
  object.key = std::move(*key);
  if (const auto type = call.http.head.headers.find("Content-Type");
      type && !type->empty() && wire::is_utf8(*type))
    object.attributes.fields.emplace_back("Content-Type", *type);
  auto content = parts.buckets->new_content(buckets::Checksum::none, false);
  auto filling = parts.buckets->fill(content, std::move(call.http.body), std::move(call.http.more));
  auto filled = co_await std::move(filling);
  if (filled.has_error()) co_return error_of(filled.error());
  buckets::Precondition none;
  auto putting = parts.buckets->put(call.name, std::move(object), std::move(content),
                                    std::move(none), cause_of(call, "ObjectCreated:Put"));
  auto put = co_await std::move(putting);
  if (put.has_error()) co_return error_of(put.error());
  co_return json_reply(200, render_object(*put));
}

io::Task<Result<io::BodyReaderPtr>> Api::State::open_object(std::string bucket, std::string key,
                                                            buckets::Object* object) {
  auto getting = parts.buckets->get(std::move(bucket), std::move(key));
  auto found = co_await std::move(getting);
  if (found.has_error()) co_return error_of(found.error());
  if (!buckets::is_readable(found->object.attributes, to_epoch_us(clock.wall_now())))
    co_return Error{Code::permission_denied,
                    "The object is archived (" + found->object.attributes.storage +
                        "): restore it first, as `aws s3api restore-object` does."};
  auto body = parts.buckets->read(*found, 0, found->object.size);
  *object = std::move(found->object);
  co_return std::move(body);
}

Reply Api::State::get_object(Call call) {
  auto key = object_key(call);
  if (key.has_error()) co_return key.error();
  buckets::Object object;
  auto opening = open_object(call.name, std::move(*key), &object);
  auto body = co_await std::move(opening);
  if (body.has_error()) co_return body.error();
  io::HttpResponse response;
  const json::object facts_of = render_object(object);
  response.head.headers.set("Content-Type", text_of(facts_of, "type"));
  response.head.headers.set("Content-Length", std::to_string(object.size));
  response.head.headers.set("ETag", "\"" + object.etag + "\"");
  // What strangers put there is never a page of this server.
  response.head.headers.set("X-Content-Type-Options", "nosniff");
  response.head.headers.set("Content-Disposition", "attachment");
  if (call.http.head.method != "HEAD") response.more = std::move(*body);
  co_return std::move(response);
}

Reply Api::State::delete_object(Call call) {
  auto key = object_key(call);
  if (key.has_error()) co_return key.error();
  std::vector<std::string> keys{*key};
  auto removing =
      parts.buckets->remove(call.name, std::move(keys), cause_of(call, "ObjectRemoved:Delete"));
  auto removed = co_await std::move(removing);
  if (removed.has_error()) co_return error_of(removed.error());
  if (*removed == 0)
    co_return Error{Code::not_found,
                    "There is no object \"" + *key + "\" in the bucket " + call.name + "."};
  co_return json_reply(200, json::object{{"removed", *key}});
}

}  // namespace mayfly::dialects::native
