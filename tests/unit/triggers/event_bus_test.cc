#include "triggers/event_bus.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "triggers/recording_queues.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

struct Bench {
  Bench() { restart(); }

  void restart() {
    EventBuses::Parts parts{*store, queues,      clock,          {},      {},
                            {},     "us-east-1", "000000000000", settings};
    parts.add_call = [this](queues::Batch* batch, Outgoing out) {
      return take(&calls, batch, std::move(out));
    };
    parts.takes_http = [](const Target& target) { return target.name.starts_with("web"); };
    parts.set_schedule = [this](Rule rule) { return schedule(&schedules, std::move(rule)); };
    buses = std::make_unique<EventBuses>(std::move(parts));
    ASSERT_TRUE(buses->open().has_value());
  }

  static io::Task<Status> take(std::vector<Outgoing>* calls, queues::Batch* batch, Outgoing out) {
    if (out.hops > 16) co_return Error{Code::invalid_argument, "a circle"};
    batch->sends.emplace_back(".calls", queues::NewMessage{});
    calls->push_back(std::move(out));
    co_return ok();
  }
  static io::Task<Status> schedule(std::map<std::string, std::string>* schedules, Rule rule) {
    if (rule.schedule == "nonsense") co_return Error{Code::invalid_argument, "no expression"};
    (*schedules)[rule.name] = rule.enabled ? rule.schedule : "off";
    co_return ok();
  }

  Result<RulePtr> rule(const std::string& name, const std::string& pattern,
                       const std::string& bus = "default", const std::string& schedule = "") {
    Rule rule;
    rule.bus = bus;
    rule.name = name;
    rule.pattern = pattern;
    rule.schedule = schedule;
    return run(buses->put_rule(rule));
  }

  Status target(const std::string& rule, RuleTarget target, const std::string& bus = "default") {
    std::vector<RuleTarget> one;
    one.push_back(std::move(target));
    return run(buses->put_targets(bus, rule, std::move(one)));
  }

  Result<PutResult> put(Event event, const std::string& bus = "default") {
    std::vector<Event> one;
    one.push_back(std::move(event));
    auto results = run(buses->put(bus, std::move(one)));
    if (results.has_error()) return results.error();
    return results->front();
  }

  template <class T>
  T run(io::Task<T> task) {
    return testing::run(loop, std::move(task));
  }

  json::object last(const std::string& queue) {
    return json::parse(queues.sent[queue].back().body).as_object();
  }

  boost::asio::io_context loop;
  testing::TestClock clock;
  std::unique_ptr<store::Store> store = store::make_memory_store();
  testing::RecordingQueues queues{*store};
  EventSettings settings;
  std::vector<Outgoing> calls;
  std::map<std::string, std::string> schedules;
  std::unique_ptr<EventBuses> buses;
};

RuleTarget to(const std::string& target, const std::string& id = "1") {
  RuleTarget out;
  out.id = id;
  out.target = *parse_target(target);
  return out;
}

Event order(const std::string& detail = R"({"state":"new","n":5,"items":[{"id":"a\"b"}]})") {
  Event event;
  event.source = "shop";
  event.detail_type = "Order";
  event.detail = detail;
  return event;
}

