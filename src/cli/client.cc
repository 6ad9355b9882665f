#include "cli/client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace mayfly::cli {
namespace {

namespace json = boost::json;
constexpr std::size_t kChunk = 128 * 1024;

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  if (!in || !(bytes << in.rdbuf())) return std::nullopt;
  return bytes.str();
}

std::string member(const std::string& text, const char* name) {
  boost::system::error_code failed;
  const json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) return {};
  const auto* found = value.get_object().if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r'))
    text.pop_back();
  return text;
}

// A sentence as part of another.
std::string without_stop(std::string text) {
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::optional<Target> from_data(const std::string& data) {
  const auto server = read_file(data + "/server.json");
  if (!server) return std::nullopt;
  Target target{member(*server, "api"), {}, data + "/server.json"};
  if (target.api.empty()) return std::nullopt;
  if (const auto key = read_file(data + "/api.key")) target.key = trimmed(*key);
  return target;
}

Error no_server(const std::string& looked) {
  return Error{Code::unavailable,
               "No Mayfly server is running for this user (looked at " + looked +
                   "). Start one with `mayfly serve`, or name one with --api URL and --key KEY, or "
                   "with --data DIR."};
}

// The body of an upload, read from the file as the connection takes it.
class FileBody final : public io::BodyReader {
 public:
  explicit FileBody(int fd) : fd_(fd) {}
  io::Task<Result<std::string>> read() override {
    std::string chunk(kChunk, '\0');
    ssize_t got = -1;
    do {
      got = ::pread(fd_, chunk.data(), chunk.size(), offset_);
    } while (got < 0 && errno == EINTR);
    if (got < 0) co_return errno_error("read the package", errno);
    offset_ += got;
    chunk.resize(static_cast<std::size_t>(got));
    co_return chunk;
  }

 private:
  int fd_;
  off_t offset_ = 0;
};

}  // namespace

std::string default_data_dir() {
  const std::string xdg = environment("XDG_DATA_HOME");
  if (!xdg.empty() && xdg[0] == '/') return xdg + "/mayfly";
  std::string home = environment("HOME");
  if (home.empty() || home[0] != '/') {
    const passwd* user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : "/root";
  }
  return home + "/.local/share/mayfly";
}

Result<Target> find_server(const FindOptions& options) {
  std::string api = options.api;
  std::string key = options.key.empty() ? environment("MAYFLY_KEY") : options.key;
  std::string data = options.data;
  if (api.empty() && data.empty()) {
    api = environment("MAYFLY_API");
    data = environment("MAYFLY_DATA");
  } else if (data.empty()) {
    data = environment("MAYFLY_DATA");
  }

  std::vector<std::string> places;
  if (!data.empty()) {
    places.push_back(data);
  } else {
    const std::string home = default_data_dir();
    if (const auto pointer = read_file(home + "/current.json"))
      if (const std::string current = member(*pointer, "data"); !current.empty())
        places.push_back(current);
    if (places.empty() || places[0] != home) places.push_back(home);
  }

  std::string looked;
  for (const auto& place : places) {
    auto found = from_data(place);
    // A server that --api names may still have its key here.
    if (found && (api.empty() || found->api == api || !data.empty())) {
      if (!api.empty()) found->api = api;
      if (!key.empty()) found->key = key;
      return *found;
    }
    looked += (looked.empty() ? "" : " and ") + place + "/server.json";
  }
  if (api.empty()) return no_server(looked);
  return Target{api, key, "--api or MAYFLY_API"};
}

struct Client::Exchange {
  io::HttpRequest request;
  std::function<bool(std::string_view)> chunk;  // empty: collect the body
  std::optional<Result<Response>> result;
};

Client::Client(Target target) : target_(std::move(target)) {
  std::string host = target_.api;
  if (host.starts_with("http://")) host.erase(0, 7);
  if (const auto slash = host.find('/'); slash != std::string::npos) host.resize(slash);
  http_ = std::make_unique<io::HttpClient>(loop_.get_executor(),
                                           io::tcp_connector(loop_.get_executor(), host));
}

Client::~Client() {
  http_.reset();
}

