#include "server/aws.h"

namespace mayfly::server {

Aws::Aws(Parts parts)
    : keys_({parts.store, parts.pool, parts.clock}),
      endpoint_({keys_, parts.clock, parts.settings.body_bytes_max, ""}),
      sqs_({parts.queues, parts.moves, parts.clock, parts.account, parts.region,
            parts.settings.url_base}),
      sts_(parts.account) {
  endpoint_.add(sqs_);
  endpoint_.add(sts_);
}

Status Aws::open() {
  return keys_.load();
}

}  // namespace mayfly::server