TEST(EventBuses, AnEventReachesTheTargetsOfMatchingRules) {
  Bench bench;
  bench.queues.add("q");
  bench.queues.add("other");
  bench.queues.add(".calls");
  ASSERT_TRUE(bench.rule("new", R"({"source":["shop"],"detail":{"state":["new"]}})").has_value());
  ASSERT_TRUE(bench.rule("old", R"({"detail":{"state":["old"]}})").has_value());
  ASSERT_TRUE(bench.target("new", to("queue:q")).has_value());
  ASSERT_TRUE(bench.target("new", to("function:f", "2")).has_value());
  ASSERT_TRUE(bench.target("old", to("queue:other")).has_value());
  const auto before = bench.queues.commits;
  Event event = order();
  event.resources = {"r1"};
  const auto put = bench.put(event);
  ASSERT_TRUE(put.has_value()) << put.error().message;
  EXPECT_EQ(put->deliveries, 2u);
  EXPECT_EQ(bench.queues.commits, before + 1);
  EXPECT_TRUE(bench.queues.sent["other"].empty());
  const auto got = bench.last("q");
  EXPECT_EQ(got.at("version"), "0");
  EXPECT_EQ(got.at("id").as_string(), put->event_id);
  EXPECT_EQ(got.at("detail-type"), "Order");
  EXPECT_EQ(got.at("source"), "shop");
  EXPECT_EQ(got.at("account"), "000000000000");
  EXPECT_EQ(got.at("time"), "2026-11-21T10:00:00Z");
  EXPECT_EQ(got.at("region"), "us-east-1");
  EXPECT_EQ(got.at("resources").at(0), "r1");
  EXPECT_EQ(got.at("detail").at("n"), 5);
  ASSERT_EQ(bench.calls.size(), 1u);
  EXPECT_EQ(json::parse(bench.calls[0].delivery.body).as_object(), got);

  // As it was after a restart; not while it is off.
  bench.restart();
  EXPECT_EQ(bench.put(order())->deliveries, 2u);
  ASSERT_TRUE(bench.run(bench.buses->enable_rule("default", "new", false)).has_value());
  bench.restart();
  EXPECT_EQ(bench.put(order())->deliveries, 0u);
}

TEST(EventBuses, BadEntriesFailAlone) {
  Bench bench;
  bench.settings.entry_bytes_max = 100;
  bench.restart();
  std::vector<Event> events = {order("{}"), order("[]"), order("{"), order(""), order("{}")};
  events.push_back(order("{\"x\":\"" + std::string(100, 'x') + "\"}"));
  events[4].source.clear();
  const auto results = bench.run(bench.buses->put("default", events));
  ASSERT_TRUE(results.has_value());
  ASSERT_EQ(results->size(), 6u);
  EXPECT_TRUE((*results)[0].has_value());
  for (std::size_t i = 1; i < 5; ++i)
    EXPECT_EQ((*results)[i].error().code, Code::invalid_argument) << i;
  EXPECT_EQ((*results)[5].error().code, Code::too_large);
  EXPECT_EQ(bench.put(order("{}"), "none").error().code, Code::not_found);
}

TEST(EventBuses, Inputs) {
  Bench bench;
  bench.queues.add("q");
  ASSERT_TRUE(bench.rule("r", R"({"source":["shop"]})").has_value());
  const auto body = [&](RuleTarget target) {
    EXPECT_TRUE(bench.target("r", std::move(target)).has_value());
    EXPECT_TRUE(bench.put(order()).has_value());
    return bench.queues.sent["q"].back().body;
  };
  RuleTarget target = to("queue:q");
  target.input = R"({"constant":true})";
  EXPECT_EQ(body(target), R"({"constant":true})");
  target.input.clear();
  target.input_path = "$.detail.items[0]";
  EXPECT_EQ(body(target), R"({"id":"a\"b"})");
  target.input_path = "$.detail.none";
  EXPECT_EQ(body(target), "null");
  target.input_path.clear();
  target.transformer = InputTransformer{
      {{"n", "$.detail.n"}, {"id", "$.detail['items'][0].id"}, {"no", "$.detail.no"}},
      R"({"n":<n>,"id":<id>,"text":"<n> of <id><no> <aws.events.rule-name>","no":<no>,"x":1 < 2})"};
  EXPECT_EQ(body(target), R"({"n":5,"id":"a\"b","text":"5 of a\"b r","no":null,"x":1 < 2})");
  target.transformer->text = R"("<aws.events.rule-arn> <aws.events.event.ingestion-time>")";
  EXPECT_EQ(body(target),
            R"("arn:aws:events:us-east-1:000000000000:rule/r 2026-11-21T10:00:00.000Z")");
  target.transformer->text = "<aws.events.event>";
  EXPECT_EQ(body(target).find("detail\":"), std::string::npos);
  target.transformer->text = "<aws.events.event.json>";
  EXPECT_NE(body(target).find("\"detail\":"), std::string::npos);
}

