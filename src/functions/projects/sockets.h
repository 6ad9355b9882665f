#pragma once
// Internal: the WebSocket API of a project, which its parts (routes, integrations, stages,
// authorizers) describe in any order. An application has one.

#include <map>
#include <string>
#include <vector>

#include "functions/projects/document.h"
#include "functions/projects/guards.h"

namespace mayfly::functions::projects {

class Builder;

class Sockets {
 public:
  struct Route {
    PlacePtr place;
    std::string key;          // "$connect", "send"
    std::string function;     // known at once, or
    std::string integration;  // by this id
    std::string authorizer;   // id; empty: none
    std::string why_not;      // what it asks for is not here
    bool api_key = false;
    bool respond = false;
  };
  struct Api {
    PlacePtr place;
    std::string selection = "$request.body.action", stage;
    std::map<std::string, Route> routes;              // by the id of the route
    std::map<std::string, std::string> integrations;  // id to function; empty: not of a function
    std::map<std::string, Guard> authorizers;         // by id
  };

  // By the id that references give; routes and stages may come before what they belong to.
  Api& api(const Value& at, const std::string& id);
  // All is read: makes the one that there is. Guards are settled.
  void settle(Builder& builder);

 private:
  std::map<std::string, Api> apis_;
};

// AWS::ApiGatewayV2::... of a WebSocket API.
bool is_socket_resource(std::string_view type);
void read_socket_resource(Builder& builder, const std::string& logical, const std::string& type,
                          const Value& at, const Value& properties);

}  // namespace mayfly::functions::projects
