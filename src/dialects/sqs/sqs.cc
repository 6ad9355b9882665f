#include "dialects/sqs/sqs.h"

#include "aws/session.h"

#include "dialects/sqs/attributes.h"
#include "dialects/sqs/contract.h"
#include "dialects/sqs/faults.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

using aws::Call;
using aws::Outcome;

const aws::Contract& Sqs::contract() const {
  return sqs_contract();
}

io::Task<Outcome<boost::json::object>> Sqs::call(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::send_message:
      return send(std::move(call));
    case Op::send_message_batch:
      return send_batch(std::move(call));
    case Op::receive_message:
      return receive(std::move(call));
    case Op::delete_message:
      return remove(std::move(call));
    case Op::delete_message_batch:
      return remove_batch(std::move(call));
    case Op::change_message_visibility:
      return change_visibility(std::move(call));
    case Op::change_message_visibility_batch:
      return change_visibility_batch(std::move(call));
    case Op::create_queue:
      return create_queue(std::move(call));
    case Op::delete_queue:
      return delete_queue(std::move(call));
    case Op::purge_queue:
      return purge_queue(std::move(call));
    case Op::get_queue_url:
      return ready(get_queue_url(call));
    case Op::list_queues:
      return ready(list_queues(call));
    case Op::list_dead_letter_source_queues:
      return ready(list_sources(call));
    case Op::get_queue_attributes:
      return ready(get_attributes(call));
    case Op::set_queue_attributes:
      return update(std::move(call), &Sqs::edit_attributes);
    case Op::list_queue_tags:
      return ready(list_tags(call));
    case Op::tag_queue:
    case Op::untag_queue:
      return update(std::move(call), &Sqs::edit_tags);
    case Op::add_permission:
    case Op::remove_permission:
      return update(std::move(call), &Sqs::edit_permissions);
    case Op::start_message_move_task:
      return start_move(std::move(call));
    case Op::list_message_move_tasks:
      return ready(list_moves(call));
    case Op::cancel_message_move_task:
      return cancel_move(std::move(call));
  }
  return ready(aws::Fault{"InvalidAction", "There is no such action.", 400});
}

io::Task<Outcome<boost::json::object>> ready(Outcome<boost::json::object> outcome) {
  co_return outcome;
}

namespace {

// .../ACCOUNT/NAME, as an address, a path or a bare name; a slash at the end is no part of it.
std::string_view name_in_url(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  const auto slash = url.rfind('/');
  return slash == std::string_view::npos ? url : url.substr(slash + 1);
}

}  // namespace

// Those of a batch are those of one; a queue that is named by its ARN counts by its name, too.
std::vector<aws::Need> Sqs::needs(const Call& call) const {
  std::string_view action = call.operation->name;
  if (action.ends_with("Batch")) action.remove_suffix(5);
  std::vector<aws::Need> needs;
  const auto need = [&](std::string_view name) {
    needs.push_back({"sqs:" + std::string(action), name.empty() ? "*" : arn_of(std::string(name))});
  };
  for (const auto member : {"SourceArn", "DestinationArn"})
    if (const auto arn = text_of(call.input, member); !arn.empty()) need(name_in_arn(arn));
  if (const auto url = text_of(call.input, "QueueUrl"); !url.empty())
    need(name_in_url(url));
  else if (needs.empty())
    need(text_of(call.input, "QueueName"));
  return needs;
}

Outcome<queues::QueuePtr> Sqs::queue_of(const Call& call) const {
  const std::string_view url = text_of(call.input, "QueueUrl");
  if (url.empty()) return missing_parameter("QueueUrl");
  const std::string_view name = name_in_url(url);
  if (!is_queue_name(name)) return no_such_queue();
  queues::QueuePtr queue = parts_.engine.find(std::string(name));
  if (!queue) return no_such_queue();
  return queue;
}

std::string Sqs::url_of(const Call& call, const std::string& name) const {
  // A program in a sandbox reaches this server by its own way in alone.
  const bool as_addressed = parts_.url_base.empty() || call.session != nullptr;
  return (as_addressed ? call.base_url : parts_.url_base) + "/" + parts_.account + "/" + name;
}

std::string Sqs::arn_of(const std::string& name) const {
  return "arn:aws:sqs:" + parts_.region + ":" + parts_.account + ":" + name;
}

// Any region: clients put their own into the ARNs that they make.
queues::QueuePtr Sqs::by_arn(std::string_view arn) const {
  const std::string name = name_in_arn(arn);
  if (!arn.starts_with("arn:aws:sqs:") || !is_queue_name(name)) return nullptr;
  return parts_.engine.find(name);
}

}  // namespace mayfly::dialects::sqs
