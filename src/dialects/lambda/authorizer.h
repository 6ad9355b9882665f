#pragma once
// Lambda authorizers: events of the formats 1.0 (TOKEN, REQUEST) and 2.0 (REQUEST), and answers as
// policies of IAM or in the simple form.

#include <memory>

#include "dialects/lambda/http_event.h"
#include "gateway/authorizer.h"

namespace mayfly::dialects::lambda {

std::unique_ptr<gateway::AuthorizerDialect> make_authorizer_dialect(EventSettings settings = {});

}  // namespace mayfly::dialects::lambda
