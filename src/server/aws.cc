#include "server/aws.h"

namespace mayfly::server {

Aws::Aws(Parts parts)
    : keys_({parts.store, parts.pool, parts.clock}),
      roles_({parts.store, parts.pool, parts.clock}),
      endpoint_({keys_, parts.clock, parts.settings.body_bytes_max, ""}),
      verifier_(keys_, parts.clock),
      sqs_({parts.queues, parts.moves, parts.clock, parts.account, parts.region,
            parts.settings.url_base}),
      sts_(parts.account),
      iam_(roles_, parts.account) {
  endpoint_.add(sqs_);
  endpoint_.add(sts_);
  endpoint_.add(iam_);
}

Status Aws::open() {
  MAYFLY_TRY(keys_.load());
  return roles_.load();
}

gateway::SignatureVerdict Aws::check_signature(const wire::RequestHead& head, std::string_view body,
                                               std::string_view service) {
  gateway::SignatureVerdict verdict;
  if (!aws::bears_signature(head)) return verdict;
  auto caller = verifier_.verify(head, body);
  if (caller.has_error()) {
    const aws::Fault& fault = caller.error();
    const bool unknown = fault.code == "InvalidClientTokenId";
    verdict.refusal = {unknown ? "UnrecognizedClientException" : "InvalidSignatureException",
                       fault.message, 403};
  } else if (caller->service != service) {
    verdict.refusal = {
        "InvalidSignatureException",
        "Credential should be scoped to correct service: '" + std::string(service) + "'.", 403};
  } else {
    verdict.access_key = std::move(caller->access_key_id);
  }
  return verdict;
}

}  // namespace mayfly::server
