#pragma once
// Internal: what stands before the routes of a project: its authorizers, and its usage plans with
// their API keys. A route that asks who calls is made only where this server asks as well.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "functions/api.h"
#include "functions/projects/document.h"
#include "functions/projects/report.h"

namespace mayfly::functions::projects {

// An authorizer of a project, as routes name it.
struct Guard {
  std::string name;     // in the manifest; empty: it is not made
  std::string why_not;  // then
  std::vector<std::string> scopes;
  bool jwt = false;

  static Guard missing(std::string why) {
    Guard guard;
    guard.why_not = std::move(why);
    return guard;
  }
  static Guard iam() {
    Guard guard;
    guard.name = kIamAuthorizer;
    return guard;
  }
};

class Guards {
 public:
  struct Key {
    std::string name, value;  // value empty: no file gives it
    bool enabled = true;
  };
  struct Plan {
    UsagePlan plan;
    std::set<std::string> apis;  // that its keys open
    PlacePtr place;
  };

  Guards(functions::Api& api, Report& report) : api_(api), report_(report) {}

  // Takes an authorizer in; one with the same name that differs makes it "NAME-2". Throws Wrong.
  Guard add(const Value& at, Authorizer authorizer, std::vector<std::string> scopes = {});
  // The usage plan and the key that a project refers to by an id; the plan is made when it is not
  // there. link: the key is one of the plan's.
  Plan& plan(const Value& at, const std::string& id);
  void add_key(const Value& at, const std::string& id, Key key);
  void link(const Value& at, std::string plan, std::string key);

  // All is read: leaves out authorizers whose function is none of the manifest's, and keys without
  // a value, and says so.
  void settle(const std::set<std::string>& functions);
  // The name of one that lets nobody in.
  std::string closed();
  // Why a route of that API with these rules cannot be made; empty: it can. After settle().
  std::string why_not(const RouteRules& rules, const std::string& api) const;

 private:
  struct Link {
    PlacePtr place;
    std::string plan, key;
  };
  void settle_plans();

  functions::Api& api_;
  Report& report_;
  std::map<std::string, Plan> plans_;  // by id
  std::map<std::string, Key> keys_;    // by id
  std::vector<Link> links_;
  std::map<std::string, PlacePtr> places_;     // of authorizers, by name
  std::map<std::string, std::string> broken_;  // name to why
};

// Makes the route ask it, or says why_not. own: scopes of the route itself, in place of the
// authorizer's, or null.
void ask(RouteRules& rules, const Guard& guard, const Value* own, Report& report,
         std::string& why_not);

// The texts of a list that can be known here; the others are reported.
std::vector<std::string> known_texts(const Value& value, Report& report);
// "method.request.header.X", "$request.header.X", "context.x", "stageVariables.x", commas between
// them, or a list: as this server has them.
std::vector<std::string> identity_sources(const Value& value);
// Letters that names may have; never empty.
std::string plain_name(std::string_view text);

}  // namespace mayfly::functions::projects
