#include "io/http_server.h"

#include "io/http_gate.h"
#include "io/http_test_server.h"

namespace mayfly::io::testing {
namespace {

constexpr const char* kHost = "Host: a\r\n\r\n";

std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\n" + fields + kHost;
}

// What the server says to bytes, until it closes.
std::string converse(TestServer& server, const std::string& bytes) {
  RawClient client(server.port);
  client.send(bytes);
  client.end();
  return client.receive_all();
}

TEST(HttpServer, KeepsTheConnectionAndSaysHowLongBodiesAre) {
  TestServer server(echo);
  RawClient client(server.port);
  for (int i = 0; i < 3; ++i) {
    client.send(get("/a?" + std::to_string(i)));
    const std::string head = client.receive_until("\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
    EXPECT_NE(head.find("Content-Length: 9\r\n"), std::string::npos) << head;
    EXPECT_EQ(count_of(head, "\r\nDate: "), 1u) << head;
    EXPECT_EQ(head.find("Connection:"), std::string::npos) << head;
    EXPECT_EQ(client.receive_until("GET /a?" + std::to_string(i) + " "),
              "GET /a?" + std::to_string(i) + " ");
  }
  EXPECT_EQ(server.connections(), 1u);
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  const auto gate = Gate::make();
  TestServer server([gate](HttpRequest request) {
    return [](auto g, HttpRequest r) -> Task<HttpResponse> {
      if (r.head.target == "/slow") co_await g->pass(g);
      co_return text_response(200, r.head.target + ";");
    }(gate, std::move(request));
  });
  RawClient client(server.port);
  client.send(get("/1") + get("/slow") + get("/2") + get("/3", "Connection: close\r\n") +
              get("/4"));
  EXPECT_FALSE(client.receive_until("/1;").empty());  // does not wait for the slow one
  EXPECT_TRUE(gate->wait_arrived());
  gate->open(server.loop());
  const std::string rest = client.receive_all();
  EXPECT_LT(rest.find("/slow;"), rest.find("/2;"));
  EXPECT_LT(rest.find("/2;"), rest.find("/3;"));
  EXPECT_EQ(rest.find("/4"), std::string::npos);
  EXPECT_EQ(count_of(rest, "Connection: close"), 1u);
}

TEST(HttpServer, HeadHasTheLengthButNoBody) {
  TestServer server(echo);
  RawClient client(server.port);
  client.send("HEAD /x HTTP/1.1\r\n" + std::string(kHost) + get("/y", "Connection: close\r\n"));
  const std::string head = client.receive_until("\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 8\r\n"), std::string::npos) << head;
  EXPECT_TRUE(client.receive_all().starts_with("HTTP/1.1 200 OK"));
}

TEST(HttpServer, SpeaksHttp10) {
  TestServer server(echo);
  EXPECT_NE(converse(server, "GET /a HTTP/1.0\r\n\r\n").find("Connection: close"),
            std::string::npos);
  RawClient client(server.port);
  client.send("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
  EXPECT_NE(client.receive_until("GET /a ").find("Connection: keep-alive"), std::string::npos);
  client.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_NE(client.receive_all().find("GET /b"), std::string::npos);
}

TEST(HttpServer, ReadsBodiesOfBothFramings) {
  TestServer server(echo);
  const std::string sized =
      converse(server, "POST /a HTTP/1.1\r\nContent-Length: 5\r\nHost: a\r\n\r\nhello");
  EXPECT_NE(sized.find("POST /a hello"), std::string::npos) << sized;
  const std::string chunked =
      converse(server,
               "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: a\r\n\r\n"
               "5;x=\"y\"\r\nhello\r\n06\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n");
  EXPECT_NE(chunked.find("POST /a hello world"), std::string::npos) << chunked;
}

TEST(HttpServer, StreamsLargeRequestBodies) {
  TestServer server(echo);
  const std::string body(3'000'000, 'x');
  RawClient client(server.port);
  std::thread sender([&] {
    client.send("POST /a HTTP/1.1\r\nConnection: close\r\nContent-Length: 3000000\r\n" +
                std::string(kHost) + body);
  });
  const std::string answer = client.receive_all();
  sender.join();
  EXPECT_TRUE(answer.ends_with("POST /a " + body));
}

TEST(HttpServer, HoldsTheClientBackWhileTheBodyIsNotRead) {
  const auto gate = Gate::make();
  TestServer server([gate](HttpRequest request) {
    return [](auto g, HttpRequest r) -> Task<HttpResponse> {
      co_await g->pass(g);
      HttpResponse response = co_await echo(std::move(r));
      co_return response;
    }(gate, std::move(request));
  });
  RawClient client(server.port);
  constexpr std::size_t kSize = 32u << 20;
  client.send("POST /a HTTP/1.1\r\nConnection: close\r\nContent-Length: " + std::to_string(kSize) +
              "\r\n" + kHost);
  ASSERT_TRUE(gate->wait_arrived());
  // Only the kernel's buffers may fill: the socket stays unwritable well before the whole body.
  const std::string piece(65536, 'x');
  std::size_t taken = 0;
  while (taken < kSize && client.writable(300ms)) taken += client.send_some(piece);
  EXPECT_LT(taken, kSize);
  gate->open(server.loop());
  std::thread sender([&] { client.send(std::string(kSize - taken, 'x')); });
  const std::string answer = client.receive_all();
  sender.join();
  EXPECT_NE(answer.find("Content-Length: " + std::to_string(kSize + 8)), std::string::npos);
}

TEST(HttpServer, SaysContinueOnlyWhenTheBodyIsWanted) {
  TestServer wanting(echo);
  RawClient client(wanting.port);
  client.send("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" +
              std::string(kHost));
  EXPECT_EQ(client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  EXPECT_FALSE(client.receive_until("POST /a hello").empty());

  TestServer refusing(
      [](HttpRequest) -> Task<HttpResponse> { co_return text_response(401, "no"); });
  RawClient refused(refusing.port);
  refused.send("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" +
               std::string(kHost));
  refused.end();
  const std::string answer = refused.receive_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 ")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;

  EXPECT_TRUE(converse(wanting, "POST /a HTTP/1.1\r\nExpect: magic\r\nContent-Length: 5\r\n" +
                                    std::string(kHost))
                  .starts_with("HTTP/1.1 417 "));
}

HttpHandler streaming(std::deque<std::string> pieces, std::shared_ptr<Gate> gate = nullptr,
                      bool fails = false, std::string length = "",
                      std::shared_ptr<std::promise<void>> destroyed = nullptr) {
  return [=](HttpRequest) {
    return [](auto p, auto g, bool f, std::string l, auto d) -> Task<HttpResponse> {
      HttpResponse response;
      response.more = std::make_unique<ScriptedBody>(p, g, f, d);
      if (!l.empty()) response.head.headers.add("Content-Length", l);
      co_return response;
    }(pieces, gate, fails, length, destroyed);
  };
}

TEST(HttpServer, StreamsResponsesAsTheyCome) {
  const auto gate = Gate::make();
  TestServer server(streaming({"one", "", "two"}, gate));
  RawClient client(server.port);
  client.send(get("/", "Connection: close\r\n"));
  EXPECT_NE(client.receive_until("3\r\none\r\n").find("Transfer-Encoding: chunked"),
            std::string::npos);
  ASSERT_TRUE(gate->wait_arrived());
  gate->open(server.loop());
  EXPECT_EQ(client.receive_all(), "3\r\ntwo\r\n0\r\n\r\n");
}

TEST(HttpServer, FramesStreamsAsTheVersionAndTheHeadAllow) {
  TestServer plain(streaming({"one", "two"}));
  const std::string old = converse(plain, "GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.ends_with("\r\n\r\nonetwo")) << old;
  EXPECT_EQ(old.find("chunked"), std::string::npos);
  TestServer sized(streaming({"one", "two"}, nullptr, false, "6"));
  const std::string answer = converse(sized, get("/") + get("/"));
  EXPECT_EQ(count_of(answer, "Content-Length: 6\r\n"), 2u) << answer;
  EXPECT_EQ(count_of(answer, "onetwo"), 2u) << answer;
  const std::string head = converse(sized, "HEAD / HTTP/1.1\r\n" + std::string(kHost));
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_NE(head.find("Content-Length: 6\r\n"), std::string::npos) << head;
}

TEST(HttpServer, LetsTheClientSeeThatAStreamWasCutOff) {
  TestServer chunked(streaming({"one"}, nullptr, true));
  EXPECT_TRUE(converse(chunked, get("/") + get("/")).ends_with("3\r\none\r\n"));
  TestServer brief(streaming({"one"}, nullptr, false, "6"));
  EXPECT_TRUE(converse(brief, get("/") + get("/")).ends_with("\r\n\r\none"));
  TestServer verbose(streaming({"one", "two"}, nullptr, false, "4"));
  EXPECT_TRUE(converse(verbose, get("/") + get("/")).ends_with("\r\n\r\nonet"));

  const auto gate = Gate::make();
  TestServer old(streaming({"one", "", "two"}, gate, true));
  RawClient client(old.port);
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(client.receive_until("one").empty());
  gate->open(old.loop());
  client.receive_all();
  EXPECT_TRUE(client.reset);
}

TEST(HttpServer, CancelsTheHandlerOfAClientThatIsGone) {
  const auto gate = Gate::make();
  TestServer server([gate](HttpRequest) { return answer_behind(gate, "late"); });
  RawClient client(server.port);
  client.send(get("/"));
  ASSERT_TRUE(gate->wait_arrived());
  client.close();
  EXPECT_TRUE(gate->wait_cancelled());
}

TEST(HttpServer, EndsTheStreamOfAClientThatIsGone) {
  const auto gate = Gate::make();
  auto destroyed = std::make_shared<std::promise<void>>();
  TestServer server(streaming({"one", "", "two"}, gate, false, "", destroyed));
  RawClient client(server.port);
  client.send(get("/"));
  ASSERT_TRUE(gate->wait_arrived());
  client.close();
  EXPECT_TRUE(gate->wait_cancelled());
  EXPECT_EQ(destroyed->get_future().wait_for(10s), std::future_status::ready);
}

TEST(HttpServer, TellsTheHandlerThatTheBodyWasCutOff) {
  std::promise<std::string> seen;
  TestServer server([&seen](HttpRequest request) {
    return [](std::promise<std::string>* s, HttpRequest r) -> Task<HttpResponse> {
      Result<std::string> body =
          co_await read_all(std::move(r.body), std::move(r.more), 1u << 30, "x");
      s->set_value(body ? "whole" : std::string(code_name(body.error().code)));
      co_return text_response(200, "");
    }(&seen, std::move(request));
  });
  RawClient client(server.port);
  client.send("POST /a HTTP/1.1\r\nContent-Length: 10000000\r\n" + std::string(kHost) + "some");
  client.close();
  EXPECT_EQ(seen.get_future().get(), "cancelled");
}

TEST(HttpServer, TurnsExceptionsIntoAnHonest500) {
  TestServer server([](HttpRequest) -> Task<HttpResponse> {
    throw std::runtime_error("boom");
    co_return HttpResponse();
  });
  const std::string answer = converse(server, get("/"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ")) << answer;
  EXPECT_NE(answer.find("\"party\":\"platform\""), std::string::npos) << answer;
}

TEST(HttpServer, DoesNotLetHandlersBreakTheFraming) {
  TestServer server([](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response = text_response(200, "body");
    response.head.headers.add("Transfer-Encoding", "chunked");
    response.head.headers.add("Content-Length", "999");
    response.head.headers.add("Keep-Alive", "timeout=1");
    response.head.headers.add("X-Split", "a\r\nX-Injected: 1");
    response.head.headers.add("Bad Name", "1");
    response.head.headers.add("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
    co_return response;
  });
  const std::string answer = converse(server, get("/"));
  EXPECT_EQ(answer,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 4\r\n\r\nbody");
  TestServer wrong([](HttpRequest) -> Task<HttpResponse> { co_return text_response(99, ""); });
  EXPECT_TRUE(converse(wrong, get("/")).starts_with("HTTP/1.1 500 "));
  TestServer empty([](HttpRequest) -> Task<HttpResponse> { co_return text_response(204, "x"); });
  const std::string none = converse(empty, get("/") + get("/"));
  EXPECT_EQ(count_of(none, "HTTP/1.1 204 No Content"), 2u) << none;
  EXPECT_EQ(none.find("Content-Length"), std::string::npos) << none;
}

TEST(HttpServer, SkipsSmallUnreadBodiesAndClosesOnLargeOnes) {
  TestServer server(
      [](HttpRequest r) -> Task<HttpResponse> { co_return text_response(200, r.head.target); });
  const std::string chunk = "5\r\nhello\r\n0\r\n\r\n";
  RawClient client(server.port);
  client.send("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + std::string(kHost));
  EXPECT_FALSE(client.receive_until("/a").empty());
  client.send(chunk + get("/b"));
  EXPECT_FALSE(client.receive_until("/b").empty());
  client.send("POST /c HTTP/1.1\r\nContent-Length: 9000000\r\n" + std::string(kHost));
  client.end();
  EXPECT_NE(client.receive_all().find("Connection: close"), std::string::npos);
}

TEST(HttpServer, NormalisesTargets) {
  TestServer server([](HttpRequest r) -> Task<HttpResponse> {
    co_return text_response(200, r.head.target + " " + std::string(*r.head.headers.find("host")));
  });
  const auto target = [&](const std::string& text) {
    const std::string answer = converse(server, "GET " + text + " HTTP/1.1\r\n" + kHost);
    return answer.substr(answer.find("\r\n\r\n") + 4);
  };
  EXPECT_EQ(target("/a%2fb?x#frag"), "/a%2fb?x a");
  EXPECT_EQ(target("http://other:81/p?q"), "/p?q other:81");
  EXPECT_EQ(target("HTTPS://[::1]?q"), "/?q [::1]");
  EXPECT_EQ(target("http://u:p@h"), "/ h");
  EXPECT_EQ(target("/caf\xc3\xa9"), "/caf%C3%A9 a");
  EXPECT_EQ(target("//x"), "//x a");
  EXPECT_TRUE(converse(server, "OPTIONS * HTTP/1.1\r\n" + std::string(kHost)).ends_with("* a"));
  for (const char* bad :
       {"*", "h:80", "ftp://h/", "http:///p", "x", "/a b", "http://a b/", "/a\x7f"})
    EXPECT_TRUE(target(bad).starts_with("{\"error\"")) << bad;
}

std::string status_of(TestServer& server, const std::string& bytes) {
  const std::string answer = converse(server, bytes);
  EXPECT_EQ(count_of(answer, "\r\nDate: "), 1u) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\"party\":\"client\""), std::string::npos) << answer;
  return answer.size() > 12 ? answer.substr(9, 3) : answer;
}

TEST(HttpServer, RefusesWhatIsOverTheLimits) {
  HttpServerOptions options;
  options.head_bytes_max = 2048;
  options.target_bytes_max = 512;
  options.fields_max = 5;
  options.body_bytes_max = 1000;
  TestServer server(echo, options);
  EXPECT_EQ(status_of(server, get("/" + std::string(600, 'a'))), "414");
  EXPECT_EQ(status_of(server, "GET /" + std::string(4000, 'a')), "414");
  EXPECT_EQ(status_of(server, get("/", "X: " + std::string(3000, 'a') + "\r\n")), "431");
  EXPECT_EQ(status_of(server, "GET / HTTP/1.1\r\nX: " + std::string(9000, 'a')), "431");
  EXPECT_EQ(status_of(server, get("/", "A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n")), "431");
  EXPECT_TRUE(
      converse(server, get("/", "A:1\r\nB:2\r\nC:3\r\nD:4\r\n")).starts_with("HTTP/1.1 200"));
  EXPECT_EQ(status_of(server, "POST / HTTP/1.1\r\nContent-Length: 1001\r\n" + std::string(kHost)),
            "413");
  EXPECT_EQ(status_of(server, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" +
                                  std::string(kHost) + "3e9\r\n" + std::string(1001, 'x')),
            "413");
}

TEST(HttpServer, RefusesAmbiguousAndMalformedRequests) {
  TestServer server(echo);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GET / HTTP/1.1\r\n\r\n", "400"},                        // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},  // two
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
      {"GET / HTTP/1.1\nHost: a\n\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400"},
      {std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35), "400"},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "400"},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
      {"G\xc3\xa9T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"\x16\x03\x01\x02", "400"},  // TLS
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
      {"GET / HTTP/1.1\r\nHo", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
       "400"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {chunked + "5\r\nhello0\r\n\r\n", "400"},
      {chunked + "5\nhello\r\n0\r\n\r\n", "400"},
      {chunked + "0x5\r\nhello\r\n0\r\n\r\n", "400"},
      {chunked + "fffffffffffffffff\r\n", "400"},
      {chunked + "0\r\nbad trailer\r\n\r\n", "400"},
      {chunked + "1;" + std::string(2'000, '\x01') + "\r\n", "400"},
  };
  for (const auto& [bytes, status] : cases) EXPECT_EQ(status_of(server, bytes), status) << bytes;
  const std::string long_extension =
      converse(server, chunked + "1;" + std::string(20'000, 'x') + "\r\nx\r\n0\r\n\r\n" + get("/"));
  EXPECT_TRUE(long_extension.starts_with("HTTP/1.1 400 ")) << long_extension;
  EXPECT_EQ(count_of(long_extension, "\r\nDate: "), 1u) << long_extension;
}

HttpServerOptions impatient() {
  HttpServerOptions options;
  options.head_timeout = options.idle_timeout = options.stall_timeout = 100ms;
  return options;
}

TEST(HttpServer, BoundsSlowClients) {
  TestServer server(echo, impatient());
  RawClient idle(server.port);
  EXPECT_EQ(idle.receive_all(), "");
  RawClient slow_head(server.port);
  slow_head.send("GET / HTTP/1.1\r\nX");
  EXPECT_TRUE(slow_head.receive_all().starts_with("HTTP/1.1 408 "));
  RawClient slow_body(server.port);
  slow_body.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n" + std::string(kHost) + "x");
  EXPECT_TRUE(slow_body.receive_all().starts_with("HTTP/1.1 408 "));
  RawClient slow_stream(server.port);
  slow_stream.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + std::string(kHost) +
                   "5\r\nab");
  EXPECT_NE(slow_stream.receive_all().find("http.stall_timeout"), std::string::npos);
}

TEST(HttpServer, DropsClientsThatDoNotRead) {
  auto destroyed = std::make_shared<std::promise<void>>();
  std::deque<std::string> pieces(400, std::string(100'000, 'x'));
  TestServer server(streaming(std::move(pieces), nullptr, false, "", destroyed), impatient());
  RawClient client(server.port, 4096);
  client.send(get("/"));
  EXPECT_EQ(destroyed->get_future().wait_for(10s), std::future_status::ready);
  EXPECT_LT(client.receive_all().size(), 40'000'000u);
}

TEST(HttpServer, StopsGracefully) {
  const auto gate = Gate::make();
  TestServer server([gate](HttpRequest) { return answer_behind(gate, "done"); });
  RawClient idle(server.port);
  RawClient busy(server.port);
  busy.send(get("/"));
  ASSERT_TRUE(gate->wait_arrived());
  while (server.connections() < 2) std::this_thread::yield();
  auto stopped = server.stop_started(10s);
  EXPECT_EQ(idle.receive_all(), "");
  gate->open(server.loop());
  const std::string answer = busy.receive_all();
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("done")) << answer;
  EXPECT_EQ(stopped.wait_for(10s), std::future_status::ready);
}

TEST(HttpServer, StopCancelsWhatOutlivesTheGrace) {
  const auto gate = Gate::make();
  TestServer server([gate](HttpRequest) { return answer_behind(gate, "done"); });
  RawClient busy(server.port);
  busy.send(get("/"));
  ASSERT_TRUE(gate->wait_arrived());
  server.stop(20ms);
  EXPECT_TRUE(gate->wait_cancelled());
  EXPECT_EQ(busy.receive_all(), "");
}

TEST(HttpServer, NamesAPortThatIsTaken) {
  TestServer server(echo);
  boost::asio::io_context loop;
  HttpServer second(loop, {}, echo);
  const auto bound = second.listen(server.address);
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code, Code::already_exists);
  EXPECT_NE(bound.error().message.find(server.address), std::string::npos);
  EXPECT_NE(bound.error().message.find("--gateway"), std::string::npos);
  for (const char* bad :
       {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "nonsense:80", "[::1:80"})
    EXPECT_FALSE(second.listen(bad)) << bad;
}

TEST(HttpServer, MakesRoomForNewConnectionsByClosingIdleOnes) {
  HttpServerOptions options;
  options.connections_max = 2;
  TestServer server(echo, options);
  RawClient first(server.port), second(server.port), third(server.port);
  for (RawClient* client : {&second, &third}) {
    client->send(get("/"));
    EXPECT_FALSE(client->receive_until("GET / ").empty());
  }
  EXPECT_EQ(first.receive_all(), "");
  EXPECT_EQ(server.connections(), 2u);
}

class EchoUpgrade final : public Upgrade {
 public:
  Task<void> run(StreamSocket socket, std::string first) override {
    std::string answer = "got " + first;
    boost::system::error_code ignored;
    socket.send(boost::asio::buffer(answer), 0, ignored);
    co_return;
  }
};

TEST(HttpServer, HandsTheSocketOverAfter101) {
  TestServer server([](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response;
    response.head.status = 101;
    response.head.headers.add("Upgrade", "echo");
    response.upgrade = std::make_unique<EchoUpgrade>();
    co_return response;
  });
  RawClient client(server.port);
  client.send(get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n") + "early");
  const std::string answer = client.receive_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"))
      << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\ngot early")) << answer;
}

TEST(HttpServer, SurvivesDestructionWithOpenConnections) {
  boost::asio::io_context loop;
  auto server = std::make_unique<HttpServer>(loop, HttpServerOptions{}, echo);
  const auto bound = server->listen("127.0.0.1:0");
  ASSERT_TRUE(bound);
  RawClient client(static_cast<std::uint16_t>(std::stoi(bound->substr(bound->rfind(':') + 1))));
  client.send("GET / HT");
  while (server->connections() == 0) loop.run_one_for(10ms);
  loop.poll();
  server.reset();
}

}  // namespace
}  // namespace mayfly::io::testing
