#pragma once
// Internal: reads one serverless.yml whose variables are resolved. serverless_yml.cc has the whole,
// serverless_functions.cc the functions and packages, serverless_events.cc what calls them,
// serverless_auth.cc who may.

#include <map>
#include <string>
#include <vector>

#include "functions/policy.h"
#include "functions/projects/builder.h"

namespace mayfly::functions::projects {

class ServerlessReader {
 public:
  struct Names {
    std::string service, stage, region;
  };
  ServerlessReader(Project& project, const Surroundings& around, Names names);
  void read(const Value& document);

 private:
  void read_provider(const Value& provider);
  void read_package(const Value& package);
  void read_plugins(const Value& plugins);
  void name_things(const Value& document);
  void read_resources(const Value& resources);
  void read_outputs(const Value& outputs);
  std::string full_name(const std::string& key, const Value& function) const;

  // serverless_functions.cc
  void read_function(const std::string& key, const Value& function);
  bool read_image(Section& s, const Value& at, Manifest::Function& function);
  void read_settings(Section& s, const Value& at, Manifest::Function& function);
  void read_function_package(Section& s, Manifest::Function& function);
  void read_destinations(Section& s, Manifest::Function& function);
  void read_url(const Value& url, const std::string& function);
  void read_layer(const std::string& key, const Value& layer);
  std::string destination_of(const Value& value);

  // serverless_events.cc
  void read_event(const Value& event, const std::string& function);
  void read_http_api(const Value& value, const std::string& function);
  void read_http(const Value& value, const std::string& function);
  void read_websocket(const Value& value, const std::string& function);
  void read_sqs(const Value& value, const std::string& function);
  void read_schedule(const Value& value, const std::string& function);
  void read_bucket_event(const Value& value, const std::string& function);
  void read_sns(const Value& value, const std::string& function);
  void read_rule(const Value& value, const std::string& function, bool bridge);

  // usage_plans.cc
  void read_usage(Section& api);
  void read_api_key(const Value& one, const std::string& plan);
  Guards::Plan& serverless_plan(const Value& at, const std::string& name);

  // serverless_functions.cc, serverless_yml.cc
  void read_rights(Section& s, const Value& at, Settings& settings);
  void read_provider_rights(Section& provider);

  // serverless_auth.cc
  void read_authorizers(const Value& authorizers);
  Guard read_authorizer(const std::string& name, const Value& one);
  std::string authorizing(Section& s, const char* arn, const char* key);
  void guard_http_api(const Value& authorizer, RouteRules& rules, std::string& why_not);
  void guard_websocket(const Value& authorizer, Sockets::Api& api, Sockets::Route& route);
  void guard_http(const Value& authorizer, RouteRules& rules, std::string& why_not);

  // What functions take from the provider when they do not say.
  struct Provider {
    std::string runtime;
    std::uint32_t memory_mb = 1'024, timeout_ms = 6'000;  // the framework's own defaults
    Value environment;
    std::map<std::string, std::string> tags;
    std::vector<std::string> layers;
    std::map<std::string, Value> images;  // of ecr: their uri
    std::string payload = "2.0";
    std::map<std::string, Guard> authorizers;  // of the HTTP API
    bool policy = false;                       // a resource policy guards the REST API
    bool rights_told = false;                  // of functions that say nothing of their own
    std::vector<Policy::Statement> rights;
  };

  Builder builder_;
  Report& report_;
  Intrinsics& intrinsics_;
  Project& project_;
  Names names_;
  Provider provider_;
  std::vector<std::string> patterns_;
  std::string artifact_, selection_;
  bool individually_ = false;
  std::map<std::string, std::string> function_names_;  // key to name
};

inline constexpr const char* kSocketApi = "WebsocketsApi";  // its id in references

// Of httpApi and of http events; no origins: it is turned off.
Cors cors_from(const Value& value, Report& report);
// "hello-world" in logical ids: "HelloDashworld".
std::string logical_part(std::string_view name);
// The members of a mapping, or of a list of mappings.
Value one_mapping(const Value& value);

}  // namespace mayfly::functions::projects
