#pragma once
// JSON forms of functions/api.h, within the room; and the checks that both readers share.

#include <boost/json/object.hpp>
#include <string>

#include "base/result.h"
#include "functions/app.h"

namespace mayfly::functions {

boost::json::object api_object(const Api& api);
Result<Api> api_from(const boost::json::object& object);
boost::json::object rules_object(const RouteRules& rules);
// where: in front of the names of members, in errors.
Result<RouteRules> rules_from(const boost::json::object& object, const std::string& where);

std::string_view event_name(EventForm form);  // "v1", "v2"
std::optional<EventForm> event_from_name(std::string_view name);

// What names fit, what leads to what: the routes of app against its api.
Status check_api(const App& app);

}  // namespace mayfly::functions