TEST(EventBuses, TargetsAreChecked) {
  Bench bench;
  ASSERT_TRUE(bench.rule("r", R"({"source":["shop"]})").has_value());
  const auto refused = [&](const auto& change) {
    RuleTarget target = to("queue:q");
    change(target);
    const Status status = bench.target("r", target);
    return status.has_error() && status.error().code == Code::invalid_argument;
  };
  EXPECT_TRUE(refused([](RuleTarget& t) { t.id = "a b"; }));
  EXPECT_TRUE(refused([](RuleTarget& t) { t.input = "{"; }));
  EXPECT_TRUE(refused([](RuleTarget& t) { t.input_path = "detail"; }));
  EXPECT_TRUE(refused([](RuleTarget& t) { t.input = t.input_path = "$"; }));
  EXPECT_TRUE(refused([](RuleTarget& t) { t.dead_letter = "function:f"; }));
  EXPECT_TRUE(refused([](RuleTarget& t) { t.transformer = InputTransformer{{}, "<unknown>"}; }));
  EXPECT_TRUE(refused([](RuleTarget& t) { t.transformer = InputTransformer{{}, ""}; }));
  EXPECT_TRUE(refused([](RuleTarget& t) {
    t.transformer = InputTransformer{{{"aws.events.x", "$.a"}}, "x"};
  }));
  for (const char* path : {"", "a", "$a", "$.", "$..a", "$[", "$[x]", "$['a", "$.a[-1]", "$[]"})
    EXPECT_TRUE(EventPath::parse(path).has_error()) << path;
}

TEST(EventBuses, RulesAreChecked) {
  Bench bench;
  EXPECT_EQ(bench.rule("r", "").error().code, Code::invalid_argument);
  EXPECT_EQ(bench.rule("a b", "{\"a\":[1]}").error().code, Code::invalid_argument);
  const auto bad = bench.rule("r", R"({"detail":{"a":"b"}})");
  ASSERT_TRUE(bad.has_error());
  EXPECT_TRUE(bad.error().message.starts_with("Event pattern is not valid. Reason: detail.a: "));
  EXPECT_EQ(bench.rule("r", "{\"a\":[1]}", "none").error().code, Code::not_found);
  bench.settings.rules_max = 1;
  bench.restart();
  EXPECT_TRUE(bench.rule("r", "{\"a\":[1]}").has_value());
  EXPECT_TRUE(bench.rule("r", "{\"a\":[2]}").has_value());
  EXPECT_EQ(bench.rule("s", "{\"a\":[1]}").error().code, Code::resource_exhausted);
}

TEST(EventBuses, BusesOfOnesOwn) {
  Bench bench;
  bench.queues.add("q");
  Bus bus;
  bus.name = "shop/eu";
  ASSERT_TRUE(bench.run(bench.buses->create(bus)).has_value());
  EXPECT_EQ(bench.run(bench.buses->create(bus)).error().code, Code::already_exists);
  ASSERT_TRUE(bench.rule("r", R"({"source":["shop"]})", "shop/eu").has_value());
  ASSERT_TRUE(bench.target("r", to("queue:q"), "shop/eu").has_value());
  EXPECT_EQ(bench.put(order())->deliveries, 0u);
  EXPECT_EQ(bench.put(order(), "shop/eu")->deliveries, 1u);
  EXPECT_EQ(bench.buses->rule_arn(*bench.buses->find_rule("shop/eu", "r")),
            "arn:aws:events:us-east-1:000000000000:rule/shop/eu/r");
  EXPECT_TRUE(bench.run(bench.buses->remove("shop/eu")).has_error());
  EXPECT_TRUE(bench.run(bench.buses->remove_rule("shop/eu", "r")).has_error());
  ASSERT_TRUE(bench.run(bench.buses->remove_targets("shop/eu", "r", {"1", "none"})).has_value());
  ASSERT_TRUE(bench.run(bench.buses->remove_rule("shop/eu", "r")).has_value());
  ASSERT_TRUE(bench.run(bench.buses->remove("shop/eu")).has_value());
  EXPECT_TRUE(bench.run(bench.buses->remove("default")).has_error());
  bench.restart();
  EXPECT_EQ(bench.buses->list().size(), 1u);
}

