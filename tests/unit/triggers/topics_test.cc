#include "triggers/topics.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "triggers/recording_queues.h"
#include "triggers/topic_forms.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

struct TopicBench {
  TopicBench() { restart(); }

  void restart() {
    Topics::Parts parts{*store, queues, clock, {}, {}, {}, "us-east-1", "000000000000", settings};
    parts.add_call = [this](queues::Batch* batch, Outgoing out) {
      return take(&calls, batch, std::move(out));
    };
    parts.takes_http = [](const Target& target) { return target.name.starts_with("web"); };
    parts.api_url = [] { return std::string("http://127.0.0.1:8081"); };
    topics = std::make_unique<Topics>(std::move(parts));
    ASSERT_TRUE(topics->open().has_value());
  }

  static io::Task<Status> take(std::vector<Outgoing>* calls, queues::Batch* batch, Outgoing out) {
    batch->sends.emplace_back(".calls", queues::NewMessage{});
    calls->push_back(std::move(out));
    co_return ok();
  }

  void topic(const std::string& name, bool by_content = false) {
    Topic topic;
    topic.name = name;
    topic.fifo = name.ends_with(".fifo");
    topic.content_deduplication = by_content;
    const auto made = run(loop, topics->create(topic));
    ASSERT_TRUE(made.has_value()) << made.error().message;
  }

  Result<SubscriptionPtr> subscribe(const std::string& topic, const std::string& target,
                                    const std::string& filter = "", bool on_body = false,
                                    Subscription::Form form = Subscription::Form::envelope) {
    Subscription subscription;
    subscription.topic = topic;
    subscription.target = *parse_target(target);
    subscription.filter = filter;
    subscription.filter_on_body = on_body;
    subscription.form = form;
    subscription.dead_letter = dead_letter;
    return run(loop, topics->subscribe(subscription));
  }

  Result<Published> publish(const std::string& topic, Publication publication) {
    std::vector<Publication> one;
    one.push_back(std::move(publication));
    auto results = run(loop, topics->publish(topic, std::move(one)));
    if (results.has_error()) return results.error();
    return results->front();
  }
  Result<Published> publish(const std::string& topic, const std::string& message) {
    Publication publication;
    publication.message = message;
    return publish(topic, std::move(publication));
  }

  json::object last(const std::string& queue) {
    return json::parse(queues.sent[queue].back().body).as_object();
  }

  template <class T>
  static T run(boost::asio::io_context& loop, io::Task<T> task) {
    return testing::run(loop, std::move(task));
  }

  boost::asio::io_context loop;
  testing::TestClock clock;
  std::unique_ptr<store::Store> store = store::make_memory_store();
  testing::RecordingQueues queues{*store};
  TopicSettings settings;
  std::vector<Outgoing> calls;
  std::string dead_letter;
  std::unique_ptr<Topics> topics;
};

TEST(Topics, NamesAndSettings) {
  TopicBench bench;
  bench.topic("news");
  Topic again;
  again.name = "news";
  EXPECT_TRUE(TopicBench::run(bench.loop, bench.topics->create(again)).has_value());
  again.other["DisplayName"] = "News";
  EXPECT_EQ(TopicBench::run(bench.loop, bench.topics->create(again)).error().code,
            Code::already_exists);
  EXPECT_TRUE(TopicBench::run(bench.loop, bench.topics->update(again)).has_value());
  bench.restart();
  ASSERT_TRUE(bench.topics->find("news"));
  EXPECT_EQ(bench.topics->find("news")->other.at("DisplayName"), "News");
  EXPECT_EQ(bench.topics->arn("news"), "arn:aws:sns:us-east-1:000000000000:news");

  for (const char* bad : {"", "a b", "x.y", ".fifo", "\xc3\xa4"})
    EXPECT_TRUE(check_topic_name(bad, std::string(bad).ends_with(".fifo")).has_error()) << bad;
  EXPECT_TRUE(check_topic_name("a.fifo", false).has_error());
  EXPECT_TRUE(check_topic_name("a", true).has_error());
  EXPECT_TRUE(check_topic_name(std::string(257, 'a'), false).has_error());
}

