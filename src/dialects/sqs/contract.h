#pragma once
// Internal: the operations of Amazon SQS 2012-11-05 and their shapes.

#include "aws/service.h"

namespace mayfly::dialects::sqs {

enum class Op {
  add_permission,
  cancel_message_move_task,
  change_message_visibility,
  change_message_visibility_batch,
  create_queue,
  delete_message,
  delete_message_batch,
  delete_queue,
  get_queue_attributes,
  get_queue_url,
  list_dead_letter_source_queues,
  list_message_move_tasks,
  list_queues,
  list_queue_tags,
  purge_queue,
  receive_message,
  remove_permission,
  send_message,
  send_message_batch,
  set_queue_attributes,
  start_message_move_task,
  tag_queue,
  untag_queue,
};

const aws::Contract& sqs_contract();

}  // namespace mayfly::dialects::sqs
