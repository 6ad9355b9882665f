#include "dialects/sqs/sqs.h"

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

// .../ACCOUNT/NAME, as an address, a path or a bare name; a slash at the end is no part of it.
Outcome<queues::QueuePtr> Sqs::queue_of(const Call& call) const {
  std::string_view url = text_of(call.input, "QueueUrl");
  if (url.empty()) return missing_parameter("QueueUrl");
  while (url.ends_with('/')) url.remove_suffix(1);
  const auto slash = url.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? url : url.substr(slash + 1);
  if (!is_queue_name(name)) return no_such_queue();
  queues::QueuePtr queue = parts_.engine.find(std::string(name));
  if (!queue) return no_such_queue();
  return queue;
}

std::string Sqs::url_of(const Call& call, const std::string& name) const {
  return (parts_.url_base.empty() ? call.base_url : parts_.url_base) + "/" + parts_.account + "/" +
         name;
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