TEST(Topics, AMessageReachesEverySubscriberInOneCommit) {
  TopicBench bench;
  bench.queues.add("one");
  bench.queues.add("two");
  bench.queues.add(".calls");
  bench.topic("news");
  ASSERT_TRUE(bench.subscribe("news", "queue:one").has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:two", "", false, Subscription::Form::raw).has_value());
  ASSERT_TRUE(bench.subscribe("news", "function:f").has_value());
  const auto before = bench.queues.commits;
  Publication publication;
  publication.message = "hello";
  publication.subject = "greeting";
  publication.attributes = {{"n", "Number", "5"}, {"b", "Binary", std::string("\0\1", 2)}};
  const auto published = bench.publish("news", publication);
  ASSERT_TRUE(published.has_value());
  EXPECT_EQ(published->deliveries, 3u);
  EXPECT_EQ(bench.queues.commits, before + 1);

  const auto envelope = bench.last("one");
  EXPECT_EQ(envelope.at("Type"), "Notification");
  EXPECT_EQ(envelope.at("MessageId").as_string(), published->message_id);
  EXPECT_EQ(envelope.at("TopicArn"), "arn:aws:sns:us-east-1:000000000000:news");
  EXPECT_EQ(envelope.at("Subject"), "greeting");
  EXPECT_EQ(envelope.at("Message"), "hello");
  EXPECT_EQ(envelope.at("Timestamp"), "2026-11-21T10:00:00.000Z");
  EXPECT_EQ(envelope.at("MessageAttributes").at("n").at("Value"), "5");
  EXPECT_EQ(envelope.at("MessageAttributes").at("b").at("Value"), "AAE=");
  EXPECT_FALSE(envelope.contains("SequenceNumber"));

  const auto& raw = bench.queues.sent["two"].back();
  EXPECT_EQ(raw.body, "hello");
  EXPECT_EQ(raw.attributes.size(), 2u);

  ASSERT_EQ(bench.calls.size(), 1u);
  const auto event = json::parse(bench.calls[0].delivery.body).as_object();
  const auto& record = event.at("Records").at(0);
  EXPECT_EQ(record.at("EventSource"), "aws:sns");
  EXPECT_EQ(record.at("Sns").at("Message"), "hello");
  EXPECT_EQ(record.at("Sns").at("MessageAttributes").at("n").at("Type"), "Number");
}

TEST(Topics, NothingIsSentWhenTheCommitFails) {
  TopicBench bench;
  bench.queues.add("one");
  bench.topic("news");
  ASSERT_TRUE(bench.subscribe("news", "queue:one").has_value());
  bench.queues.fail_next = Error{Code::io_error, "disk full"};
  EXPECT_EQ(bench.publish("news", "x").error().code, Code::io_error);
  EXPECT_TRUE(bench.queues.sent["one"].empty());
}

TEST(Topics, FiltersOnAttributesAndBody) {
  TopicBench bench;
  for (const char* name : {"big", "red", "tags", "body"}) bench.queues.add(name);
  bench.topic("news");
  const auto raw = Subscription::Form::raw;
  ASSERT_TRUE(bench.subscribe("news", "queue:big", R"({"n":[{"numeric":[">",10]}]})", false, raw)
                  .has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:red", R"({"color":["red"]})", false, raw).has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:tags", R"({"tags":["a",5]})", false, raw).has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:body", R"({"o":{"k":["v"]}})", true, raw).has_value());
  const auto count = [&](const std::string& message,
                         std::vector<queues::MessageAttribute> attributes) {
    Publication publication;
    publication.message = message;
    publication.attributes = std::move(attributes);
    return bench.publish("news", publication)->deliveries;
  };
  EXPECT_EQ(count("x", {}), 0u);
  EXPECT_EQ(count("x", {{"n", "Number", "11"}}), 1u);
  EXPECT_EQ(count("x", {{"n", "Number.int", "11"}}), 1u);
  EXPECT_EQ(count("x", {{"n", "String", "11"}}), 0u);
  EXPECT_EQ(count("x", {{"n", "Number", "10"}, {"color", "String", "red"}}), 1u);
  EXPECT_EQ(count("x", {{"color", "Binary", "red"}}), 0u);
  EXPECT_EQ(count("x", {{"tags", "String.Array", R"(["b","a"])"}}), 1u);
  EXPECT_EQ(count("x", {{"tags", "String.Array", R"([5])"}}), 1u);
  EXPECT_EQ(count(R"({"o":{"k":"v"}})", {}), 1u);
  EXPECT_EQ(count(R"({"o":{"k":"w"}})", {}), 0u);
  EXPECT_TRUE(bench.subscribe("news", "function:f", R"({"a":"b"})").has_error());
}

TEST(Topics, FifoTopicsKeepOrderAndDropDuplicates) {
  TopicBench bench;
  bench.queues.add("q.fifo");
  bench.queues.add("plain");
  bench.topic("t.fifo", true);
  ASSERT_TRUE(bench.subscribe("t.fifo", "queue:q.fifo").has_value());
  ASSERT_TRUE(bench.subscribe("t.fifo", "queue:plain").has_value());
  EXPECT_TRUE(bench.subscribe("t.fifo", "function:f").has_error());
  EXPECT_EQ(bench.publish("t.fifo", "x").error().code, Code::invalid_argument);  // no group
  Publication publication;
  publication.message = "x";
  publication.group = "g";
  const auto first = bench.publish("t.fifo", publication);
  ASSERT_TRUE(first.has_value());
  const auto again = bench.publish("t.fifo", publication);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->message_id, first->message_id);
  EXPECT_EQ(again->sequence, first->sequence);
  publication.message = "y";
  const auto second = bench.publish("t.fifo", publication);
  EXPECT_GT(second->sequence, first->sequence);
  ASSERT_EQ(bench.queues.sent["q.fifo"].size(), 2u);
  EXPECT_EQ(bench.queues.sent["plain"].size(), 2u);
  EXPECT_EQ(bench.queues.sent["q.fifo"][0].group, "g");
  EXPECT_FALSE(bench.queues.sent["q.fifo"][0].deduplication_id.empty());
  EXPECT_EQ(bench.last("q.fifo").at("SequenceNumber").as_string().size(), 20u);

  // It knows after a restart, and forgets after its time.
  bench.restart();
  EXPECT_TRUE(bench.publish("t.fifo", publication)->duplicate);
  bench.clock.wall += seconds(301);
  const auto third = bench.publish("t.fifo", publication);
  ASSERT_TRUE(third.has_value()) << third.error().message;
  EXPECT_FALSE(third->duplicate);
  EXPECT_GT(third->sequence, second->sequence);
  bench.restart();
  EXPECT_TRUE(bench.publish("t.fifo", publication)->duplicate);
  publication.message = "x";  // was forgotten on the way
  EXPECT_FALSE(bench.publish("t.fifo", publication)->duplicate);
}