TEST(EventBuses, SchedulesPutEventsForTheirRuleAlone) {
  Bench bench;
  bench.queues.add("q");
  bench.queues.add("other");
  EXPECT_EQ(bench.rule("tick", "", "default", "nonsense").error().code, Code::invalid_argument);
  EXPECT_EQ(bench.buses->find_rule("default", "tick"), nullptr);
  ASSERT_TRUE(bench.rule("tick", "", "default", "rate(1 minute)").has_value());
  ASSERT_TRUE(bench.rule("tock", "", "default", "rate(2 minutes)").has_value());
  ASSERT_TRUE(bench.target("tick", to("queue:q")).has_value());
  ASSERT_TRUE(bench.target("tock", to("queue:other")).has_value());
  EXPECT_EQ(bench.schedules["tick"], "rate(1 minute)");
  Delivery delivery;
  delivery.id = "t1";
  delivery.body =
      scheduled_event(bench.buses->rule_arn(*bench.buses->find_rule("default", "tick")));
  const Target bus{Target::Kind::bus, "default", ""};
  ASSERT_TRUE(bench.run(bench.buses->deliver(bus, delivery)).has_value());
  EXPECT_EQ(bench.last("q").at("detail-type"), "Scheduled Event");
  EXPECT_FALSE(bench.last("q").at("id").as_string().empty());
  EXPECT_TRUE(bench.queues.sent["other"].empty());
  ASSERT_TRUE(bench.run(bench.buses->enable_rule("default", "tick", false)).has_value());
  EXPECT_EQ(bench.schedules["tick"], "off");
  ASSERT_TRUE(bench.run(bench.buses->remove_targets("default", "tick", {"1"})).has_value());
  ASSERT_TRUE(bench.run(bench.buses->remove_rule("default", "tick")).has_value());
  EXPECT_EQ(bench.schedules["tick"], "off");
}

TEST(EventBuses, CloudEvents) {
  Bench bench;
  bench.queues.add("q");
  bench.queues.add("ce");
  bench.queues.add(".calls");
  ASSERT_TRUE(bench.rule("r", R"({"detail-type":["com.example.made"]})").has_value());
  RuleTarget structured = to("queue:ce", "2");
  structured.cloud_event = true;
  ASSERT_TRUE(bench.target("r", to("queue:q")).has_value());
  ASSERT_TRUE(bench.target("r", structured).has_value());
  ASSERT_TRUE(bench.target("r", to("function:web", "3")).has_value());
  CloudEvent in;
  in.id = "77";
  in.source = "/things";
  in.type = "com.example.made";
  in.subject = "thing/1";
  in.extensions["flag"] = true;
  in.data = "{\"a\":1}";
  in.data_content_type = "application/json";
  in.has_data = true;
  ASSERT_TRUE(bench.put(event_of(in)).has_value());
  EXPECT_EQ(bench.last("q").at("id"), "77");
  EXPECT_EQ(bench.last("q").at("detail").at("a"), 1);
  EXPECT_EQ(bench.last("q").at("resources").at(0), "thing/1");
  EXPECT_EQ(bench.last("ce").at("flag"), true);
  EXPECT_EQ(bench.last("ce").at("data").at("a"), 1);
  ASSERT_EQ(bench.calls.size(), 1u);
  EXPECT_EQ(bench.calls[0].kind, engine::PayloadKind::http);
  EXPECT_NE(bench.calls[0].head.find("[\"ce-flag\",\"true\"]"), std::string::npos);
  // Data that is no object.
  in.data = "[1]";
  ASSERT_TRUE(bench.put(event_of(in)).has_value());
  EXPECT_EQ(bench.last("q").at("detail").at("data").at(0), 1);
  in.data = "\xff";
  in.data_content_type = "image/png";
  ASSERT_TRUE(bench.put(event_of(in)).has_value());
  EXPECT_EQ(bench.last("q").at("detail").at("data_base64"), "/w==");
}

TEST(EventBuses, CirclesOfBusesEnd) {
  Bench bench;
  bench.queues.add(".calls");
  ASSERT_TRUE(bench.rule("r", R"({"source":["shop"]})").has_value());
  ASSERT_TRUE(bench.target("r", to("bus:default")).has_value());
  ASSERT_TRUE(bench.put(order()).has_value());
  // What a worker of async calls would do, again and again.
  Status status = ok();
  int rounds = 0;
  while (status.has_value() && rounds < 100) {
    const Outgoing last = bench.calls.back();
    status = bench.run(bench.buses->deliver(last.target, last.delivery));
    ++rounds;
  }
  EXPECT_EQ(rounds, 16);
  EXPECT_EQ(status.error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace mayfly::triggers
