#include "functions/projects/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>

#include "functions/catalogue.h"
#include "functions/checks.h"
#include "functions/log_choices.h"
#include "wire/spawner_messages.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::size_t kThingsMax = 10'000;

// A few letters that tell long names with the same beginning apart.
std::string fingerprint(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3u;
  return fmt::format("{:08x}", static_cast<std::uint32_t>(hash ^ (hash >> 32)));
}

// Whether one request may have both paths.
bool overlap(std::string_view a, std::string_view b) {
  const auto segment = [](std::string_view& rest) {
    rest.remove_prefix(std::min<std::size_t>(1, rest.size()));  // the slash
    const std::string_view first = rest.substr(0, rest.find('/'));
    rest.remove_prefix(first.size());
    return first;
  };
  while (!a.empty() || !b.empty()) {
    const std::string_view x = segment(a), y = segment(b);
    if (x.ends_with("+}") || y.ends_with("+}")) return true;
    if (x != y && !x.starts_with('{') && !y.starts_with('{')) return false;
  }
  return true;
}

void few(const Value& at, std::size_t count) {
  if (count >= kThingsMax) wrong(at, "there are too many of these.");
}

}  // namespace

void demand(const Value& at, const Status& status) {
  if (status.has_error()) wrong(at, status.error().message);
}

Builder::Builder(Project& project, const Surroundings& around, std::string stack)
    : project_(project), around_(around), stack_(std::move(stack)) {
  region_ = around.region.empty() ? around.home_region : around.region;
  project_.manifest.name = stack_;
}

void Builder::set_pseudo_parameters() {
  intrinsics_.set_pseudo("AWS::Region", region_);
  intrinsics_.set_pseudo("AWS::AccountId", around_.account);
  intrinsics_.set_pseudo("AWS::StackName", stack_);
  intrinsics_.set_pseudo("AWS::StackId", arn("cloudformation", "stack/" + stack_));
  intrinsics_.set_pseudo("AWS::Partition", "aws");
  intrinsics_.set_pseudo("AWS::URLSuffix", "amazonaws.com");
}

std::string Builder::made_up_name(const Value& at, std::string_view logical,
                                  std::size_t max) const {
  std::string name = stack_ + "-" + std::string(logical);
  if (name.size() > max) name = name.substr(0, max - 9) + "-" + fingerprint(name);
  demand(at, check_name("resource", name.substr(0, 64)));
  return name;
}

std::string Builder::arn(std::string_view service, std::string_view rest) const {
  return fmt::format("arn:aws:{}:{}:{}:{}", service, region_, around_.account, rest);
}

std::string Builder::queue_url(std::string_view name) const {
  return fmt::format("{}/{}/{}", around_.api, around_.account, name);
}

std::string Builder::name_in(const Value& value, std::string_view service) const {
  const std::string text = filled_text_of(value);
  if (text.starts_with("http://") || text.starts_with("https://"))
    return text.substr(text.rfind('/') + 1);
  if (!text.starts_with("arn:")) return text;
  std::string_view rest = text;
  std::string_view parts[5];
  for (auto& part : parts) {
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos) wrong(value, "'" + text.substr(0, 100) + "' is no ARN.");
    part = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  if (parts[2] != service)
    wrong(value, fmt::format("'{}' is no ARN of the service {}.", text.substr(0, 100), service));
  if (service == "lambda" && rest.starts_with("function:")) {
    rest.remove_prefix(9);
    rest = rest.substr(0, rest.find(':'));
  }
  if (service == "events" && rest.starts_with("event-bus/")) rest.remove_prefix(10);
  return std::string(rest);
}

std::string Builder::qualified_function_in(const Value& value) const {
  const std::string name = name_in(value, "lambda"), mark = ":function:" + name + ":";
  const auto at = value.text.find(mark);
  return at == std::string::npos ? name : name + ":" + value.text.substr(at + mark.size());
}

std::string Builder::socket_url() const {
  const auto& http = around_.gateway;
  return http.starts_with("http") ? "ws" + http.substr(4) : http;
}

namespace {

void replace_all(std::string& text, const std::string& there, const std::string& here) {
  for (std::size_t at = text.find(there); at != std::string::npos; at = text.find(there, at)) {
    text.replace(at, there.size(), here);
    at += here.size();
  }
}

}  // namespace

