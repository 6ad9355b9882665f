#pragma once
// One address for every AWS-shaped service: takes a request, checks its signature, finds the
// service by X-Amz-Target, by the signature's scope, or by Action, and speaks its protocol.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aws/service.h"
#include "aws/sigv4.h"
#include "base/clock.h"
#include "identity/access_keys.h"
#include "io/http.h"

namespace mayfly::aws {

// Belongs to one loop; outlives the requests that it handles.
class Endpoint {
 public:
  struct Parts {
    const identity::AccessKeys& keys;
    const Clock& clock;
    std::size_t body_bytes_max = 8u << 20;  // setting aws.body_bytes_max
    std::string default_url;                // for requests without Host
  };
  explicit Endpoint(Parts parts);
  ~Endpoint();

  // Before the first request. The service outlives the endpoint.
  void add(Service& service);
  void add(StreamService& service);
  void set_default_url(std::string url);

  // True for what a client of an AWS service sends, signed or not: then it is not for the native
  // API beside it.
  static bool takes(const wire::RequestHead& head);

  // session: of the connection that the request came by; null: of anybody's.
  io::Task<io::HttpResponse> handle(io::HttpRequest request, SessionPtr session = {});

 private:
  struct Target {
    Service* service = nullptr;
    const Operation* operation = nullptr;
    bool plain = false;  // the answer's JSON is the value as it is
  };
  struct Request;

  Outcome<Target> by_action(const Caller& caller, std::string_view action,
                            std::string_view version) const;
  StreamService* stream_service(const wire::RequestHead& head) const;
  Service* by_scope(std::string_view name) const;
  std::size_t body_limit(const wire::RequestHead& head) const;
  io::Task<Outcome<io::HttpResponse>> answer(std::shared_ptr<Request> request);
  io::Task<Outcome<io::HttpResponse>> answer_json(std::shared_ptr<Request> request);
  io::Task<Outcome<io::HttpResponse>> answer_query(std::shared_ptr<Request> request);
  io::Task<Outcome<io::HttpResponse>> answer_rest(std::shared_ptr<Request> request);
  io::HttpResponse fault_response(const Request& request, const Fault& fault) const;

  Parts parts_;
  Verifier verifier_;
  std::vector<Service*> services_;
  std::vector<StreamService*> streams_;
  std::unordered_map<std::string, Target> targets_;  // "AmazonSQS.SendMessage"
};

}  // namespace mayfly::aws