TEST(Topics, AFailedCommitForgetsNoId) {
  TopicBench bench;
  bench.queues.add("q.fifo");
  bench.topic("t.fifo", true);
  ASSERT_TRUE(bench.subscribe("t.fifo", "queue:q.fifo").has_value());
  Publication publication;
  publication.group = "g";
  publication.message = "x";
  ASSERT_TRUE(bench.publish("t.fifo", publication).has_value());
  bench.clock.wall += seconds(301);
  publication.message = "y";
  bench.queues.fail_next = Error{Code::io_error, "disk full"};
  EXPECT_TRUE(bench.publish("t.fifo", publication).has_error());
  publication.message = "x";
  const auto late = bench.publish("t.fifo", publication);
  ASSERT_TRUE(late.has_value()) << late.error().message;
  EXPECT_FALSE(late->duplicate);
}

TEST(Topics, WebhooksConfirmFirst) {
  TopicBench bench;
  bench.queues.add(".calls");
  bench.topic("news");
  Subscription subscription;
  subscription.topic = "news";
  subscription.target = *parse_target("https://example.com/hook");
  subscription.confirmed = false;
  const auto made = TopicBench::run(bench.loop, bench.topics->subscribe(subscription));
  ASSERT_TRUE(made.has_value());
  ASSERT_EQ(bench.calls.size(), 1u);
  const auto request = json::parse(bench.calls[0].delivery.body).as_object();
  EXPECT_EQ(request.at("Type"), "SubscriptionConfirmation");
  const std::string token(request.at("Token").as_string());
  EXPECT_EQ(bench.publish("news", "x")->deliveries, 0u);

  EXPECT_TRUE(TopicBench::run(bench.loop, bench.topics->confirm("news", "wrong")).has_error());
  EXPECT_TRUE(TopicBench::run(bench.loop, bench.topics->confirm("news", "")).has_error());
  const auto confirmed = TopicBench::run(bench.loop, bench.topics->confirm("news", token));
  ASSERT_TRUE(confirmed.has_value());
  bench.restart();
  EXPECT_EQ(bench.publish("news", "x")->deliveries, 1u);
  ASSERT_EQ(bench.calls.size(), 2u);
  EXPECT_EQ(bench.calls[1].delivery.headers[0].second, "Notification");
  EXPECT_EQ(bench.calls[1].retries, 10u);
}

