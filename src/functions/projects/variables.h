#pragma once
// Internal: the variables of the Serverless Framework, ${source:address, default}, over one
// document and the files that it names. Sources of AWS (ssm, cf, s3) give values of the kind
// unknown.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "functions/projects/document.h"
#include "functions/projects/project.h"

namespace mayfly::functions::projects {

class Variables {
 public:
  // document and around outlive it.
  Variables(const Value& document, const Surroundings& around, Budget& budget);

  // The value with all variables in it replaced. Throws Wrong: a variable that leads nowhere and
  // has no default, one that depends on itself, bad syntax.
  Value resolve(const Value& value);
  // --stage, else provider.stage, else dev; the region likewise.
  std::string stage();
  std::string region();

 private:
  // Nothing: it leads nowhere; missing_ says what.
  using Found = std::optional<Value>;

  Value resolve_scalar(const Value& value);
  Value resolve_text(const std::string& text, const Value& at);
  Value resolve_members(const Value& value);
  Found evaluate(std::string_view expression, const Value& at);
  Found evaluate_part(std::string_view part, const Value& at);
  Found source(const std::string& name, const std::string& argument, const std::string& address,
               const Value& at);
  Found self(const std::string& address, const Value& at);
  Found parameter(const std::string& name, const Value& at);
  Found file(const std::string& path, const std::string& address, const Value& at);
  Found look_up(const Value& from, const std::string& address, const Value& at);
  std::string provider_text(const char* key, const std::string& option, const char* otherwise);

  const Value& document_;
  const Surroundings& around_;
  Budget& budget_;
  std::map<const Value*, Value> done_;  // scalars of the document and of files
  std::set<const Value*> resolving_;
  std::map<std::string, Value> files_;
  std::string missing_;
  int depth_ = 0;
  bool finding_provider_ = false;
};

}  // namespace mayfly::functions::projects
