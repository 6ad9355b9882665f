#pragma once
// Internal: the operations of EventBridge Scheduler with their shapes.

#include "aws/service.h"

namespace mayfly::dialects::scheduler {

enum class Op : int {
  create_schedule,
  create_group,
  delete_schedule,
  delete_group,
  get_schedule,
  get_group,
  list_schedules,
  list_groups,
  list_tags,
  tag,
  untag,
  update_schedule,
};

const aws::Contract& scheduler_contract();

}  // namespace mayfly::dialects::scheduler
