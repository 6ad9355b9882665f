#pragma once
// Tells functions, queues and topics of what happens in buckets: the messages are written in the
// transaction of the change itself, so that what S3's clients were told of is told on, once and
// for all (decision 0025).

#include <string>

#include "buckets/types.h"
#include "store/store.h"
#include "triggers/fanout.h"

namespace mayfly::triggers {

// {"Records":[...]} as S3 sends it. Pure.
std::string s3_event_json(const buckets::Happening& happening, const std::string& account);

// Belongs to one loop; outlives its tasks.
class BucketEvents {
 public:
  BucketEvents(queues::QueueEngine& queues, AddCall add_call, std::string account)
      : queues_(queues), fanout_(queues, std::move(add_call)), account_(std::move(account)) {}

  // The transaction with all that it causes; conflict when a condition of it does not hold.
  io::Task<Status> commit(store::Transaction transaction,
                          std::vector<buckets::Happening> happenings);

 private:
  queues::QueueEngine& queues_;
  Fanout fanout_;
  const std::string account_;
};

}  // namespace mayfly::triggers
