#include "aws/endpoint.h"

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "aws/json_body.h"
#include "aws/query.h"
#include "aws/rest.h"
#include "aws/session.h"
#include "base/ids.h"
#include "base/log.h"

namespace mayfly::aws {

namespace json = boost::json;

namespace {

enum class Protocol { json, query, rest };

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

bool is_form(const wire::RequestHead& head) {
  const auto type = head.headers.find("Content-Type");
  return type && type->size() >= kForm.size() &&
         wire::equal_ignoring_case(type->substr(0, kForm.size()), kForm);
}

bool names_action(std::string_view query) {
  return query.starts_with("Action=") || query.find("&Action=") != std::string_view::npos;
}

Protocol protocol_of(const wire::RequestHead& head) {
  if (head.headers.contains("X-Amz-Target")) return Protocol::json;
  if (is_form(head) || names_action(head.query())) return Protocol::query;
  return Protocol::rest;
}

// A value of this shape is its own JSON: no names or times to turn.
bool travels_as_is(const Shape& shape, std::set<const Shape*>& seen) {
  if (!seen.insert(&shape).second) return true;
  if (shape.kind == Kind::timestamp) return false;
  if (shape.element && !travels_as_is(*shape.element, seen)) return false;
  return std::all_of(shape.members.begin(), shape.members.end(), [&](const Member& member) {
    return member.wire_name.empty() && travels_as_is(*member.shape, seen);
  });
}

// What the JSON protocols call what fails before an operation is reached.
struct Renamed {
  std::string_view code, json_code;
};
constexpr Renamed kRenamed[] = {
    {"MissingAuthenticationToken", "MissingAuthenticationTokenException"},
    {"IncompleteSignature", "IncompleteSignatureException"},
    {"InvalidClientTokenId", "UnrecognizedClientException"},
    {"SignatureDoesNotMatch", "InvalidSignatureException"},
    {"RequestExpired", "InvalidSignatureException"},
    {"InvalidAction", "UnknownOperationException"},
};

Fault json_named(Fault fault, bool rest) {
  for (const auto& [code, json_code] : kRenamed) {
    if (fault.code != code) continue;
    fault.code = json_code;
    if (!rest) fault.status = 400;
  }
  return fault;
}

Fault no_such_action(std::string_view action) {
  return {"InvalidAction", "The action " + std::string(action) + " is not valid for this endpoint.",
          400};
}

json::storage_ptr new_memory(std::size_t body_size) {
  return json::make_shared_resource<json::monotonic_resource>(
      std::max<std::size_t>(1024, body_size + body_size / 2));
}

}  // namespace

[[noreturn]] void throw_exception_from_error(const Fault& fault, const boost::source_location&) {
  throw std::logic_error("Outcome without a value: " + fault.code);
}

std::vector<Need> Service::needs(const Call& call) const {
  return {{std::string(contract().name) + ":" + std::string(call.operation->name), "*"}};
}

io::Task<Outcome<io::HttpResponse>> Service::answer(Call call, std::string) {
  co_return no_such_action(call.operation->name);
}

Fault fault_of(const Error& error) {
  switch (error.code) {
    case Code::unavailable:
    case Code::resource_exhausted:
    case Code::deadline_exceeded:
    case Code::cancelled:
      return {"ServiceUnavailable", error.describe(), 503, "", false};
    case Code::invalid_argument:
      return {"InvalidParameterValue", error.message};
    default:
      return {"InternalFailure", error.describe(), 500, "", false};
  }
}

struct Endpoint::Request {
  io::HttpRequest http;
  Protocol protocol = Protocol::json;
  const Contract* contract = nullptr;  // of the service, once it is known
  Target target;
  Caller caller;
  SessionPtr session;  // of the connection
  std::string id;
};

Endpoint::Endpoint(Parts parts) : parts_(std::move(parts)), verifier_(parts_.keys, parts_.clock) {}
Endpoint::~Endpoint() = default;

void Endpoint::set_default_url(std::string url) {
  parts_.default_url = std::move(url);
}

void Endpoint::add(Service& service) {
  services_.push_back(&service);
  const Contract& contract = service.contract();
  if (contract.target_prefix.empty()) return;
  for (const auto& operation : contract.operations) {
    std::set<const Shape*> seen;
    const bool plain = travels_as_is(*operation.output, seen);
    targets_[std::string(contract.target_prefix) + "." + std::string(operation.name)] = {
        &service, &operation, plain};
  }
}

void Endpoint::add(StreamService& service) {
  streams_.push_back(&service);
}

StreamService* Endpoint::stream_service(const wire::RequestHead& head) const {
  if (streams_.empty() || head.headers.contains("X-Amz-Target")) return nullptr;
  // Most requests are for others, which parse the claim for themselves.
  if (const auto field = head.headers.find("Authorization"); field && field->starts_with("AWS4-")) {
    const auto named = [&](const StreamService* service) {
      return field->find("/" + std::string(service->scope()) + "/") != std::string_view::npos;
    };
    if (std::none_of(streams_.begin(), streams_.end(), named)) return nullptr;
  }
  const auto claim = parse_claim(head);
  const std::string_view scope = claim.has_value()              ? std::string_view(claim->service)
                                 : bears_old_s3_signature(head) ? std::string_view("s3")
                                                                : std::string_view();
  for (StreamService* service : streams_)
    if (service->scope() == scope) return service;
  return nullptr;
}

bool Endpoint::takes(const wire::RequestHead& head) {
  if (head.headers.contains("X-Amz-Target") || bears_signature(head) ||
      bears_old_s3_signature(head))
    return true;
  if (const auto field = head.headers.find("Authorization");
      field && wire::equal_ignoring_case(field->substr(0, 7), "Bearer "))
    return false;
  return names_action(head.query()) || (is_form(head) && !head.path().starts_with("/v1/"));
}

io::Task<io::HttpResponse> Endpoint::handle(io::HttpRequest http, SessionPtr session) {
  if (StreamService* stream = stream_service(http.head)) {
    auto handling = stream->handle(std::move(http), new_uuid(), std::move(session));
    co_return co_await std::move(handling);
  }
  auto request = std::make_shared<Request>();
  request->id = new_uuid();
  request->session = std::move(session);
  request->protocol = protocol_of(http.head);
  if (const auto target = http.head.headers.find("X-Amz-Target")) {
    const auto found = targets_.find(std::string(*target));
    if (found != targets_.end()) {
      request->target = found->second;
      request->contract = &found->second.service->contract();
    }
  }
  const bool fits = !http.more && http.body.size() <= parts_.body_bytes_max;
  const std::size_t body_bytes_max = fits ? parts_.body_bytes_max : body_limit(http.head);
  if (http.more) {
    std::string setting = "aws.body_bytes_max";
    auto reading = io::read_all(std::move(http.body), std::move(http.more), body_bytes_max,
                                std::move(setting));
    auto body = co_await std::move(reading);
    if (body.has_error())
      co_return fault_response(*request,
                               body.error().code == Code::too_large
                                   ? Fault{"RequestEntityTooLarge", body.error().message, 413}
                                   : Fault{"InvalidRequest", body.error().message});
    http.body = std::move(*body);
  } else if (http.body.size() > body_bytes_max) {
    co_return fault_response(
        *request, {"RequestEntityTooLarge",
                   "The body is larger than the setting aws.body_bytes_max allows.", 413});
  }
  request->http = std::move(http);
  auto answering = answer(request);
  auto answered = co_await std::move(answering);
  if (answered.has_error()) co_return fault_response(*request, answered.error());
  if (!answered->head.headers.contains("x-amzn-RequestId"))
    answered->head.headers.set("x-amzn-RequestId", request->id);
  co_return std::move(*answered);
}

// Some services take more than others, from those who name a key that is there.
std::size_t Endpoint::body_limit(const wire::RequestHead& head) const {
  if (protocol_of(head) != Protocol::rest) return parts_.body_bytes_max;
  const auto claim = parse_claim(head);
  if (claim.has_error() || !parts_.keys.find(claim->access_key_id)) return parts_.body_bytes_max;
  const Service* service = by_scope(claim->service);
  return service == nullptr ? parts_.body_bytes_max
                            : std::max(parts_.body_bytes_max, service->contract().body_bytes_max);
}

io::Task<Outcome<io::HttpResponse>> Endpoint::answer(std::shared_ptr<Request> request) {
  auto caller = verifier_.verify(request->http.head, request->http.body, request->session);
  if (caller.has_error()) co_return std::move(caller).error();
  request->caller = std::move(*caller);

  // Named: GCC 12 destroys temporaries of a co_await expression twice.
  auto answering = request->protocol == Protocol::json    ? answer_json(request)
                   : request->protocol == Protocol::query ? answer_query(request)
                                                          : answer_rest(request);
  co_return co_await std::move(answering);
}

namespace {

Call call_of(const Operation& operation, json::object input, const Caller& caller,
             const wire::RequestHead& head, const std::string& default_url, std::string id) {
  Call call;
  call.operation = &operation;
  call.input = std::move(input);
  call.access_key_id = caller.access_key_id;
  call.region = caller.region;
  const auto host = head.headers.find("Host");
  call.base_url = host ? head.scheme + "://" + std::string(*host) : default_url;
  call.path = head.path();
  call.request_id = std::move(id);
  call.session = caller.session;
  return call;
}

// What a session may not do, and what is of no version of the protocol, is told in its own words.
Outcome<void> check_rights(const Service& service, const Call& call) {
  if (!call.session) return boost::system::in_place_value;
  auto checked = call.session->check(service.needs(call));
  if (checked.has_value()) return checked;
  Fault fault = std::move(checked).error();
  if (call.query || service.contract().query_compatible) fault.query_code = "AccessDenied";
  if (!call.query && !service.contract().rest_json) fault.status = 400;
  return fault;
}

}  // namespace

io::Task<Outcome<io::HttpResponse>> Endpoint::answer_json(std::shared_ptr<Request> request) {
  const Target& target = request->target;
  if (!target.operation) co_return no_such_action(*request->http.head.headers.find("X-Amz-Target"));
  const Contract& contract = *request->contract;
  auto input = read_json(*target.operation->input, request->http.body,
                         new_memory(request->http.body.size()));
  if (input.has_error()) co_return std::move(input).error();
  auto complete =
      check_required(*target.operation->input, *input,
                     contract.query_compatible ? "MissingParameter" : "ValidationException");
  if (complete.has_error()) co_return std::move(complete).error();
  Call call = call_of(*target.operation, std::move(*input), request->caller, request->http.head,
                      parts_.default_url, request->id);
  AWS_CO_TRY(check_rights(*target.service, call));
  auto calling = target.service->call(std::move(call));
  auto output = co_await std::move(calling);
  if (output.has_error()) co_return std::move(output).error();
  io::HttpResponse response;
  response.head.headers.add("Content-Type",
                            "application/x-amz-json-" + std::string(contract.json_version));
  response.body =
      target.plain ? json::serialize(*output) : write_json(*target.operation->output, *output);
  co_return std::move(response);
}

Service* Endpoint::by_scope(std::string_view name) const {
  for (Service* service : services_)
    if (service->contract().name == name) return service;
  return nullptr;
}

Outcome<Endpoint::Target> Endpoint::by_action(const Caller& caller, std::string_view action,
                                              std::string_view version) const {
  const auto find = [&](Service* service) -> Target {
    if (!service->contract().query) return {};
    for (const auto& operation : service->contract().operations)
      if (operation.name == action) return {service, &operation};
    return {};
  };
  if (Service* scoped = by_scope(caller.service); scoped && scoped->contract().query) {
    if (Target target = find(scoped); target.operation) return target;
    return no_such_action(action);
  }
  for (Service* service : services_)
    if (version.empty() || service->contract().api_version == version)
      if (Target target = find(service); target.operation) return target;
  return no_such_action(action);
}

io::Task<Outcome<io::HttpResponse>> Endpoint::answer_query(std::shared_ptr<Request> request) {
  std::string text = is_form(request->http.head) ? request->http.body : std::string();
  if (const auto query = request->http.head.query(); !query.empty())
    text.append(text.empty() ? "" : "&").append(query);
  auto form = Form::parse(text);
  if (form.has_error()) co_return std::move(form).error();
  const auto action = form->find("Action");
  if (!action)
    co_return Fault{"MissingAction", "The request must contain the parameter Action.", 400};
  auto target = by_action(request->caller, *action, form->find("Version").value_or(""));
  if (target.has_error()) co_return std::move(target).error();
  request->target = *target;
  request->contract = &target->service->contract();
  const Operation& operation = *target->operation;
  auto input = form->read(*operation.input, new_memory(text.size()));
  if (input.has_error()) co_return std::move(input).error();
  Call call = call_of(operation, std::move(*input), request->caller, request->http.head,
                      parts_.default_url, request->id);
  call.query = true;
  // Older clients send a queue's address as the address of the request.
  if (call.path.size() > 1) {
    const bool wanted =
        std::any_of(operation.input->members.begin(), operation.input->members.end(),
                    [](const Member& member) { return member.name == "QueueUrl"; });
    if (wanted && !call.input.contains("QueueUrl"))
      call.input.emplace("QueueUrl", call.base_url + call.path);
  }
  auto complete = check_required(*operation.input, call.input, "MissingParameter");
  if (complete.has_error()) co_return std::move(complete).error();
  AWS_CO_TRY(check_rights(*target->service, call));
  auto calling = target->service->call(std::move(call));
  auto output = co_await std::move(calling);
  if (output.has_error()) co_return std::move(output).error();
  io::HttpResponse response;
  response.head.headers.add("Content-Type", "text/xml");
  response.body = render_xml(operation, request->contract->xml_namespace, *output, request->id);
  co_return std::move(response);
}

io::Task<Outcome<io::HttpResponse>> Endpoint::answer_rest(std::shared_ptr<Request> request) {
  Service* service = by_scope(request->caller.service);
  const wire::RequestHead& head = request->http.head;
  std::optional<RestMatch> match;
  if (service && service->contract().rest_json) {
    request->contract = &service->contract();
    match = match_rest(service->contract(), head.method, head.path(), head.query());
  }
  if (!match)
    co_return Fault{"UnknownOperationException",
                    "There is no operation " + head.method + " " + std::string(head.path()) +
                        " of service \"" + request->caller.service + "\" here.",
                    404};
  const bool raw = match->operation->raw;
  const std::string_view text = raw ? std::string_view() : request->http.body;
  auto input = read_rest(*match, head, text, new_memory(text.size()));
  if (input.has_error()) co_return std::move(input).error();
  auto complete = check_required(*match->operation->input, *input, "ValidationException");
  if (complete.has_error()) co_return std::move(complete).error();
  Call call = call_of(*match->operation, std::move(*input), request->caller, head,
                      parts_.default_url, request->id);
  AWS_CO_TRY(check_rights(*service, call));
  if (raw) {
    auto answering = service->answer(std::move(call), std::move(request->http.body));
    co_return co_await std::move(answering);
  }
  auto calling = service->call(std::move(call));
  auto output = co_await std::move(calling);
  if (output.has_error()) co_return std::move(output).error();
  RestAnswer answer = write_rest(*match->operation, *output);
  io::HttpResponse response;
  response.head = std::move(answer.head);
  response.body = std::move(answer.body);
  co_return std::move(response);
}

io::HttpResponse Endpoint::fault_response(const Request& request, const Fault& given) const {
  Fault fault = given;
  if (fault.status >= 500) log::warn("{} of request {}: {}", fault.code, request.id, fault.message);
  io::HttpResponse response;
  auto& headers = response.head.headers;
  const Contract* contract = request.contract;
  headers.add("x-amzn-RequestId", request.id);
  if (fault.retry_after_s > 0) headers.add("Retry-After", std::to_string(fault.retry_after_s));
  if (request.protocol == Protocol::query) {
    headers.add("Content-Type", "text/xml");
    response.body = render_xml_fault(fault, contract ? contract->xml_namespace : std::string_view(),
                                     request.id);
  } else {
    const bool compatible = contract && contract->query_compatible;
    if (compatible)
      headers.add("x-amzn-query-error", (fault.query_code.empty() ? fault.code : fault.query_code) +
                                            (fault.sender ? ";Sender" : ";Receiver"));
    else
      fault = json_named(std::move(fault), request.protocol == Protocol::rest);
    if (request.protocol == Protocol::rest) headers.add("X-Amzn-Errortype", fault.code);
    headers.add("Content-Type",
                request.protocol == Protocol::rest || !contract
                    ? std::string("application/json")
                    : "application/x-amz-json-" + std::string(contract->json_version));
    response.body = write_json_fault(fault, contract ? contract->error_prefix : std::string_view());
  }
  response.head.status = fault.status;
  return response;
}

}  // namespace mayfly::aws
