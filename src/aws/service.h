#pragma once
// What a service with the wire contract of AWS implements (SQS, SNS, EventBridge, Scheduler ...),
// free of protocols: an operation gets a JSON object and answers one, or a Fault. The Endpoint
// (endpoint.h) checks signatures, tells services apart and speaks the protocols.

#include <boost/json/object.hpp>
#include <boost/system/result.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/shape.h"
#include "base/result.h"
#include "io/http.h"

namespace mayfly::aws {

class Session;
struct Need;
using SessionPtr = std::shared_ptr<const Session>;

// A typed error, as clients match on it.
struct Fault {
  std::string code;  // "QueueDoesNotExist"; __type in JSON, <Code> in XML unless query_code is set
  std::string message;
  int status = 400;
  std::string query_code = {};  // "AWS.SimpleQueueService.NonExistentQueue": older clients' name
  bool sender = true;           // false: the fault is ours
  boost::json::object detail = {};  // more members of the error, in JSON and in XML
  std::uint32_t retry_after_s = 0;  // field Retry-After; 0: none
};

// A failure of a room below as InternalFailure, ServiceUnavailable, ...; services map what clients
// cause (not_found, invalid_argument) to their own codes first.
Fault fault_of(const Error& error);

[[noreturn]] void throw_exception_from_error(const Fault& fault,
                                             const boost::source_location& where);

template <class T>
using Outcome = boost::system::result<T, Fault>;

#define AWS_TRY(expr)                                               \
  do {                                                              \
    if (auto aws_try_outcome = (expr); aws_try_outcome.has_error()) \
      return std::move(aws_try_outcome).error();                    \
  } while (0)
#define AWS_CO_TRY(expr)                                            \
  do {                                                              \
    if (auto aws_try_outcome = (expr); aws_try_outcome.has_error()) \
      co_return std::move(aws_try_outcome).error();                 \
  } while (0)

struct Operation {
  std::string_view name;  // "SendMessage"
  const Shape* input = &kEmpty;
  const Shape* output = &kEmpty;
  int tag = 0;  // the service's own, for its switch
  // rest-json only.
  std::string_view method = "POST";
  // "/schedules/{Name}"; "{Key+}" takes slashes as well; "/layers?find=LayerVersion" wants this
  // parameter in the query
  std::string_view path = "/";
  int status = 200;
  // The body is for Service::answer() as it came; what travels elsewhere is in Call::input.
  bool raw = false;
};

// Everything static about a service. What the views point at outlives the service.
struct Contract {
  std::string_view name;         // "sqs": name in the signature's scope
  std::string_view api_version;  // "2012-11-05"
  std::span<const Operation> operations;
  bool query = false;              // Action=... in a form, XML back
  std::string_view xml_namespace;  // of XML answers
  std::string_view target_prefix;  // "AmazonSQS" of X-Amz-Target; empty: no JSON protocol
  std::string_view json_version;   // "1.0", "1.1"
  bool query_compatible = false;   // JSON faults name the older code in x-amzn-query-error
  bool rest_json = false;
  std::size_t body_bytes_max = 0;  // rest-json; 0: setting aws.body_bytes_max
  std::string_view error_prefix;   // "com.amazonaws.sqs#" before __type; may be empty
};

// One operation, its signature checked and its input of the right types: a member is absent or of
// its kind, required ones are there, unknown ones are gone.
struct Call {
  const Operation* operation = nullptr;
  boost::json::object input;
  std::string access_key_id;
  std::string region;    // of the signature's scope
  std::string base_url;  // "http://127.0.0.1:8081": as the client addressed this server
  std::string path;      // of the request, still percent-encoded
  std::string request_id;
  bool query = false;  // spoken in the query protocol
  SessionPtr session;  // of a program that the platform runs; null: an access key's
};

class Service {
 public:
  virtual ~Service() = default;

  virtual const Contract& contract() const = 0;

  // What a session must be allowed for the call. By default the operation's own name, on "*".
  virtual std::vector<Need> needs(const Call& call) const;

  // Runs on the loop of the Endpoint. Cancelled (terminal) when the client goes away. Output by
  // the operation's shape; what it does not name is not sent in XML. The input may live in a
  // memory resource of its own: copy out of it, do not keep its parts.
  virtual io::Task<Outcome<boost::json::object>> call(Call call) = 0;

  // Operations that are raw: bytes in, an HTTP answer out, which may be streamed.
  virtual io::Task<Outcome<io::HttpResponse>> answer(Call call, std::string body);
};

// A service that speaks a protocol of its own and takes bodies as they come (S3). It checks the
// signature itself.
class StreamService {
 public:
  virtual ~StreamService() = default;
  virtual std::string_view scope() const = 0;  // name in the signature's scope
  // session: of the connection, may be null; it counts when the request is signed with its key.
  virtual io::Task<io::HttpResponse> handle(io::HttpRequest request, std::string request_id,
                                            SessionPtr session) = 0;
};

}  // namespace mayfly::aws
