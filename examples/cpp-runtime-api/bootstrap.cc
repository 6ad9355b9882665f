// A custom runtime: asks $AWS_LAMBDA_RUNTIME_API for the next event, handles it, posts the result,
// and so on. The handler answers with the event itself and its length.
#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

struct Response {
  int status = 0;
  std::string head, body;

  std::string header(const std::string& name) const {
    for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at)) {
      at += 2;
      if (strncasecmp(head.c_str() + at, (name + ":").c_str(), name.size() + 1) != 0) continue;
      std::size_t from = head.find_first_not_of(' ', at + name.size() + 1);
      return head.substr(from, head.find("\r\n", from) - from);
    }
    return "";
  }
};

// One kept-alive connection to the Runtime API.
class Client {
 public:
  explicit Client(const std::string& address) : address_(address) {
    std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon), port = address.substr(colon + 1);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) fail("getaddrinfo");
    fd_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || connect(fd_, found->ai_addr, found->ai_addrlen) != 0) fail("connect");
    freeaddrinfo(found);
  }

  Response request(const std::string& method, const std::string& path, const std::string& body) {
    std::string text =
        method + " /2018-06-01/runtime/" + path + " HTTP/1.1\r\nhost: " + address_ +
        "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body;
    for (std::size_t at = 0; at < text.size();) {
      ssize_t sent = send(fd_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) fail("send");
      at += static_cast<std::size_t>(sent);
    }
    return receive();
  }

 private:
  [[noreturn]] static void fail(const char* step) {
    std::perror(step);
    std::exit(1);
  }

  void more() {
    char bytes[65536];
    ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) std::exit(0);  // the platform has closed the connection: the end
    buffer_.append(bytes, static_cast<std::size_t>(got));
  }

  Response receive() {
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) more();
    Response response;
    response.head = buffer_.substr(0, end + 2);
    response.status = std::atoi(response.head.c_str() + 9);
    buffer_.erase(0, end + 4);
    if (strcasecmp(response.header("transfer-encoding").c_str(), "chunked") == 0) {
      receive_chunks(response);
      return response;
    }
    std::size_t length = std::strtoul(response.header("content-length").c_str(), nullptr, 10);
    take(response.body, length);
    return response;
  }

  void receive_chunks(Response& response) {
    for (;;) {
      std::size_t end;
      while ((end = buffer_.find("\r\n")) == std::string::npos) more();
      std::size_t length = std::strtoul(buffer_.c_str(), nullptr, 16);
      buffer_.erase(0, end + 2);
      take(response.body, length);
      std::string line_end;
      take(line_end, 2);
      if (length == 0) return;
    }
  }

  void take(std::string& into, std::size_t length) {
    while (buffer_.size() < length) more();
    into.append(buffer_, 0, length);
    buffer_.erase(0, length);
  }

  std::string address_, buffer_;
  int fd_ = -1;
};

std::string handle(const std::string& event) {
  return "{\"bytes\":" + std::to_string(event.size()) +
         ",\"event\":" + (event.empty() ? "null" : event) + "}";
}

}  // namespace

int main() {
  const char* address = std::getenv("AWS_LAMBDA_RUNTIME_API");
  if (address == nullptr) {
    std::fprintf(stderr,
                 "AWS_LAMBDA_RUNTIME_API is not set: this program is started by a platform\n");
    return 1;
  }
  Client client(address);
  for (;;) {
    Response event = client.request("GET", "invocation/next", "");
    if (event.status != 200) {
      std::fprintf(stderr, "invocation/next answered %d\n", event.status);
      return 1;
    }
    std::string id = event.header("Lambda-Runtime-Aws-Request-Id");
    std::printf("handling %s\n", id.c_str());
    std::fflush(stdout);
    client.request("POST", "invocation/" + id + "/response", handle(event.body));
  }
}
