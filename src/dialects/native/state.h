#pragma once
// Internal: the endpoints of the API, grouped by what they are about (files of the same name).

#include <boost/json/object.hpp>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "dialects/native/api.h"
#include "dialects/native/log_stream.h"
#include "dialects/native/package_keeper.h"
#include "dialects/native/request.h"

namespace mayfly::dialects::native {

using Query = std::map<std::string, std::string>;

// A request whose route and credential are settled.
struct Call {
  io::HttpRequest http;
  std::string name;
  std::string request_id;
  SteadyTime arrived;
};

using Reply = io::Task<Result<io::HttpResponse>>;

struct Api::State : std::enable_shared_from_this<Api::State> {
  explicit State(ApiParts p);

  ApiParts parts;
  ServerFacts facts;
  SystemClock clock;
  std::list<std::weak_ptr<LogFeed>> feeds;
  bool closing = false;
  std::shared_ptr<PackageKeeper> keeper;

  // An Error becomes the JSON of errors in one place (api.cc).
  Reply dispatch(Endpoint endpoint, Call call);
  Reply dispatch_belongings(Endpoint endpoint, Call call);  // belongings.cc: URLs and layers, too
  Reply dispatch_events(Endpoint endpoint, Call call);  // triggers.cc: state and what is of events
  Result<Query> query_of(const Call& call, const std::vector<std::string_view>& known) const;
  io::Task<Result<boost::json::object>> object_of(Call& call, std::vector<std::string_view> known);

  // functions.cc
  Reply put_package(Call call);  // of the body, or of an object in a bucket
  Reply head_package(Call call);
  Reply list_functions(Call call);
  Reply put_function(Call call);
  Reply get_function(Call call);
  Reply delete_function(Call call);
  Reply publish_version(Call call);
  Reply list_versions(Call call);
  Reply put_belongings(Call call);
  Reply list_apps(Call call);
  Reply put_app(Call call);
  Reply delete_app(Call call);

  // layers.cc
  Reply list_layers(Call call);
  Reply put_layer(Call call);
  Reply delete_layer(Call call);

  // function_urls.cc
  Reply function_urls(Endpoint endpoint, Call call);
  Reply put_url(Call call, std::string alias);
  boost::json::object render_url(const std::string& function, const std::string& alias) const;
  // images.cc
  Reply images(Endpoint endpoint, Call call);
  Reply put_image(Call call);
  Reply list_images(Call call);
  Reply delete_image(Call call);

  // buckets.cc
  Reply bucket_requests(Endpoint endpoint, Call call);
  Reply list_buckets(Call call);
  Reply put_bucket(Call call);
  Reply delete_bucket(Call call);
  Reply get_notifications(Call call);
  Reply put_notifications(Call call);
  Reply list_objects(Call call);
  Reply put_object(Call call);
  Reply get_object(Call call);
  Reply delete_object(Call call);
  Result<std::string> object_key(const Call& call) const;
  // The bytes of an object (null: none), and what it is.
  io::Task<Result<io::BodyReaderPtr>> open_object(std::string bucket, std::string key,
                                                  buckets::Object* object);

  // invoke.cc
  Reply invoke(Call call);

  Reply invoke_async(Call call, functions::VersionPtr version, std::string payload);

  // calls.cc
  Reply calls(Endpoint endpoint, Call call);
  Reply list_calls(Call call);

  // topics.cc
  Reply dispatch_topics(Endpoint endpoint, Call call);
  Reply topic_requests(Endpoint endpoint, Call call);
  Reply put_topic(Call call);
  Reply subscribe(Call call);
  Reply publish(Call call);

  // events.cc
  Reply event_requests(Endpoint endpoint, Call call);
  Reply bus_requests(Endpoint endpoint, Call call);
  Reply rule_requests(Endpoint endpoint, Call call);
  Reply put_events(Call call);
  Reply put_rule(Call call);
  Reply delete_rule(Call call);

  // schedules.cc
  Reply schedules(Endpoint endpoint, Call call);
  Reply put_schedule(Call call);

  // triggers.cc
  Reply list_triggers(Call call);
  Reply create_trigger(Call call);
  Reply get_trigger(Call call);
  Reply update_trigger(Call call);
  Reply delete_trigger(Call call);

  // function_state.cc
  Reply list_state(Call call);
  Reply get_state(Call call);
  Reply put_state(Call call);
  Reply delete_state(Call call);

  // insight.cc
  Reply metrics(Call call);
  Reply info(Call call);
  Reply runtimes(Call call);
  Reply logs(Call call);
  Reply invocations(Call call);
  Reply stats(Call call);
  Reply bill(Call call);

  // queues.cc
  io::Task<Result<boost::json::object>> queue_request(Call& call,
                                                      std::vector<std::string_view> known);
  Reply list_queues(Call call);
  Reply put_queue(Call call);
  Reply get_queue(Call call);
  Reply delete_queue(Call call);
  Reply send_messages(Call call);
  Reply peek_messages(Call call);
  Reply purge_queue(Call call);
  Reply receive_messages(Call call);
  Reply settle_messages(Call call);
  Reply hide_messages(Call call);
  Reply dead_letter_messages(Call call);
  Reply redrive_messages(Call call);

  // keys.cc
  Reply list_keys(Call call);
  Reply create_key(Call call);
  Reply delete_key(Call call);
};

// A member that is a string; "" when there is none.
std::string text_of(const boost::json::object& object, std::string_view key);
io::HttpResponse json_reply(int status, const boost::json::object& object);
Error no_such_function(const std::string& name);
// A whole number in a query; fallback when it is not there.
Result<std::int64_t> number_in(const Query& query, const std::string& name, std::int64_t low,
                               std::int64_t high, std::int64_t fallback);
std::string text_in(const Query& query, const std::string& name);
Result<bool> flag_in(const Query& query, const std::string& name);

}  // namespace mayfly::dialects::native
