#pragma once
// Internal: the operations of CloudWatch Logs that are served.

#include "aws/service.h"

namespace mayfly::dialects::logs {

enum class Op : int { describe_groups, describe_streams, get_events, filter_events };

const aws::Contract& logs_contract();

}  // namespace mayfly::dialects::logs
