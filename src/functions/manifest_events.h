#pragma once
// Internal: the sections of a mayfly.yaml that are about events (queues, topics, schedules, the
// triggers and the asynchronous calls of a function). They throw yaml::Wrong.

#include <string>

#include "functions/app.h"
#include "functions/yaml_reader.h"

namespace mayfly::functions::yaml {

void read_queues(const YAML::Node& node, Manifest& manifest);
void read_topics(const YAML::Node& node, Manifest& manifest);
void read_schedules(const YAML::Node& node, Manifest& manifest);
// Those of function; schedules go to the manifest.
void read_triggers(const YAML::Node& node, Manifest::Function& function, Manifest& manifest);
AsyncSettings read_async(const YAML::Node& node, const std::string& what);
// What one section says about another: once all are read.
void check_events(const YAML::Node& root, Manifest& manifest);

// A YAML value as JSON: plain scalars are numbers, booleans and null where they look like it.
std::string json_of(const YAML::Node& node, const std::string& what);

}  // namespace mayfly::functions::yaml
