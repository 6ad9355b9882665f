#include "triggers/fanout_calls.h"

namespace mayfly::triggers {
namespace {

io::Task<Status> add_call(AsyncCalls* calls, queues::Batch* batch, Outgoing out) {
  NewCall call;
  CallMessage& message = call.message;
  message.target = std::move(out.target);
  message.kind = out.kind;
  message.head = std::move(out.head);
  message.body = std::move(out.delivery.body);
  message.content_type = out.delivery.content_type;
  message.source = out.delivery.source;
  message.trace_id = out.delivery.trace_id;
  message.retries = out.retries;
  message.max_age_s = out.max_age_s;
  message.dead_letter = std::move(out.dead_letter);
  message.hops = out.hops;
  message.delivery = std::move(out.delivery);
  message.delivery.body.clear();
  io::Task<Result<PreparedCall>> preparing = calls->prepare(std::move(call));
  Result<PreparedCall> prepared = co_await std::move(preparing);
  if (prepared.has_error()) co_return prepared.error();
  std::move(*prepared).add_to(*batch);
  co_return ok();
}

}  // namespace

AddCall add_calls_to(AsyncCalls& calls) {
  return [calls = &calls](queues::Batch* batch, Outgoing out) {
    return add_call(calls, batch, std::move(out));
  };
}

}  // namespace mayfly::triggers
