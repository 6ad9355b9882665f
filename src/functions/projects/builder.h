#pragma once
// Internal: what the readers of SAM and Serverless share: names and addresses of what a project
// makes, and the ways by which routes, triggers and settings enter its Manifest, each checked and
// reported with the place in the file that asked for it.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "functions/projects/document.h"
#include "functions/projects/guards.h"
#include "functions/projects/intrinsics.h"
#include "functions/projects/project.h"
#include "functions/projects/report.h"
#include "functions/projects/sockets.h"

namespace mayfly::functions::projects {

class Builder {
 public:
  Builder(Project& project, const Surroundings& around, std::string stack);

  Manifest& manifest() { return project_.manifest; }
  Report& report() { return report_; }
  Budget& budget() { return budget_; }
  Intrinsics& intrinsics() { return intrinsics_; }
  Guards& guards() { return guards_; }
  const Surroundings& around() const { return around_; }
  const std::string& stack() const { return stack_; }
  const std::string& region() const { return region_; }
  void set_region(std::string region) { region_ = std::move(region); }
  // Those of CloudFormation: AWS::Region and the like. The region is known by then.
  void set_pseudo_parameters();
  // Stages of APIs: the first part of paths at AWS, and of none here.
  void add_stage(std::string name) { stages_.insert(std::move(name)); }
  // What references to APIs give; texts with it are turned into the gateway's address.
  void add_api(std::string id) { apis_.insert(std::move(id)); }
  // The same of a WebSocket API, whose paths do have a stage in front.
  void add_socket_api(std::string id) { socket_apis_.insert(std::move(id)); }
  bool is_socket_api(const std::string& id) const { return socket_apis_.contains(id); }
  Sockets& sockets() { return sockets_; }
  std::string socket_url() const;  // "ws://127.0.0.1:8080"

  // "STACK-LOGICAL", cut to what names may be.
  std::string made_up_name(const Value& at, std::string_view logical, std::size_t max = 64) const;
  std::string arn(std::string_view service, std::string_view rest) const;
  std::string function_arn(std::string_view name) const {
    return arn("lambda", "function:" + std::string(name));
  }
  std::string layer_arn(std::string_view name) const {  // of no version: the newest
    return arn("lambda", "layer:" + std::string(name));
  }
  std::string function_url(const std::string& name, const std::string& alias);
  std::string queue_url(std::string_view name) const;

  // The name in an ARN of that service ("sqs"), in a URL of a queue, or the name itself.
  std::string name_in(const Value& value, std::string_view service) const;
  // The function of a name or ARN with its alias or version: "NAME" or "NAME:QUALIFIER".
  std::string qualified_function_in(const Value& value) const;
  // Addresses of APIs at AWS become the gateway's.
  std::string at_gateway(std::string text) const;

  // A function with that name is made; throws when there are two.
  Manifest::Function& add_function(const Value& at, const std::string& name);
  Manifest::Function* function(std::string_view name);
  // Throws when there are two of that name.
  void add_layer(const Value& at, Manifest::Layer layer);
  void add_bucket(const Value& at, const std::string& name);
  void add_bucket_event(const Value& at, Manifest::BucketEvent event);
  // What a function names: ARNs, also of layers of the project.
  std::vector<std::string> layers_of(const Value& list);
  // For a function that is there already.
  void add_url(const Value& at, const std::string& function, Manifest::Url url);
  struct Entrance {
    std::string why_not;  // it asks for what Mayfly does not have, and must not be open to all
    std::string api;      // whose it is, as usage plans name APIs
  };
  // finish() makes it, if what its rules name is there by then.
  void add_route(const Value& at, std::string method, std::string path, const std::string& function,
                 RouteRules rules = {}, Entrance entrance = {});
  void add_trigger(const Value& at, const std::string& function, Manifest::QueueTrigger trigger);
  void add_subscription(const Value& at, Manifest::Subscription subscription);
  void add_schedule(const Value& at, Manifest::Schedule schedule);
  void add_rule(const Value& at, Manifest::Rule rule);
  void set_cors(const Value& at, Cors cors, std::string_view what);
  void read_environment(const Value& value, Settings& settings);
  // Format and levels of a function's log, by the names that the kind of project has for them.
  struct LoggingKeys {
    const char *format, *level, *system_level, *group;
  };
  void read_logging(const Value& value, const LoggingKeys& keys, Settings& settings);
  // The JSON object (or value) of a text.
  void check_json(const Value& at, const std::string& text, bool object) const;
  // Checks settings as every server would.
  void check(const Value& at, const Settings& settings) const;
  // What sections say about one another, and the report.
  void finish();

 private:
  struct Wanted {
    PlacePtr place;
    Route route;
    Entrance entrance;
  };
  std::string unique(std::set<std::string>& names, std::string wanted, std::size_t max) const;
  void make_routes();
  void make_route(const Value& at, Wanted& wanted);

  Project& project_;
  const Surroundings& around_;
  std::string stack_, region_;
  Report report_;
  Budget budget_;
  Intrinsics intrinsics_{budget_};
  std::set<std::string> apis_, socket_apis_, stages_, schedule_names_, rule_names_;
  std::map<std::pair<std::string, std::string>, std::string> urls_;  // by function and alias
  std::vector<Wanted> routes_;
  Guards guards_{project_.manifest.api, report_};
  Sockets sockets_;
  PlacePtr cors_at_;
};

// A project that read() fills. yaml-cpp and the readers report by exceptions; none leaves it.
template <class Read>
Result<Project> read_safely(const Surroundings& around, Read read) {
  Project project;
  try {
    read(project);
    return project;
  } catch (const Wrong& problem) {
    return to_error(problem);
  } catch (const std::exception& problem) {
    return invalid("in " + around.file + ": this cannot be read: " + problem.what() + ".");
  }
}

// Calls check and turns its error into one that names the place.
void demand(const Value& at, const Status& status);

}  // namespace mayfly::functions::projects
