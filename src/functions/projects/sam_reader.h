#pragma once
// Internal: reads one SAM template. sam_template.cc has the whole, sam_functions.cc the functions,
// sam_events.cc what calls them, sam_auth.cc who may.

#include <map>
#include <string>

#include "functions/projects/builder.h"

namespace mayfly::functions::projects {

class SamReader {
 public:
  SamReader(Project& project, const Surroundings& around);
  void read(const Value& document);

 private:
  // What is known of an API beside its routes.
  struct Api {
    bool http = false;               // HttpApi
    std::string default_authorizer;  // empty: none
    bool key_required = false;
    std::map<std::string, Guard> authorizers;
    std::string unclear;  // why nobody can say who may call its routes
  };

  void read_parameters(const Value& parameters);
  void read_parameter(const std::string& name, const Value& parameter);
  void read_globals(const Value& globals);
  void name_resources(const Value& resources);
  void name_implicit(const Value& resources);
  bool wanted(Section& resource);  // by its condition
  void finish_resource(Section& resource);
  // Resolved, over what Globals have.
  Value properties_of(Section& resource, const Value& below);
  void read_api_resource(const std::string& logical, const Value& raw);
  void read_resource(const std::string& logical, const Value& raw, bool functions);
  void read_api(const std::string& id, const Value& at, const Value& properties, bool http);
  void read_outputs(const Value& outputs);

  // sam_functions.cc
  void read_function(const std::string& logical, const Value& raw, const Value& properties);
  bool read_image(Section& s, const Value& at, Manifest::Function& function);
  void read_code(Section& s, const Value& at, Manifest::Function& function);
  void read_settings(Section& s, const Value& at, Manifest::Function& function);
  void read_async(Section& s, Manifest::Function& function);
  void read_function_url(const Value& url, const std::string& function);

  // sam_events.cc
  void read_event(const Value& event, const std::string& function);
  void read_route(Section& s, const Value& event, const std::string& function, bool http);
  void read_schedule(Section& s, const Value& event, const std::string& function, bool second);
  void read_topic_event(Section& s, const Value& event, const std::string& function);
  void read_bucket_event(Section& s, const Value& event, const std::string& function);
  void read_rule_event(Section& s, const Value& event, const std::string& function);

  // sam_auth.cc
  void read_api_auth(const Value& auth, const std::string& id, Api& api);
  Guard read_authorizer(const std::string& name, const Value& one, bool http);
  void guard(Section& s, const std::string& api, bool http, RouteRules& rules,
             Builder::Entrance& entrance);
  void read_usage_plan(const Value& plan, const std::string& api);

  Builder builder_;
  Report& report_;
  Intrinsics& intrinsics_;
  Project& project_;
  Value global_function_, global_api_, global_http_api_;  // null: none
  std::map<std::string, Api> apis_;
  bool transformed_ = false;
};

// The second over the first, as SAM merges Globals: mappings into one another, lists one behind the
// other, anything else in place of what was there.
Value merged(const Value& below, const Value& above);

}  // namespace mayfly::functions::projects
