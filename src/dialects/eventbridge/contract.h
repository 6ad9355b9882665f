#pragma once
// Internal: the operations of EventBridge with their shapes.

#include "aws/service.h"

namespace mayfly::dialects::eventbridge {

enum class Op : int {
  create_bus,
  delete_bus,
  delete_rule,
  describe_bus,
  describe_rule,
  disable_rule,
  enable_rule,
  list_buses,
  list_rule_names_by_target,
  list_rules,
  list_tags,
  list_targets,
  put_events,
  put_rule,
  put_targets,
  remove_targets,
  tag,
  test_pattern,
  untag,
  update_bus,
};

const aws::Contract& events_contract();

}  // namespace mayfly::dialects::eventbridge
