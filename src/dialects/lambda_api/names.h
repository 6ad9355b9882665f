#pragma once
// How Lambda's clients name functions, and the names that go back to them. Pure; hostile text.

#include <string>
#include <string_view>

#include "aws/service.h"
#include "functions/layers.h"

namespace mayfly::dialects::lambda_api {

struct FunctionRef {
  std::string name;
  std::string qualifier;  // "", "$LATEST", a number or an alias
};

// NAME, NAME:QUALIFIER, ACCOUNT:function:NAME[:QUALIFIER] or an ARN, of any region and account.
// qualifier: as given beside it; must say the same where both do.
aws::Outcome<FunctionRef> parse_function(std::string_view text, std::string_view qualifier = {});

// version: as given beside it; must say the same where both do.
aws::Outcome<functions::LayerRef> parse_layer(std::string_view text, std::string_view version = {});

// Where this server's functions say they are.
struct Home {
  std::string region, account;

  std::string arn(std::string_view name, std::string_view qualifier = {}) const;
  std::string layer_arn(std::string_view name, std::uint64_t version = 0) const;  // 0: of all
};

}  // namespace mayfly::dialects::lambda_api