TEST(Topics, CloudEventsPassThrough) {
  TopicBench bench;
  for (const char* name : {"plain", "events", "typed", ".calls"}) bench.queues.add(name);
  bench.topic("news");
  const auto form = Subscription::Form::cloud_event;
  ASSERT_TRUE(bench.subscribe("news", "queue:plain").has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:events", "", false, form).has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:typed", R"({"ce-type":["t"]})").has_value());
  ASSERT_TRUE(bench.subscribe("news", "function:web").has_value());
  ASSERT_TRUE(bench.subscribe("news", "https://example.com/", "", false, form).has_value());
  Publication publication;
  CloudEvent event;
  event.id = "1";
  event.source = "/s";
  event.type = "t";
  event.data = "{\"a\":1}";
  event.data_content_type = "application/json";
  event.has_data = true;
  publication.message = event.data;
  publication.event = event;
  ASSERT_EQ(bench.publish("news", publication)->deliveries, 5u);
  EXPECT_EQ(bench.last("plain").at("Message"), "{\"a\":1}");
  EXPECT_EQ(bench.last("events").at("id"), "1");
  EXPECT_EQ(bench.last("events").at("data").at("a"), 1);
  EXPECT_EQ(bench.queues.sent["typed"].size(), 1u);
  ASSERT_EQ(bench.calls.size(), 2u);
  for (const auto& call : bench.calls) {
    EXPECT_EQ(call.delivery.body, "{\"a\":1}");
    if (call.target.kind == Target::Kind::function) {
      EXPECT_EQ(call.kind, engine::PayloadKind::http);
      EXPECT_NE(call.head.find("[\"ce-id\",\"1\"]"), std::string::npos) << call.head;
    } else {
      EXPECT_EQ(call.delivery.headers[0].first, "ce-specversion");
      EXPECT_EQ(call.delivery.content_type, "application/json");
    }
  }
  // What came as something else becomes an event of its own.
  ASSERT_TRUE(bench.publish("news", "plain text").has_value());
  EXPECT_EQ(bench.last("events").at("type").as_string(), kTopicMessageType);
  EXPECT_EQ(bench.last("events").at("data"), "plain text");
  EXPECT_EQ(bench.queues.sent["typed"].size(), 1u);
}