std::string Builder::at_gateway(std::string text) const {
  for (const auto& api : socket_apis_) {  // clients, and who manages connections
    const std::string host = "://" + api + ".execute-api." + region_ + ".amazonaws.com";
    replace_all(text, "wss" + host, socket_url());
    replace_all(text, "https" + host, around_.api);
  }
  for (const auto& api : apis_) {
    const std::string host = api + ".execute-api." + region_ + ".amazonaws.com";
    for (const auto& there : {"https://" + host, "http://" + host}) {
      for (std::size_t at = text.find(there); at != std::string::npos; at = text.find(there, at)) {
        std::size_t end = at + there.size();
        for (const auto& stage : stages_) {
          const std::size_t past = end + stage.size() + 1;
          if (text.compare(end, stage.size() + 1, "/" + stage) != 0) continue;
          if (past != text.size() && text[past] != '/') continue;
          end = past;
          break;
        }
        text.replace(at, end - at, around_.gateway);
        at += around_.gateway.size();
      }
    }
  }
  return text;
}

Manifest::Function& Builder::add_function(const Value& at, const std::string& name) {
  demand(at, check_name("function", name));
  if (function(name) != nullptr)
    wrong(at, fmt::format("there are two functions with the name '{}'.", name));
  few(at, manifest().functions.size());
  manifest().functions.emplace_back();
  manifest().functions.back().name = name;
  return manifest().functions.back();
}

Manifest::Function* Builder::function(std::string_view name) {
  for (auto& one : manifest().functions)
    if (one.name == name) return &one;
  return nullptr;
}

std::string Builder::function_url(const std::string& name, const std::string& alias) {
  if (!around_.function_url) return around_.gateway + "/url/" + name + "/";
  auto& url = urls_[{name, alias}];
  if (url.empty()) url = around_.function_url(name, alias);
  return url;
}

void Builder::add_layer(const Value& at, Manifest::Layer layer) {
  demand(at, check_layer_name(layer.name));
  for (const auto& other : manifest().layers)
    if (other.name == layer.name)
      wrong(at, fmt::format("there are two layers with the name '{}'.", layer.name));
  few(at, manifest().layers.size());
  report_.made(at, "layer " + layer.name);
  manifest().layers.push_back(std::move(layer));
}

constexpr const char* kBucketLetters = "abcdefghijklmnopqrstuvwxyz0123456789-.";

void Builder::add_bucket(const Value& at, const std::string& name) {
  const auto& there = project_.manifest.buckets;
  if (std::find(there.begin(), there.end(), name) != there.end())
    wrong(at, "there are two buckets of the name " + name.substr(0, 80) + ".");
  if (name.size() < 3 || name.size() > 63 || name.find_first_not_of(kBucketLetters) != name.npos)
    wrong(at, "'" + name.substr(0, 80) +
                  "' is no name of a bucket: 3 to 63 of a-z, 0-9, '-' and '.'; say BucketName.");
  project_.manifest.buckets.push_back(name);
  report_.made(at, "bucket " + name);
}

void Builder::add_bucket_event(const Value& at, Manifest::BucketEvent event) {
  for (auto& name : event.events)
    if (name.starts_with("s3:")) name.erase(0, 3);
  report_.made(at, "events of the bucket " + event.bucket + " to " + event.function);
  project_.manifest.bucket_events.push_back(std::move(event));
}

std::vector<std::string> Builder::layers_of(const Value& list) {
  if (!list.is_list()) wrong(list, "must be a list of ARNs of layers.");
  std::vector<std::string> layers;
  for (const auto& item : list.items) {
    if (item.is_unknown()) {
      report_.not_used(item, item.text);
      continue;
    }
    if (item.is_null()) continue;
    const std::string text = filled_text_of(item);
    demand(item, check_layer_refs({text}));
    report_.used(item, "layer " + text);
    layers.push_back(text);
  }
  demand(list, check_layer_refs(layers));
  return layers;
}

void Builder::add_url(const Value& at, const std::string& name, Manifest::Url url) {
  Manifest::Function* to = function(name);
  if (to == nullptr)
    return report_.not_used(at, fmt::format("the function {} is not made here.", name));
  if (to->url) return report_.not_used(at, fmt::format("{} has a URL already", name));
  demand(at, check_cors(url.cors));
  report_.made(at, fmt::format("function URL {}{}", function_url(name, to->alias),
                               url.iam ? ", for signed requests" : ""));
  to->url = std::move(url);
}

