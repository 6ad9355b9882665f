#pragma once
// Amazon SQS (API version 2012-11-05) over a queue engine: what `aws sqs`, boto3 and the SDKs
// speak. docs/reference/sqs.md says what differs.

#include <set>
#include <string>

#include "aws/service.h"
#include "base/clock.h"
#include "queues/engine.h"
#include "queues/move_tasks.h"

namespace mayfly::dialects::sqs {

// Belongs to the engine's loop; outlives the calls.
class Sqs : public aws::Service {
 public:
  struct Parts {
    queues::QueueEngine& engine;
    queues::MoveTasks& moves;
    const Clock& clock;
    std::string account = "000000000000";
    std::string region = "us-east-1";
    std::string url_base;  // of queue URLs; empty: as the client addressed the server
  };
  explicit Sqs(Parts parts) : parts_(std::move(parts)) {}

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;
  using Edit = aws::Outcome<void> (Sqs::*)(const aws::Call&, queues::QueueInfo&) const;

  aws::Outcome<queues::QueuePtr> queue_of(const aws::Call& call) const;
  std::string url_of(const aws::Call& call, const std::string& name) const;
  std::string arn_of(const std::string& name) const;
  // The queue that an ARN names; null when there is none.
  queues::QueuePtr by_arn(std::string_view arn) const;
  aws::Outcome<void> check_dead_letters(const queues::QueueInfo& info) const;
  std::vector<std::string> sources_of(const std::string& dead_letters) const;

  // queues.cc
  Answer create_queue(aws::Call call);
  Answer delete_queue(aws::Call call);
  Answer purge_queue(aws::Call call);
  aws::Outcome<Object> get_queue_url(const aws::Call& call) const;
  aws::Outcome<Object> list_queues(const aws::Call& call) const;
  aws::Outcome<Object> list_sources(const aws::Call& call) const;
  aws::Outcome<Object> get_attributes(const aws::Call& call) const;
  aws::Outcome<void> edit_attributes(const aws::Call& call, queues::QueueInfo& info) const;
  // Changes the call's queue by edit, which is asked again when another change came between.
  Answer update(aws::Call call, Edit edit);
  // tags.cc: tags and permissions
  aws::Outcome<Object> list_tags(const aws::Call& call) const;
  aws::Outcome<void> edit_tags(const aws::Call& call, queues::QueueInfo& info) const;
  aws::Outcome<void> edit_permissions(const aws::Call& call, queues::QueueInfo& info) const;
  // messages.cc
  Answer send(aws::Call call);
  Answer send_batch(aws::Call call);
  Answer receive(aws::Call call);
  // receipts.cc
  Answer remove(aws::Call call);
  Answer remove_batch(aws::Call call);
  Answer change_visibility(aws::Call call);
  Answer change_visibility_batch(aws::Call call);
  // move_tasks.cc
  Answer start_move(aws::Call call);
  aws::Outcome<Object> list_moves(const aws::Call& call) const;
  Answer cancel_move(aws::Call call);

  Parts parts_;
  std::set<std::string> purging_;  // names
};

}  // namespace mayfly::dialects::sqs
