#include "io/http_client.h"

#include <fcntl.h>
#include <poll.h>

#include "io/blocking.h"
#include "io/http_gate.h"
#include "io/http_test_server.h"
#include "io/socket.h"

namespace mayfly::io::testing {
namespace {

// A client with a loop and a thread of its own; send() blocks the test.
class TestClient {
 public:
  explicit TestClient(const std::string& address, HttpClientOptions options = {})
      : work_(boost::asio::make_work_guard(loop_)),
        client_(std::in_place, loop_.get_executor(),
                counted(tcp_connector(loop_.get_executor(), address)), options),
        thread_([this] { loop_.run(); }) {}
  ~TestClient() {
    boost::asio::post(loop_, [this] { client_.reset(); });
    work_.reset();
    thread_.join();
  }

  struct Got {
    int status = 0;
    std::string body;
    std::string error;
  };
  Got send(HttpRequest request) {
    return boost::asio::co_spawn(loop_, fetch(&*client_, std::move(request)),
                                 boost::asio::use_future)
        .get();
  }
  Got get(const std::string& target) {
    HttpRequest request;
    request.head.method = "GET";
    request.head.target = target;
    return send(std::move(request));
  }
  Task<Result<HttpResponse>> start(HttpRequest request) {
    return client_->send(std::move(request));
  }
  boost::asio::io_context& loop() { return loop_; }

  std::atomic<int> connects{0};

 private:
  static Task<Got> fetch(HttpClient* client, HttpRequest request) {
    Got got;
    Result<HttpResponse> response = co_await client->send(std::move(request));
    if (!response) {
      got.error = code_name(response.error().code);
      co_return got;
    }
    got.status = response->head.status;
    Result<std::string> body =
        co_await read_all(std::move(response->body), std::move(response->more), 1u << 30, "test");
    if (body)
      got.body = std::move(*body);
    else
      got.error = code_name(body.error().code);
    co_return got;
  }
  Connector counted(Connector inner) {
    return [this, inner] {
      ++connects;
      return inner();
    };
  }

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::optional<HttpClient> client_;
  std::thread thread_;
};

HttpRequest post(std::string body, BodyReaderPtr more = nullptr) {
  HttpRequest request;
  request.head.method = "POST";
  request.head.target = "/p";
  request.body = std::move(body);
  request.more = std::move(more);
  return request;
}

// Answers each connection with its own text, verbatim, and closes it.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    const auto address = parse_address("127.0.0.1:0");
    auto fd = listen_tcp(*address, "--test");
    listener_ = std::move(*fd);
    address_ = format_address(*local_address(listener_.get()));
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  const std::string& address() const { return address_; }
  std::string seen;

