// Connections that change their server, and with it their loop and thread, between two requests.

#include <atomic>
#include <thread>

#include "io/http_gate.h"
#include "io/http_test_server.h"

namespace mayfly::io::testing {
namespace {

std::string request_for(const std::string& target, const std::string& fields = "",
                        const std::string& body = "") {
  return (body.empty() ? "GET " : "POST ") + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" +
         body;
}

// Says which server it is, the target, and the body it was sent.
HttpHandler named(std::string name, std::atomic<int>& answered) {
  return [name, &answered](HttpRequest request) {
    return [](std::string who, std::atomic<int>& count, HttpRequest r) -> Task<HttpResponse> {
      auto reading = read_all(std::move(r.body), std::move(r.more), 64u << 20, "none");
      const Result<std::string> body = co_await std::move(reading);
      ++count;
      co_return text_response(200, who + r.head.target + "[" + (body ? *body : "cut") + "];");
    }(name, answered, std::move(request));
  };
}

// Targets that begin with /b are the second server's.
struct Pair {
  Pair() {
    a.steer_by([this](const wire::RequestHead& head, const ConnectionFacts& facts) {
      most_moves = std::max(most_moves.load(), facts.moves);
      return head.target.starts_with("/b") ? &b.server() : nullptr;
    });
    b.steer_by([this](const wire::RequestHead& head, const ConnectionFacts&) {
      return head.target.starts_with("/b") ? nullptr : &a.server();
    });
  }
  std::atomic<int> by_a = 0, by_b = 0;
  std::atomic<std::uint32_t> most_moves = 0;
  TestServer b{named("B", by_b)};
  TestServer a{named("A", by_a)};
};

TEST(HttpMoves, EachRequestIsAnsweredWhereItBelongs) {
  Pair pair;
  RawClient client(pair.a.port);
  for (const char* target : {"/a1", "/b1", "/b2", "/a2", "/b3"}) {
    client.send(request_for(target));
    const std::string wanted = (target[1] == 'a' ? "A" : "B") + std::string(target) + "[];";
    EXPECT_EQ(client.receive_until(wanted).find("HTTP/1.1 200 OK\r\n"), 0u) << target;
  }
  EXPECT_EQ(pair.by_a, 2);
  EXPECT_EQ(pair.by_b, 3);
  EXPECT_EQ(pair.most_moves, 2u);  // as the first server saw it
  EXPECT_EQ(pair.a.connections() + pair.b.connections(), 1u);
}

TEST(HttpMoves, PipelinedRequestsStayInOrder) {
  Pair pair;
  RawClient client(pair.a.port);
  client.send(request_for("/a1") + request_for("/b1", "Content-Length: 3\r\n", "xyz") +
              request_for("/a2", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n") +
              request_for("/b2") + request_for("/a3", "Connection: close\r\n"));
  const std::string all = client.receive_all();
  std::size_t at = 0;
  for (const char* wanted : {"A/a1[];", "B/b1[xyz];", "A/a2[hi];", "B/b2[];", "A/a3[];"}) {
    at = all.find(wanted, at);
    ASSERT_NE(at, std::string::npos) << wanted << " in " << all;
  }
}

TEST(HttpMoves, ABodyThatIsStillComingComesWhole) {
  Pair pair;
  for (const std::size_t size :
       {10'000u, 3'000'000u}) {  // before the handler runs, and as a stream
    RawClient client(pair.a.port);
    const std::string body(size, 'x');
    client.send(request_for("/b", "Content-Length: " + std::to_string(size) + "\r\n",
                            body.substr(0, 5'000)));
    client.send(body.substr(5'000));
    EXPECT_FALSE(client.receive_until("B/b[" + body + "];").empty());
  }
  RawClient asks(pair.a.port);
  asks.send(request_for("/b", "Expect: 100-continue\r\nContent-Length: 2\r\n"));
  EXPECT_EQ(asks.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  asks.send("hi");
  EXPECT_FALSE(asks.receive_until("B/b[hi];").empty());
}

TEST(HttpMoves, AClientThatHasSaidAllIsStillAnswered) {
  Pair pair;
  RawClient client(pair.a.port);
  client.send(request_for("/b"));
  client.end();
  EXPECT_NE(client.receive_all().find("B/b[];"), std::string::npos);
}

TEST(HttpMoves, ManyAtOnce) {
  Pair pair;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&pair, &wrong, t] {
      RawClient client(pair.a.port);
      for (int i = 0; i < 100; ++i) {
        const bool other = (i + t) % 3 == 0;
        const std::string target = (other ? "/b" : "/a") + std::to_string(t * 1000 + i);
        client.send(request_for(target));
        if (client.receive_until((other ? "B" : "A") + target + "[];").empty()) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pair.by_a + pair.by_b, 800);
}

TEST(HttpMoves, AServerThatIsFullClosesWhatIsIdleOrWhatComes) {
  const auto gate = Gate::make();
  HttpServerOptions one;
  one.connections_max = 1;
  TestServer b([gate](HttpRequest) { return answer_behind(gate, "B;"); }, one);
  std::atomic<int> by_a = 0;
  TestServer a(named("A", by_a));
  a.steer_by([&b](const wire::RequestHead&, const ConnectionFacts&) { return &b.server(); });
  RawClient first(a.port), second(a.port), third(a.port);
  first.send(request_for("/1"));
  EXPECT_TRUE(gate->wait_arrived());
  second.send(request_for("/2"));
  EXPECT_EQ(second.receive_all(), "");  // the first is at work
  gate->open(b.loop());
  EXPECT_FALSE(first.receive_until("B;").empty());
  third.send(request_for("/3"));
  EXPECT_FALSE(third.receive_until("B;").empty());
  EXPECT_EQ(first.receive_all(), "");
  EXPECT_EQ(b.connections(), 1u);
}

TEST(HttpMoves, AServerThatStopsAnswersWhatIsMovedToIt) {
  Pair pair;
  RawClient client(pair.a.port);
  client.send(request_for("/b1"));
  client.receive_until("B/b1[];");
  auto stopping = pair.a.stop_started(5s);  // it has no connection: it has stopped
  stopping.get();
  client.send(request_for("/a1"));
  const std::string last = client.receive_all();
  EXPECT_NE(last.find("A/a1[];"), std::string::npos) << last;
  EXPECT_NE(last.find("Connection: close"), std::string::npos) << last;
}

}  // namespace
}  // namespace mayfly::io::testing