io::Task<void> Client::perform(io::HttpClient* client, Exchange* exchange) {
  auto sent = co_await client->send(std::move(exchange->request));
  if (sent.has_error()) {
    exchange->result.emplace(sent.error());
    co_return;
  }
  Response response;
  response.status = sent->head.status;
  response.headers = sent->head.headers;
  const bool pass_on = exchange->chunk && response.status < 300;
  std::string piece = std::move(sent->body);
  for (;;) {
    if (!piece.empty()) {
      if (pass_on) {
        if (!exchange->chunk(piece)) break;
      } else {
        response.body += piece;
      }
    }
    if (!sent->more) break;
    auto next = co_await sent->more->read();
    if (next.has_error()) {
      exchange->result.emplace(next.error());
      co_return;
    }
    if (next->empty()) break;
    piece = std::move(*next);
  }
  exchange->result.emplace(std::move(response));
}

Result<Response> Client::run(std::unique_ptr<Exchange> exchange) {
  auto& headers = exchange->request.head.headers;
  std::string host = target_.api;
  if (host.starts_with("http://")) host.erase(0, 7);
  if (host.starts_with("https://"))
    return Error{Code::unsupported, "The API speaks plain HTTP; --api wants http://ADDR:PORT."};
  if (const auto slash = host.find('/'); slash != std::string::npos) host.resize(slash);
  headers.set("Host", host);
  headers.set("User-Agent", "mayfly");
  if (!target_.key.empty()) headers.set("Authorization", "Bearer " + target_.key);

  std::string thrown;
  boost::asio::co_spawn(loop_, perform(http_.get(), exchange.get()),
                        [&thrown](std::exception_ptr failed) {
                          if (!failed) return;
                          try {
                            std::rethrow_exception(failed);
                          } catch (const std::exception& exception) {
                            thrown = exception.what();
                          }
                        });
  loop_.restart();
  // Idle connections may keep the loop alive: stop as soon as the answer is there.
  while (!exchange->result && thrown.empty() && loop_.run_one() > 0) {
  }
  if (!exchange->result) return Error{Code::internal, "The exchange broke off: " + thrown};
  if (exchange->result->has_error()) {
    const Error error = exchange->result->error();
    return Error{Code::unavailable,
                 fmt::format("Cannot reach the Mayfly server at {} (from {}): {}. If it is not "
                             "running, start it with `mayfly serve`.",
                             target_.api, target_.source, without_stop(error.describe()))};
  }
  return std::move(*exchange->result);
}

Result<Response> Client::request(const std::string& method, const std::string& target,
                                 std::string body, const std::string& content_type,
                                 const std::vector<std::pair<std::string, std::string>>& fields) {
  auto exchange = std::make_unique<Exchange>();
  exchange->request.head.method = method;
  exchange->request.head.target = target;
  auto& headers = exchange->request.head.headers;
  if (!content_type.empty()) headers.set("Content-Type", content_type);
  for (const auto& [name, value] : fields) headers.set(name, value);
  if (method != "GET" && method != "HEAD")
    headers.set("Content-Length", std::to_string(body.size()));
  exchange->request.body = std::move(body);
  return run(std::move(exchange));
}

Result<Response> Client::upload(const std::string& method, const std::string& target,
                                const PackedFile& file, const std::string& content_type) {
  auto exchange = std::make_unique<Exchange>();
  exchange->request.head.method = method;
  exchange->request.head.target = target;
  exchange->request.head.headers.set(
      "Content-Type", content_type.empty() ? "application/octet-stream" : content_type);
  exchange->request.head.headers.set("Content-Length", std::to_string(file.bytes));
  exchange->request.more = std::make_unique<FileBody>(file.file.get());
  return run(std::move(exchange));
}

Result<Response> Client::stream(const std::string& target,
                                const std::function<bool(std::string_view)>& chunk) {
  auto exchange = std::make_unique<Exchange>();
  exchange->request.head.method = "GET";
  exchange->request.head.target = target;
  exchange->chunk = chunk;
  return run(std::move(exchange));
}

}  // namespace mayfly::cli
