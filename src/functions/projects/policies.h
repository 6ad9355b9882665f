#pragma once
// Internal: what a project says of the rights of its functions (SAM's Policies, the framework's
// statements), as a policy of Mayfly's. What cannot be used is reported, and never widens it.

#include <string>
#include <vector>

#include "functions/policy.h"
#include "functions/projects/builder.h"
#include "functions/projects/report.h"

namespace mayfly::functions::projects {

class PolicyReader {
 public:
  PolicyReader(Builder& builder, Report& report) : builder_(builder), report_(report) {}

  // SAM's: the name of a managed policy, a policy template, a document, or a list of such.
  void read_policies(const Value& value);
  // One statement, or a list of them.
  void read_statements(const Value& value);
  void add(const std::vector<Policy::Statement>& statements);

  const std::vector<Policy::Statement>& statements() const { return statements_; }
  // For Settings::policy. Throws Wrong when it is too long.
  std::string text(const Value& at) const;

 private:
  void read_policy(const Value& value);
  void read_managed(const Value& at, const std::string& name);
  void read_template(const std::string& name, const Value& parameters);
  void read_statement(const Value& value);
  bool read_list(const Value& value, bool allow, std::vector<std::string>& out);

  Builder& builder_;
  Report& report_;
  std::vector<Policy::Statement> statements_;
};

}  // namespace mayfly::functions::projects
