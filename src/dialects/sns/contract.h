#pragma once
// Internal: the operations of SNS with their shapes.

#include "aws/service.h"

namespace mayfly::dialects::sns {

enum class Op : int {
  confirm_subscription,
  create_topic,
  delete_topic,
  get_subscription_attributes,
  get_topic_attributes,
  list_subscriptions,
  list_subscriptions_by_topic,
  list_tags,
  list_topics,
  publish,
  publish_batch,
  set_subscription_attributes,
  set_topic_attributes,
  subscribe,
  tag,
  unsubscribe,
  untag,
};

const aws::Contract& sns_contract();

}  // namespace mayfly::dialects::sns
