#pragma once
// Internal: CloudFormation's intrinsic functions (!Ref, !Sub, Fn::GetAtt ...) over the parameters,
// mappings, conditions and resources of one template; serverless.yml has the same in its resources
// and in places that name them.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "functions/projects/document.h"

namespace mayfly::functions::projects {

// What a reference to a resource gives.
struct CloudResource {
  std::string type;
  std::optional<std::string> ref;                 // !Ref
  std::map<std::string, std::string> attributes;  // !GetAtt
};

class Intrinsics {
 public:
  explicit Intrinsics(Budget& budget) : budget_(budget) {}

  void set_parameter(std::string name, Value value) {
    parameters_[std::move(name)] = std::move(value);
  }
  void set_pseudo(std::string name, std::string value) {
    pseudo_[std::move(name)] = std::move(value);
  }
  void set_mappings(Value mappings) { mappings_ = std::move(mappings); }
  void set_conditions(Value conditions) { conditions_ = std::move(conditions); }
  void set_resource(std::string name, CloudResource resource) {
    resources_[std::move(name)] = std::move(resource);
  }
  const CloudResource* resource(std::string_view name) const;

  // The value with all functions in it replaced by what they give; what cannot be known here
  // becomes a value of the kind unknown that says why. Throws Wrong for what is wrong in itself.
  Value resolve(const Value& value);
  bool condition(const std::string& name, const Value& at);

 private:
  Value resolve_at(const Value& value, int depth);
  Value call(std::string_view function, const Value& argument, const Value& at, int depth);
  Value ref(const std::string& name, const Value& at);
  Value get_att(const Value& argument, const Value& at, int depth);
  Value attribute(const std::string& name, const std::string& attribute, const Value& at);
  Value sub(const Value& argument, const Value& at, int depth);
  Value join(const Value& argument, const Value& at, int depth);
  Value select(const Value& argument, const Value& at, int depth);
  Value split(const Value& argument, const Value& at, int depth);
  Value find_in_map(const Value& argument, const Value& at, int depth);
  Value choose(const Value& argument, const Value& at, int depth);
  bool truth(const Value& value, int depth);

  Budget& budget_;
  std::map<std::string, Value, std::less<>> parameters_;
  std::map<std::string, std::string, std::less<>> pseudo_;
  std::map<std::string, CloudResource, std::less<>> resources_;
  Value mappings_, conditions_;
  std::set<std::string> deciding_;  // conditions, to see circles
  std::map<std::string, bool> decided_;
};

}  // namespace mayfly::functions::projects
