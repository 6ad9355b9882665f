#pragma once
// Internal: the part of a deploy by mayfly.yaml that is about events.

#include <boost/json/object.hpp>
#include <optional>

#include "cli/context.h"
#include "functions/app.h"

namespace mayfly::cli {

// What functions send to: queues and topics. Before the functions. Only what differs is changed.
int deploy_queues(Context& context, const functions::Manifest& manifest,
                  boost::json::object& summary);
// What leads to functions: queue triggers, subscriptions and schedules. After the functions.
int deploy_triggers(Context& context, const functions::Manifest& manifest,
                    boost::json::object& summary);

// Their names, as the server keeps them with the application.
std::vector<std::string> resources_of(const functions::Manifest& manifest);
// What an earlier deploy made and this one does not name stays; says so, and how to remove it.
void report_unnamed(const functions::App& before, const functions::App& now,
                    boost::json::object& summary, const Context& context);

}  // namespace mayfly::cli