 private:
  void serve() {
    for (const auto& answer : answers_) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      ::poll(&waiting, 1, 10'000);
      os::Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      char buffer[4096];
      std::string request;
      while (request.find("\r\n\r\n") == std::string::npos) {
        const auto got = ::recv(peer.get(), buffer, sizeof(buffer), 0);
        if (got <= 0) break;
        request.append(buffer, static_cast<std::size_t>(got));
      }
      seen += request;
      ::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }
  std::vector<std::string> answers_;
  os::Fd listener_;
  std::string address_;
  std::thread thread_;
};

TEST(HttpClient, KeepsConnectionsAndSendsBodies) {
  TestServer server(echo);
  TestClient client(server.address);
  EXPECT_EQ(client.get("/a?b").body, "GET /a?b ");
  EXPECT_EQ(client.send(post("hello")).body, "POST /p hello");
  const std::string large(1'000'000, 'x');
  EXPECT_EQ(client.send(post(large)).body, "POST /p " + large);
  EXPECT_EQ(client.connects, 1);
}

TEST(HttpClient, StreamsBodiesBothWays) {
  TestServer server(echo);
  TestClient client(server.address);
  std::deque<std::string> pieces(20, std::string(100'000, 'y'));
  auto body = std::make_unique<ScriptedBody>(pieces);
  EXPECT_EQ(client.send(post("first", std::move(body))).body,
            "POST /p first" + std::string(2'000'000, 'y'));
  auto sized = std::make_unique<ScriptedBody>(std::deque<std::string>{"ab", "cd"});
  HttpRequest request = post("", std::move(sized));
  request.head.headers.add("Content-Length", "4");
  EXPECT_EQ(client.send(std::move(request)).body, "POST /p abcd");
  EXPECT_EQ(client.connects, 1);
}

TEST(HttpClient, TellsTheServerThatTheBodyFailed) {
  TestServer server(echo);
  TestClient client(server.address);
  auto body = std::make_unique<ScriptedBody>(std::deque<std::string>{"ab"}, nullptr, true);
  const auto got = client.send(post("", std::move(body)));
  EXPECT_NE(got.status, 200) << got.body;
}

TEST(HttpClient, TakesAnAnswerThatComesBeforeTheBodyIsSent) {
  TestServer server([](HttpRequest) -> Task<HttpResponse> { co_return text_response(413, "no"); });
  TestClient client(server.address);
  const auto gate = Gate::make();
  auto body = std::make_unique<ScriptedBody>(std::deque<std::string>{"ab", "", "cd"}, gate);
  EXPECT_EQ(client.send(post("", std::move(body))).status, 413);
}

TEST(HttpClient, UnderstandsEveryFraming) {
  ScriptedServer server({
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: "
      "chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\n\r\nuntil the end",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "nonsense\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "",
  });
  TestClient client(server.address());
  EXPECT_EQ(client.get("/").body, "ab");
  EXPECT_EQ(client.get("/").body, "ab");
  EXPECT_EQ(client.get("/").body, "until the end");
  EXPECT_EQ(client.get("/").status, 204);
  EXPECT_EQ(client.get("/").error, "unavailable");
  EXPECT_EQ(client.get("/").error, "unavailable");
  EXPECT_EQ(client.get("/").error, "corrupt");
  EXPECT_EQ(client.get("/").error, "corrupt");
  EXPECT_EQ(client.get("/").error, "corrupt");
  EXPECT_EQ(client.get("/").error, "unavailable");
  EXPECT_EQ(count_of(server.seen, "Host: localhost\r\n"), 10u);
}

TEST(HttpClient, HeadHasNoBody) {
  TestServer server(echo);
  TestClient client(server.address);
  HttpRequest request;
  request.head.method = "HEAD";
  request.head.target = "/";
  EXPECT_EQ(client.send(std::move(request)).body, "");
  EXPECT_EQ(client.get("/").body, "GET / ");
  EXPECT_EQ(client.connects, 1);
}

TEST(HttpClient, ReplacesAConnectionThatThePeerClosed) {
  HttpServerOptions options;
  options.idle_timeout = options.head_timeout = options.stall_timeout = 50ms;
  TestServer server(echo, options);
  TestClient client(server.address);
  EXPECT_EQ(client.get("/1").status, 200);
  while (server.connections() > 0) std::this_thread::yield();
  EXPECT_EQ(client.get("/2").status, 200);
  EXPECT_EQ(client.connects, 2);
}

// Answers the first request, and closes the connection when it has read the second; so it goes on
// with every further connection. Returns how many requests it has read.
int answer_every_other(int listener, std::stop_token stop) {
  int requests = 0;
  while (!stop.stop_requested()) {
    const os::Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid()) break;
    for (int turn = 0; turn < 2; ++turn) {
      std::string request;
      char bytes[1024];
      while (!request.ends_with("\r\n\r\n")) {
        const auto got = ::recv(connection.get(), bytes, sizeof bytes, 0);
        if (got <= 0) break;
        request.append(bytes, static_cast<std::size_t>(got));
      }
      if (request.empty()) break;
      ++requests;
      constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
      if (turn == 0) ::send(connection.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    }
  }
  return requests;
}

TEST(HttpClient, RepeatsOnlyWhatMayBeRepeated) {
  for (const bool repeated : {true, false}) {
    const os::Fd listener = std::move(*listen_tcp(*parse_address("127.0.0.1:0"), ""));
    // SAFETY: a blocking listener for the thread; the descriptor is this test's own.
    ::fcntl(listener.get(), F_SETFL, 0);
    std::stop_source stop;
    auto requests =
        std::async(std::launch::async, answer_every_other, listener.get(), stop.get_token());
    {
      TestClient client(format_address(*local_address(listener.get())));
      EXPECT_EQ(client.get("/1").status, 200);
      const auto second = repeated ? client.get("/2") : client.send(post(""));
      EXPECT_EQ(second.error, repeated ? "" : "unavailable");
    }
    stop.request_stop();
    ::shutdown(listener.get(), SHUT_RDWR);
    EXPECT_EQ(requests.get(), repeated ? 3 : 2);
  }
}

TEST(HttpClient, GivesUpAfterTheHeadTimeout) {
  const auto gate = Gate::make();
  TestServer server([gate](HttpRequest) { return answer_behind(gate, "late"); });
  HttpClientOptions options;
  options.head_timeout = 50ms;
  TestClient client(server.address, options);
  EXPECT_EQ(client.get("/").error, "deadline_exceeded");
  EXPECT_TRUE(gate->wait_cancelled());  // the connection is closed, which the server notices
}

TEST(HttpClient, SaysWhyItCannotConnect) {
  std::string gone;
  {
    TestServer server(echo);
    gone = server.address;
  }
  TestClient client(gone);
  EXPECT_EQ(client.get("/").error, "io_error");
  TestClient nowhere("no-port");
  EXPECT_EQ(nowhere.get("/").error, "invalid_argument");
  HttpRequest bad;
  bad.head.method = "GET";
  bad.head.target = "/a b";
  EXPECT_EQ(client.send(std::move(bad)).error, "invalid_argument");
}

TEST(HttpClient, DroppingTheBodyClosesTheConnection) {
  const auto gate = Gate::make();
  auto destroyed = std::make_shared<std::promise<void>>();
  TestServer server([=](HttpRequest) {
    return [](auto g, auto d) -> Task<HttpResponse> {
      HttpResponse response;
      response.more =
          std::make_unique<ScriptedBody>(std::deque<std::string>{"one", "", "two"}, g, false, d);
      co_return response;
    }(gate, destroyed);
  });
  TestClient client(server.address);
  HttpRequest request;
  request.head.method = "GET";
  request.head.target = "/";
  auto response = boost::asio::co_spawn(client.loop(), client.start(std::move(request)),
                                        boost::asio::use_future)
                      .get();
  ASSERT_TRUE(response);
  ASSERT_TRUE(gate->wait_arrived());
  boost::asio::post(
      client.loop(),
      [more = std::make_shared<BodyReaderPtr>(std::move(response->more))] { more->reset(); });
  EXPECT_TRUE(gate->wait_cancelled());
  EXPECT_EQ(destroyed->get_future().wait_for(10s), std::future_status::ready);
}

TEST(ReadAll, NamesTheLimit) {
  boost::asio::io_context loop;
  auto body = std::make_unique<ScriptedBody>(std::deque<std::string>{"abc", "def"});
  auto over = boost::asio::co_spawn(loop, read_all("x", std::move(body), 5, "some.limit"),
                                    boost::asio::use_future);
  auto fits = boost::asio::co_spawn(
      loop, read_all("x", std::make_unique<ScriptedBody>(std::deque<std::string>{"abc"}), 4, "l"),
      boost::asio::use_future);
  loop.run();
  const auto refused = over.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_large);
  EXPECT_NE(refused.error().message.find("some.limit"), std::string::npos);
  EXPECT_EQ(*fits.get(), "xabc");
}

Task<bool> work_elsewhere(BlockingPool* pool, std::thread::id here) {
  const auto there = co_await pool->run([] { return std::this_thread::get_id(); });
  co_return there != here&& std::this_thread::get_id() == here;
}

TEST(BlockingPool, RunsOnAnotherThreadAndComesBack) {
  boost::asio::io_context loop;
  BlockingPool pool(2);
  auto outcome = boost::asio::co_spawn(loop, work_elsewhere(&pool, std::this_thread::get_id()),
                                       boost::asio::use_future);
  loop.run();
  EXPECT_TRUE(outcome.get());
}

}  // namespace
}  // namespace mayfly::io::testing
