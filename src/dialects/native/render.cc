#include "dialects/native/render.h"

#include <boost/json/parse.hpp>
#include <map>

#include "functions/app.h"
#include "wire/http_message.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

double price(std::int64_t nano) {
  return static_cast<double>(nano) / 1e9;
}

json::object render_version(const functions::Version& version) {
  boost::system::error_code failed;
  json::value value = json::parse(functions::version_to_json(version), failed);
  return !failed && value.is_object() ? value.get_object() : json::object();
}

json::object render_runtime(const functions::Runtime& runtime) {
  json::object object;
  object["name"] = runtime.name;
  object["language"] = runtime.language;
  object["version"] = runtime.version;
  object["program"] = runtime.program;
  object["aliases"] = json::array(runtime.aliases.begin(), runtime.aliases.end());
  object["installed"] = runtime.installed;
  object["install_hint"] = runtime.install_hint;
  return object;
}

json::object render_keep_alive(const engine::KeepAliveStats& stats) {
  using Why = engine::KeepAliveStats::Why;
  json::object object;
  if (stats.stay.count() >= 0)
    object["ms"] = stats.stay.count();
  else
    object["ms"] = nullptr;
  object["why"] = stats.why == Why::setting  ? "setting"
                  : stats.why == Why::learnt ? "learnt"
                                             : "break_even";
  object["gaps"] = stats.gaps;
  object["again_from_ms"] = stats.again_from.count();
  return object;
}

json::object render_record(const telemetry::Record& record, const std::string& currency) {
  json::object object;
  object["request_id"] = record.request_id;
  object["function"] = record.function;
  object["version"] = record.version == 0 ? "$LATEST" : std::to_string(record.version);
  object["revision"] = record.revision;
  object["instance"] = record.instance;
  object["source"] = record.source;
  object["attempt"] = record.attempt;
  object["arrived_us"] = record.arrived_us;
  object["queue_us"] = record.queue_us;
  object["start_us"] = record.start_us;
  object["init_us"] = record.init_us;
  object["run_us"] = record.run_us;
  object["cpu_us"] = record.cpu_us;
  object["memory_peak_bytes"] = record.memory_peak_bytes;
  object["memory_mb"] = record.memory_mb;
  object["bytes_in"] = record.bytes_in;
  object["bytes_out"] = record.bytes_out;
  object["cold"] = record.cold;
  object["start"] = telemetry::start_name(record.start);
  object["outcome"] = telemetry::outcome_name(record.outcome);
  object["party"] = telemetry::party_name(record.party);
  object["phase"] = telemetry::phase_name(record.phase);
  object["http_status"] = record.http_status;
  object["error"] = record.error;
  object["price"] = price(record.price_nano);
  object["currency"] = currency;
  return object;
}

json::object render_bill_line(const telemetry::BillLine& line) {
  json::object object;
  object["function"] = line.function;
  object["day"] = line.day;
  object["invocations"] = line.invocations;
  object["gb_seconds"] = line.gb_seconds;
  object["bytes_out"] = line.bytes_out;
  object["price"] = price(line.price_nano);
  return object;
}

std::string render_log_line(const telemetry::LogLine& line) {
  using Stream = telemetry::LogLine::Stream;
  std::string out = R"({"time_us":)" + std::to_string(line.time_us);
  out += R"(,"function":)";
  wire::append_json_string(out, line.function);
  out += R"(,"version":)";
  wire::append_json_string(out, line.version == 0 ? "$LATEST" : std::to_string(line.version));
  out += R"(,"instance":)";
  wire::append_json_string(out, line.instance);
  out += R"(,"request_id":)";
  wire::append_json_string(out, line.request_id);
  out += R"(,"stream":)";
  out += line.stream == Stream::out   ? R"("stdout")"
         : line.stream == Stream::err ? R"("stderr")"
                                      : R"("platform")";
  out += R"(,"text":)";
  wire::append_json_string(out, line.text);
  out += "}\n";
  return out;
}

namespace {

json::object render_totals(const telemetry::FunctionTotals& totals) {
  json::object object;
  object["function"] = totals.function;
  object["invocations"] = totals.invocations;
  object["errors"] = totals.errors;
  object["timeouts"] = totals.timeouts;
  object["refused"] = totals.refused;
  object["cold_starts"] = totals.cold_starts;
  object["queue_us"] = totals.queue_us;
  object["start_us"] = totals.start_us;
  object["init_us"] = totals.init_us;
  object["run_us"] = totals.run_us;
  object["cpu_us"] = totals.cpu_us;
  object["bytes_in"] = totals.bytes_in;
  object["bytes_out"] = totals.bytes_out;
  object["memory_peak_bytes"] = totals.memory_peak_bytes;
  object["gb_seconds"] = totals.gb_seconds;
  object["price"] = price(totals.price_nano);
  object["p50_us"] = totals.p50_us;
  object["p90_us"] = totals.p90_us;
  object["p99_us"] = totals.p99_us;
  return object;
}

}  // namespace

json::array render_stats(const std::vector<telemetry::FunctionTotals>& totals,
                         const std::vector<engine::PoolStats>& pools,
                         const std::vector<std::string>& known) {
  std::map<std::string, telemetry::FunctionTotals> by_name;
  for (const auto& name : known) by_name[name].function = name;
  for (const auto& each : totals) by_name[each.function] = each;
  std::map<std::string, engine::PoolStats> sums;
  for (const auto& pool : pools) engine::add(sums[pool.function], pool);
  json::array array;
  for (const auto& [name, each] : by_name) {
    json::object object = render_totals(each);
    const engine::PoolStats& sum = sums[name];
    object["instances"] = sum.instances;
    object["starting"] = sum.starting;
    object["busy"] = sum.busy;
    object["running"] = sum.running;
    object["waiting"] = sum.waiting;
    object["memory_bytes"] = sum.memory_bytes;
    object["templates"] = sum.templates;
    object["template_bytes"] = sum.template_bytes;
    object["shells"] = sum.shells;
    object["clones"] = sum.clones;
    array.push_back(std::move(object));
  }
  return array;
}

}  // namespace mayfly::dialects::native
