#pragma once
// Internal: reads what stands before the routes of a mayfly.yaml. Problems are thrown as
// yaml::Wrong.

#include <yaml-cpp/yaml.h>

#include "functions/app.h"

namespace mayfly::functions {

// Key api of the manifest.
Api read_api(const YAML::Node& node);
// Keys event, authorizer, scopes, api_key and throttle of a route.
RouteRules read_rules(const YAML::Node& route);
// After all of the manifest has been read.
void check_manifest_api(const YAML::Node& root, const Manifest& manifest);

}  // namespace mayfly::functions
