#include "server/inside.h"

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <charconv>

#include "base/log.h"
#include "dialects/inside/function_session.h"
#include "wire/spawner_messages.h"

namespace mayfly::server {

namespace {

namespace asio = boost::asio;

bool has(const std::vector<std::string>& env, std::string_view name) {
  return std::any_of(env.begin(), env.end(), [&](const std::string& entry) {
    return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
  });
}

void add(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  if (!has(env, name)) env.push_back(std::string(name) + "=" + std::string(value));
}

// Whoever brings credentials has a service of its own in mind.
constexpr std::string_view kOwnCredentials[] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
};

// What a request will take of memory before it is answered; those of S3 are read as they are
// stored.
std::size_t bytes_kept(const io::HttpRequest& request, std::size_t most) {
  if (!request.more) return 0;
  const auto field = request.head.headers.find("Authorization");
  if (field && field->find("/s3/aws4_request") != std::string_view::npos) return 0;
  std::size_t length = most;
  if (const auto text = request.head.headers.find("Content-Length"))
    std::from_chars(text->data(), text->data() + text->size(), length);
  return std::min(length, most);
}

}  // namespace

struct Inside::State {
  explicit State(Parts p) : parts(std::move(p)) {}
  Parts parts;
  aws::Endpoint* endpoint = nullptr;
  std::size_t bytes_kept = 0;
};

// Of one instance. Until the first connection comes it is a descriptor that is watched.
class Inside::Way : public std::enable_shared_from_this<Way> {
 public:
  Way(std::shared_ptr<State> state, functions::VersionPtr version)
      : state_(std::move(state)), version_(std::move(version)), listener_(state_->parts.loop) {}
  ~Way() {
    if (server_) server_->close();
  }

  void watch(os::Fd listener) {
    boost::system::error_code problem;
    listener_.assign(listener.get(), problem);
    if (problem)
      return log::error("services of {}: {}", version_->qualified_name(), problem.message());
    (void)listener.release();  // the descriptor of asio owns it now
    listener_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [weak = weak_from_this()](const boost::system::error_code& failed) {
                           const auto self = weak.lock();
                           if (self && !failed) self->begin();
                         });
  }

 private:
  // Gives back what a request has kept, however it ends.
  struct Kept {
    Kept(std::shared_ptr<State> s, std::size_t b) : state(std::move(s)), bytes(b) {
      state->bytes_kept += bytes;
    }
    ~Kept() { state->bytes_kept -= bytes; }
    Kept(const Kept&) = delete;
    std::shared_ptr<State> state;
    std::size_t bytes;
  };

  void begin() {
    os::Fd listener(listener_.release());
    const auto& parts = state_->parts;
    session_ = std::make_shared<dialects::inside::FunctionSession>(
        *version_, dialects::inside::credentials_of(parts.secret, version_->function),
        parts.account);
    io::HttpServerOptions options = parts.http;
    options.name = "services";
    options.body_bytes_max = SIZE_MAX;  // each service has a limit of its own
    options.connections_max = parts.settings.connections_max;
    server_ = std::make_unique<io::HttpServer>(
        parts.loop, std::move(options), [state = state_, session = session_](io::HttpRequest http) {
          return serve(state, session, std::move(http));
        });
    const auto opened = server_->listen_fd(std::move(listener));
    if (opened.has_error())
      log::error("services of {}: {}", version_->qualified_name(), opened.error().describe());
  }

  static io::Task<io::HttpResponse> serve(std::shared_ptr<State> state, aws::SessionPtr session,
                                          io::HttpRequest http) {
    const std::size_t bytes = server::bytes_kept(http, state->parts.request_bytes_max);
    if (bytes > 0 && state->bytes_kept + bytes > state->parts.settings.body_bytes_max) {
      io::HttpResponse full = io::json_response(
          503,
          R"({"__type":"ServiceUnavailable","message":"Requests of functions fill the setting )"
          R"(services.body_bytes_max; try again."})");
      full.head.headers.add("X-Amzn-Errortype", "ServiceUnavailable");
      full.head.headers.add("Retry-After", "1");
      full.head.headers.set("Connection", "close");
      co_return std::move(full);
    }
    const Kept kept(state, bytes);
    auto handling = state->endpoint->handle(std::move(http), std::move(session));
    co_return co_await std::move(handling);
  }

  const std::shared_ptr<State> state_;
  const functions::VersionPtr version_;
  asio::posix::stream_descriptor listener_;
  aws::SessionPtr session_;
  std::unique_ptr<io::HttpServer> server_;
};

Inside::Inside(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {}
Inside::~Inside() = default;

void Inside::serve(aws::Endpoint& endpoint) {
  state_->endpoint = &endpoint;
}

void Inside::add_environment(const functions::Version& version, std::vector<std::string>& env) {
  const bool own = std::any_of(std::begin(kOwnCredentials), std::end(kOwnCredentials),
                               [&](std::string_view name) { return has(env, name); });
  if (own) return;
  const auto made = dialects::inside::credentials_of(state_->parts.secret, version.function);
  env.push_back("MAYFLY_SERVICES_URL=" + std::string(wire::kServicesUrl));
  add(env, "AWS_ENDPOINT_URL", wire::kServicesUrl);
  env.push_back("AWS_ACCESS_KEY_ID=" + made.key.id);
  env.push_back("AWS_SECRET_ACCESS_KEY=" + made.key.secret);
  env.push_back("AWS_SESSION_TOKEN=" + made.token);
}

std::shared_ptr<void> Inside::open(functions::VersionPtr version, const std::string&,
                                   os::Fd listener) {
  auto way = std::make_shared<Way>(state_, std::move(version));
  way->watch(std::move(listener));
  return way;
}

}  // namespace mayfly::server
