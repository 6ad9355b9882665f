#pragma once
// AWS STS (API version 2011-06-15), as far as tools ask it who they are before they deploy.

#include <string>

#include "aws/service.h"

namespace mayfly::dialects::sts {

// Thread-safe: it keeps nothing.
class Sts : public aws::Service {
 public:
  explicit Sts(std::string account) : account_(std::move(account)) {}

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  // GetCallerIdentity: the account, and the access key as a user of it, or the session's role.
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  std::string account_;
};

}  // namespace mayfly::dialects::sts