TEST(Topics, WhatAQueueCannotTakeGoesToTheDeadLetters) {
  TopicBench bench;
  bench.queues.add("small", 1024);
  bench.queues.add("gone");
  bench.queues.add("dead");
  bench.topic("news");
  bench.dead_letter = "queue:dead";
  ASSERT_TRUE(bench.subscribe("news", "queue:small").has_value());
  ASSERT_TRUE(bench.subscribe("news", "queue:gone").has_value());
  bench.queues.drop("gone");
  ASSERT_TRUE(bench.publish("news", std::string(2000, 'x')).has_value());
  ASSERT_EQ(bench.queues.sent["dead"].size(), 2u);
  const auto& attributes = bench.queues.sent["dead"][0].attributes;
  EXPECT_EQ(attributes.back().name, "ErrorMessage");
  EXPECT_FALSE(attributes.back().value.empty());
}

TEST(Topics, Limits) {
  TopicBench bench;
  bench.settings.message_bytes_max = 10;
  bench.settings.subscriptions_max = 1;
  bench.queues.add(".calls");
  bench.restart();
  bench.topic("news");
  EXPECT_EQ(bench.publish("news", std::string(11, 'x')).error().code, Code::too_large);
  EXPECT_EQ(bench.publish("news", "").error().code, Code::invalid_argument);
  EXPECT_EQ(bench.publish("news", "\xff").error().code, Code::invalid_argument);
  EXPECT_EQ(bench.publish("other", "x").error().code, Code::not_found);
  EXPECT_TRUE(bench.subscribe("news", "function:f").has_value());
  EXPECT_TRUE(bench.subscribe("news", "function:f").has_value());  // the same
  EXPECT_EQ(bench.subscribe("news", "function:f", R"({"a":["b"]})").error().code,
            Code::already_exists);
  EXPECT_EQ(bench.subscribe("news", "function:g").error().code, Code::resource_exhausted);
  EXPECT_EQ(bench.subscribe("news", "topic:x").error().code, Code::invalid_argument);
  EXPECT_EQ(bench.subscribe("news", "queue:none").error().code, Code::invalid_argument);
}

TEST(Topics, RemovalTakesTheSubscriptions) {
  TopicBench bench;
  bench.topic("news");
  const auto subscription = bench.subscribe("news", "function:f");
  ASSERT_TRUE(subscription.has_value());
  ASSERT_TRUE(TopicBench::run(bench.loop, bench.topics->remove("news")).has_value());
  EXPECT_EQ(bench.topics->find_subscription((*subscription)->id), nullptr);
  bench.restart();
  EXPECT_TRUE(bench.topics->list().empty());
  EXPECT_TRUE(bench.topics->subscriptions("").empty());
  EXPECT_EQ(TopicBench::run(bench.loop, bench.topics->remove("news")).error().code,
            Code::not_found);
}

TEST(Topics, TargetsDeliverToThem) {
  TopicBench bench;
  bench.queues.add("one");
  bench.topic("news");
  ASSERT_TRUE(bench.subscribe("news", "queue:one").has_value());
  Delivery delivery;
  delivery.body = "from a schedule";
  delivery.attributes["a"] = "b";
  Target target{Target::Kind::topic, "news", ""};
  ASSERT_TRUE(TopicBench::run(bench.loop, bench.topics->deliver(target, delivery)).has_value());
  EXPECT_EQ(bench.last("one").at("Message"), "from a schedule");
  EXPECT_EQ(bench.last("one").at("MessageAttributes").at("a").at("Value"), "b");
  target.name = "other";
  EXPECT_EQ(TopicBench::run(bench.loop, bench.topics->deliver(target, delivery)).error().code,
            Code::not_found);
}

}  // namespace
}  // namespace mayfly::triggers
