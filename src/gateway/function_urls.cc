#include "gateway/function_urls.h"

#include <algorithm>

#include "base/ids.h"
#include "gateway/cors.h"
#include "gateway/errors.h"
#include "gateway/gateway_state.h"

namespace mayfly::gateway {
namespace {

using telemetry::Party;
using telemetry::Phase;

constexpr std::string_view kUrlBase = "/url/";
constexpr std::string_view kUrlHost = ".lambda-url.";
constexpr std::size_t kUrlIdMax = 64;

bool is_url_id(std::string_view text) {
  return !text.empty() && text.size() <= kUrlIdMax &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

}  // namespace

std::optional<UrlAddress> url_address(const wire::RequestHead& head) {
  const std::string_view path = head.path();
  const auto host = head.headers.find("Host").value_or("");
  if (const auto at = host.find(kUrlHost); at != std::string_view::npos) {
    std::string id(host.substr(0, at));
    std::transform(id.begin(), id.end(), id.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (is_url_id(id)) return UrlAddress{std::move(id), "", std::string(path)};
  }
  if (!path.starts_with(kUrlBase)) return std::nullopt;
  const auto end = path.find('/', kUrlBase.size());
  const std::string_view id = path.substr(kUrlBase.size(), end - kUrlBase.size());
  if (!is_url_id(id)) return std::nullopt;
  return UrlAddress{std::string(id), std::string(path.substr(0, end)),
                    end == std::string_view::npos ? "/" : std::string(path.substr(end))};
}

io::HttpResponse url_refusal(int status, std::string_view type, std::string_view message) {
  std::string body = "{\"Message\":";
  wire::append_json_string(body, message);
  body += '}';
  io::HttpResponse response = io::json_response(status, std::move(body));
  response.head.headers.add("x-amzn-ErrorType", type);
  return response;
}

io::Task<Result<Identity>> Gateway::State::signer_of(io::HttpRequest& request,
                                                     std::string_view service,
                                                     io::HttpResponse& refusal) {
  const std::string scope(service);
  io::Task<Result<std::string>> reading =
      io::read_all(std::move(request.body), std::move(request.more), seams.payload_bytes_max,
                   "setting http.body_bytes_max");
  Result<std::string> body = co_await std::move(reading);
  request.more = nullptr;
  if (body.has_error()) co_return std::move(body).error();
  request.body = std::move(*body);
  SignatureVerdict verdict;
  if (seams.doors.check_signature)
    verdict = seams.doors.check_signature(request.head, request.body, scope);
  Identity identity;
  if (verdict.access_key.empty()) {
    const SignatureRefusal& why = verdict.refusal;
    refusal = why.type.empty() ? url_refusal(403, "AccessDeniedException", "Forbidden")
                               : url_refusal(why.status, why.type, why.message);
    co_return identity;
  }
  identity.kind = Identity::Kind::iam;
  identity.access_key = std::move(verdict.access_key);
  co_return identity;
}

io::Task<io::HttpResponse> Gateway::State::call_url(io::HttpRequest& request, UrlAddress& address,
                                                    const std::string& id) {
  const std::shared_ptr<const UrlTarget> target = seams.doors.find_url(address.id);
  RouteMatch match;
  if (target) match.version = seams.find_version(target->function);
  if (!match.version) {
    Error error{Code::not_found, "No function has the address " + address.id + ".", "route"};
    co_return error_response(error, Party::client, Phase::route, id);
  }
  const std::string origin(request.head.headers.find("Origin").value_or(""));
  if (is_preflight(request.head) && has_cors(target->cors)) {
    const std::vector<std::string> methods = {"GET",   "HEAD",   "POST",   "PUT",
                                              "PATCH", "DELETE", "OPTIONS"};
    co_return preflight_response(target->cors, request.head, methods);
  }
  io::HttpResponse response;
  bool refused = false;
  if (target->iam) {
    io::Task<Result<Identity>> checking = signer_of(request, "lambda", response);
    Result<Identity> signer = co_await std::move(checking);
    if (signer.has_error())
      co_return error_response(signer.error(), blame(signer.error().code), Phase::accept, id);
    refused = signer->kind == Identity::Kind::none;
    match.identity = std::move(*signer);
  }
  if (!refused) {
    match.route_key = "$default";
    match.base = std::move(address.base);
    match.path = std::move(address.path);
    match.api_id = target->id;
    match.url = true;
    io::Task<io::HttpResponse> task = call(request, match, id);
    response = co_await std::move(task);
  }
  if (!target->streaming && response.more) {
    io::Task<Result<std::string>> reading =
        io::read_all(std::move(response.body), std::move(response.more),
                     seams.doors.url_reply_bytes_max, "setting lambda.payload_bytes_max");
    Result<std::string> whole = co_await std::move(reading);
    if (whole.has_error()) {
      const int status = whole.error().code == Code::too_large ? 413 : 502;
      response = url_refusal(status, status == 413 ? "RequestTooLargeException" : "InternalFailure",
                             whole.error().message);
    } else {
      response.body = std::move(*whole);
      response.more = nullptr;
    }
  }
  add_cors(target->cors, origin, response.head);
  co_return response;
}

}  // namespace mayfly::gateway
