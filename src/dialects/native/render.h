#pragma once
// The JSON of the API's answers. Pure.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "engine/dispatcher.h"
#include "functions/runtimes.h"
#include "functions/types.h"
#include "telemetry/telemetry.h"

namespace mayfly::dialects::native {

// functions::version_to_json() as a value.
boost::json::object render_version(const functions::Version& version);
boost::json::object render_runtime(const functions::Runtime& runtime);
boost::json::object render_keep_alive(const engine::KeepAliveStats& stats);
boost::json::object render_record(const telemetry::Record& record, const std::string& currency);
boost::json::object render_bill_line(const telemetry::BillLine& line);
// One line of ndjson, with the newline.
std::string render_log_line(const telemetry::LogLine& line);

// Totals of each function and the numbers of its pools (all versions), by name. Functions that were
// never called are there with zeros; known names the functions that exist.
boost::json::array render_stats(const std::vector<telemetry::FunctionTotals>& totals,
                                const std::vector<engine::PoolStats>& pools,
                                const std::vector<std::string>& known);

// Billionths of a currency unit as that unit.
double price(std::int64_t nano);

}  // namespace mayfly::dialects::native
