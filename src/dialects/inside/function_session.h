#pragma once
// A function as a caller of the platform's services: its credentials, who it is, and what its
// version's policy lets it do.

#include <string>

#include "aws/session.h"
#include "dialects/inside/credentials.h"
#include "functions/policy.h"
#include "functions/types.h"

namespace mayfly::dialects::inside {

// Immutable.
class FunctionSession : public aws::Session {
 public:
  FunctionSession(const functions::Version& version, Credentials credentials,
                  const std::string& account);

  const identity::AccessKey& key() const override { return credentials_.key; }
  const std::string& token() const override { return credentials_.token; }
  const std::string& arn() const override { return arn_; }
  const std::string& user_id() const override { return user_id_; }
  aws::Outcome<void> check(std::span<const aws::Need> needs) const override;

 private:
  std::string function_;
  Credentials credentials_;
  std::string arn_, user_id_;
  functions::Policy policy_;
  bool own_policy_ = false;
};

}  // namespace mayfly::dialects::inside