void Builder::add_route(const Value& at, std::string method, std::string path,
                        const std::string& function, RouteRules rules, Entrance entrance) {
  std::transform(method.begin(), method.end(), method.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (method == "*") method = "ANY";
  if (path.empty() || path[0] != '/') path = "/" + path;
  demand(at, check_route_method(method));
  demand(at, check_route_path(path));
  few(at, routes_.size());
  Wanted wanted;
  wanted.place = at.place;
  wanted.route.method = std::move(method);
  wanted.route.path = std::move(path);
  wanted.route.function = function;
  wanted.route.rules = std::move(rules);
  wanted.entrance = std::move(entrance);
  routes_.push_back(std::move(wanted));
}

void Builder::make_routes() {
  std::set<std::string> functions;
  for (const auto& one : manifest().functions) functions.insert(one.name);
  guards_.settle(functions);
  std::map<std::pair<std::string, std::string>, int> lines;  // method and shape, to the line
  std::vector<Wanted*> left;
  for (auto& wanted : routes_) {
    Value at;
    at.place = wanted.place;
    const auto& route = wanted.route;
    // The first one counts, made or not: what asks nobody does not take its place.
    const auto [there, fresh] =
        lines.emplace(std::pair(route.method, route_shape(route.path)), at.line());
    if (!fresh) {
      report_.not_used(at, fmt::format("the route {} {} is that of line {}: all APIs of a project "
                                       "share the gateway's paths.",
                                       route.method, route.path, there->second));
      continue;
    }
    auto& why = wanted.entrance.why_not;
    if (why.empty()) why = guards_.why_not(route.rules, wanted.entrance.api);
    if (why.empty())
      make_route(at, wanted);
    else
      left.push_back(&wanted);
  }
  const std::size_t made = manifest().routes.size();
  for (Wanted* wanted : left) {
    Value at;
    at.place = wanted->place;
    const auto begin = manifest().routes.begin();
    const auto end = begin + static_cast<std::ptrdiff_t>(made);
    // A wider route would take its requests, and ask nobody.
    const auto wider = std::find_if(
        begin, end, [&](const Route& other) { return overlap(other.path, wanted->route.path); });
    if (wider == end) {
      report_.not_used(
          at, wanted->entrance.why_not + ", and the route would be open to all: it is not made");
      continue;
    }
    report_.not_used(at, fmt::format("{}, and the route would be open to all: it lets nobody in, "
                                     "since {} {} would take its requests",
                                     wanted->entrance.why_not, wider->method, wider->path));
    wanted->route.rules = {};
    wanted->route.rules.authorizer = guards_.closed();
    manifest().routes.push_back(std::move(wanted->route));
  }
}

void Builder::make_route(const Value& at, Wanted& wanted) {
  const auto& rules = wanted.route.rules;
  std::string how = rules.event == EventForm::v1 ? ", events of the form 1.0" : "";
  if (rules.authorizer == kIamAuthorizer)
    how += ", for signed requests";
  else if (!rules.authorizer.empty())
    how += ", when the authorizer " + rules.authorizer + " lets it";
  if (rules.api_key) how += ", with an API key";
  report_.made(at, fmt::format("route {} {} to {}{}", wanted.route.method, wanted.route.path,
                               wanted.route.function, how));
  manifest().routes.push_back(std::move(wanted.route));
}

void Builder::add_trigger(const Value& at, const std::string& name,
                          Manifest::QueueTrigger trigger) {
  Manifest::Function* to = function(name);
  if (to == nullptr)
    return report_.not_used(at, fmt::format("the function {} is not made here.", name));
  for (const auto& other : to->queues)
    if (other.queue == trigger.queue)
      wrong(at, fmt::format("the queue '{}' calls {} already.", trigger.queue, name));
  report_.made(at, fmt::format("messages of queue {} to {}", trigger.queue, name));
  to->queues.push_back(std::move(trigger));
}

void Builder::add_subscription(const Value& at, Manifest::Subscription subscription) {
  few(at, manifest().subscriptions.size());
  if (!subscription.filter.empty()) check_json(at, subscription.filter, true);
  report_.made(at, fmt::format("topic {} to {}", subscription.topic, subscription.target));
  if (subscription.target.starts_with("function:")) {
    const std::string name = subscription.target.substr(9);
    if (Manifest::Function* to = function(name)) {
      for (const auto& other : to->topics)
        if (other.topic == subscription.topic)
          wrong(at, fmt::format("the topic '{}' calls {} already.", subscription.topic, name));
      subscription.target.clear();
      to->topics.push_back(std::move(subscription));
      return;
    }
  }
  manifest().subscriptions.push_back(std::move(subscription));
}

std::string Builder::unique(std::set<std::string>& names, std::string wanted,
                            std::size_t max) const {
  std::string name = wanted.substr(0, max);
  for (int i = 2; !names.insert(name).second; ++i) {
    const std::string number = "-" + std::to_string(i);
    name = wanted.substr(0, max - number.size()) + number;
  }
  return name;
}

void Builder::add_schedule(const Value& at, Manifest::Schedule schedule) {
  few(at, manifest().schedules.size());
  if (!schedule.input.empty()) check_json(at, schedule.input, false);
  if (schedule.name.empty()) {
    const auto colon = schedule.target.find(':');
    schedule.name = unique(schedule_names_, schedule.target.substr(colon + 1), 64);
  } else if (demand(at, check_name("schedule", schedule.name));
             !schedule_names_.insert(schedule.name).second) {
    wrong(at, fmt::format("the schedule '{}' is there twice.", schedule.name));
  }
  report_.made(at, fmt::format("schedule {}: {} calls {}", schedule.name, schedule.expression,
                               schedule.target));
  manifest().schedules.push_back(std::move(schedule));
}

void Builder::add_rule(const Value& at, Manifest::Rule rule) {
  few(at, manifest().rules.size());
  check_json(at, rule.pattern, true);
  if (!rule.input.empty()) check_json(at, rule.input, false);
  if (rule.name.empty()) {
    const auto colon = rule.target.find(':');
    rule.name = unique(rule_names_, rule.target.substr(colon + 1), 64);
  } else if (!rule_names_.insert(rule.name).second) {
    wrong(at, fmt::format("the rule '{}' is there twice.", rule.name));
  }
  demand(at, check_name("rule", rule.name));
  report_.made(at, fmt::format("rule {}: matching events to {}", rule.name, rule.target));
  manifest().rules.push_back(std::move(rule));
}

void Builder::set_cors(const Value& at, Cors cors, std::string_view what) {
  demand(at, check_cors(cors));
  if (cors_at_ && !(manifest().cors == cors))
    return report_.not_used(at, fmt::format("the project has one CORS setting for all its routes; "
                                            "that of line {} is used.",
                                            cors_at_->line));
  if (!cors_at_) report_.made(at, std::string(what));
  cors_at_ = at.place;
  manifest().cors = std::move(cors);
}

void Builder::read_environment(const Value& value, Settings& settings) {
  Section section(value, report_);
  for (const auto& member : value.members)
    section.take(member.first, [&](const Value& one) {
      if (!one.is_scalar())
        wrong(one, "the value of an environment variable must be a text, a number or a boolean.");
      // From inside, queues and connections are at the sandbox's own way in.
      std::string text = at_gateway(one.text);
      if (!around_.api.empty()) replace_all(text, around_.api, wire::kServicesUrl);
      settings.env[member.first] = std::move(text);
      report_.used(one);
    });
  section.finish();
}

void Builder::read_logging(const Value& value, const LoggingKeys& keys, Settings& settings) {
  Section section(value, report_);
  LogSettings logs;
  const auto choice = [&](const char* key, std::string& into, const auto& allowed) {
    section.take(key, [&](const Value& one) {
      into = filled_text_of(one);
      if (!is_choice(allowed, into))
        wrong(one, fmt::format("must be one of {}.", fmt::join(allowed, ", ")));
      report_.used(one);
    });
  };
  choice(keys.format, logs.format, kLogFormats);
  choice(keys.level, logs.level, kLogLevels);
  choice(keys.system_level, logs.system_level, kSystemLogLevels);
  if (logs.format != "JSON" && !(logs.level.empty() && logs.system_level.empty()))
    wrong(value, fmt::format("levels count only with {}: JSON.", keys.format));
  section.finish({{keys.group, "the log of a function has the function's name"}});
  settings.logs = std::move(logs);
}

void Builder::check_json(const Value& at, const std::string& text, bool object) const {
  boost::system::error_code failed;
  const auto value = boost::json::parse(text, failed);
  if (failed || (object && !value.is_object()))
    wrong(at, fmt::format("'{}' is no {}.", text.substr(0, 60), object ? "JSON object" : "JSON"));
}

void Builder::check(const Value& at, const Settings& settings) const {
  Defaults widest;  // the server has the last word; these hold for every server
  widest.memory_mb_max = 1u << 20;
  widest.timeout_ms_max = UINT32_MAX;
  widest.concurrency_max = 100'000;
  widest.env_bytes_max = kDocumentBytesMax;
  demand(at, check_settings(settings, widest));
}

void Builder::finish() {
  make_routes();
  sockets_.settle(*this);
  project_.findings = report_.take();
}

}  // namespace mayfly::functions::projects
