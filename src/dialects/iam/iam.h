#pragma once
// AWS IAM (API version 2010-05-08), as far as tools make roles on their way to functions: what they
// make is kept and given back, and allows nothing. docs/reference/lambda.md lists the operations.

#include <string>

#include "aws/service.h"
#include "identity/roles.h"

namespace mayfly::dialects::iam {

// Belongs to the loop of the roles; outlives the calls that it runs.
class Iam : public aws::Service {
 public:
  Iam(identity::Roles& roles, std::string account) : roles_(roles), account_(std::move(account)) {}

  const aws::Contract& contract() const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;

  Answer create_role(aws::Call call);
  Answer delete_role(identity::RolePtr role);
  Answer change_role(aws::Call call, identity::RolePtr role);
  aws::Outcome<Object> look_at(const aws::Call& call, const identity::Role& role) const;
  Object list_roles(const aws::Call& call) const;
  Object render(const identity::Role& role) const;

  identity::Roles& roles_;
  const std::string account_;
};

}  // namespace mayfly::dialects::iam
