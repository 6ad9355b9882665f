#pragma once
// Internal: the operations of CloudWatch Logs that are served.

#include "aws/service.h"

namespace mayfly::dialects::logs {

enum class Op : int {
  create_group,
  describe_groups,
  describe_streams,
  filter_events,
  get_events,
  list_tags,
  put_retention,
  remove_group,
  remove_retention,
  tag,
  untag,
};

const aws::Contract& logs_contract();

}  // namespace mayfly::dialects::logs
