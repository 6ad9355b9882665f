#pragma once
// The part of the server that speaks as AWS does: access keys, the endpoint beside the native API,
// and the services behind it.

#include <memory>
#include <string>

#include "aws/endpoint.h"
#include "dialects/iam/iam.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sts/sts.h"
#include "gateway/identity.h"
#include "identity/access_keys.h"
#include "identity/roles.h"
#include "io/blocking.h"
#include "queues/engine.h"

namespace mayfly::server {

struct AwsSettings {
  std::string url_base;  // of queue URLs; empty: as the client addressed the server
  std::size_t body_bytes_max = 8u << 20;
};

// Everything in parts outlives it.
class Aws {
 public:
  struct Parts {
    queues::QueueEngine& queues;
    queues::MoveTasks& moves;
    store::Store& store;
    io::BlockingPool& pool;
    const Clock& clock;
    AwsSettings settings;
    std::string region, account;
  };
  explicit Aws(Parts parts);

  Status open();  // reads the store; blocks

  identity::AccessKeys& keys() { return keys_; }
  // Further services are added to it before the port opens.
  aws::Endpoint& endpoint() { return endpoint_; }
  // For requests to the gateway that must be signed.
  gateway::SignatureVerdict check_signature(const wire::RequestHead& head, std::string_view body,
                                            std::string_view service);

 private:
  identity::AccessKeys keys_;
  identity::Roles roles_;
  aws::Endpoint endpoint_;
  aws::Verifier verifier_;
  dialects::sqs::Sqs sqs_;
  dialects::sts::Sts sts_;
  dialects::iam::Iam iam_;
};

}  // namespace mayfly::server
