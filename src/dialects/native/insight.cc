#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <cstdio>
#include <ctime>

#include "dialects/native/render.h"
#include "dialects/native/state.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

namespace {

constexpr std::int64_t kLimitMax = 100'000;

// "2026-11-21" of a moment, UTC.
std::string day_of(WallTime time) {
  return to_rfc3339(time).substr(0, 10);
}

bool is_day(const std::string& text) {
  std::tm day{};
  int year = 0, month = 0, date = 0, used = 0;
  if (text.size() != 10 ||
      std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &year, &month, &date, &used) != 3 || used != 10)
    return false;
  day.tm_year = year - 1900;
  day.tm_mon = month - 1;
  day.tm_mday = date;
  std::tm settled = day;
  return timegm(&settled) != -1 && settled.tm_mon == day.tm_mon && settled.tm_mday == day.tm_mday;
}

}  // namespace

Reply Api::State::metrics(Call) {
  co_return io::text_response(200, parts.metrics.exposition(),
                              "text/plain; version=0.0.4; charset=utf-8");
}

Reply Api::State::info(Call) {
  const auto& abilities = parts.sandboxes.abilities();
  std::uint64_t committed = 0;
  std::uint32_t instances = 0;
  for (const auto& pool : parts.dispatcher.pools()) {
    committed += pool.memory_bytes;
    instances += pool.instances;
  }
  json::object sandbox;
  sandbox["namespaces"] = abilities.namespaces;
  sandbox["cgroup"] = abilities.cgroup;
  sandbox["network_nat"] = abilities.network_nat;
  sandbox["missing"] = json::array(abilities.missing.begin(), abilities.missing.end());

  const auto& defaults = parts.catalogue.defaults();
  json::object limits;
  limits["memory_mb_max"] = defaults.memory_mb_max;
  limits["timeout_ms_max"] = defaults.timeout_ms_max;
  limits["concurrency_max"] = defaults.concurrency_max;
  limits["functions_max"] = defaults.functions_max;
  limits["env_bytes_max"] = defaults.env_bytes_max;
  limits["instances_max"] = facts.instances_max;
  limits["body_bytes_max"] = facts.body_bytes_max;

  json::object object;
  object["version"] = facts.version;
  object["api"] = facts.api_url;
  object["gateway"] = facts.gateway_url;
  object["region"] = facts.region;
  object["account"] = facts.account;
  object["data"] = facts.data_dir;
  object["pid"] = facts.pid;
  object["uptime_s"] = to_us(clock.steady_now() - facts.started) / 1'000'000;
  object["functions"] = parts.catalogue.list().size();
  object["instances"] = instances;
  object["memory_bytes"] = committed;
  object["memory_bytes_max"] = facts.memory_bytes_max;
  object["sandbox"] = std::move(sandbox);
  object["limits"] = std::move(limits);
  co_return json_reply(200, object);
}

Reply Api::State::runtimes(Call) {
  json::array array;
  for (const auto& runtime : parts.catalogue.runtimes().all())
    array.push_back(render_runtime(runtime));
  json::object object;
  object["runtimes"] = std::move(array);
  co_return json_reply(200, object);
}

Reply Api::State::logs(Call call) {
  auto query = query_of(call, {"follow", "since_us", "limit", "request_id"});
  if (query.has_error()) co_return query.error();
  const auto follow = flag_in(*query, "follow");
  if (follow.has_error()) co_return follow.error();
  const auto since = number_in(*query, "since_us", 0, INT64_MAX, 0);
  if (since.has_error()) co_return since.error();
  const auto limit = number_in(*query, "limit", 0, kLimitMax, *follow ? 10 : 1000);
  if (limit.has_error()) co_return limit.error();
  if (!parts.catalogue.find(call.name, "")) co_return no_such_function(call.name);

  telemetry::LogQuery wanted;
  wanted.function = call.name;
  wanted.request_id = text_in(*query, "request_id");
  wanted.since_us = *since;
  wanted.limit = static_cast<std::size_t>(*limit);
  std::shared_ptr<LogFeed> feed;
  if (*follow && !closing) {
    feed = std::make_shared<LogFeed>(parts.loop, wanted.request_id);
    feed->subscribe(parts.telemetry, call.name);  // before the query: nothing falls between
    feeds.remove_if([](const auto& each) { return each.expired(); });
    feeds.push_back(feed);
  }
  telemetry::Telemetry& telemetry = parts.telemetry;
  auto work = [&telemetry, wanted] {
    telemetry.flush();
    return telemetry.logs(wanted);
  };
  auto lines = co_await parts.pool.run(work);
  if (lines.has_error()) co_return lines.error();

  io::HttpResponse response;
  response.head.headers.set("Content-Type", "application/x-ndjson");
  for (const auto& line : *lines) response.body += render_log_line(line);
  if (feed) {
    feed->start_after(*lines);
    response.more = make_log_body(feed);
  }
  co_return response;
}

Reply Api::State::invocations(Call call) {
  auto query = query_of(call, {"function", "request_id", "limit", "errors"});
  if (query.has_error()) co_return query.error();
  const auto limit = number_in(*query, "limit", 1, kLimitMax, 50);
  if (limit.has_error()) co_return limit.error();
  const auto errors = flag_in(*query, "errors");
  if (errors.has_error()) co_return errors.error();
  telemetry::RecordQuery wanted;
  wanted.function = text_in(*query, "function");
  wanted.request_id = text_in(*query, "request_id");
  wanted.limit = static_cast<std::size_t>(*limit);
  wanted.errors_only = *errors;
  if (!wanted.function.empty() && !parts.catalogue.find(wanted.function, ""))
    co_return no_such_function(wanted.function);

  telemetry::Telemetry& telemetry = parts.telemetry;
  auto work = [&telemetry, wanted] {
    telemetry.flush();
    return telemetry.records(wanted);
  };
  auto records = co_await parts.pool.run(work);
  if (records.has_error()) co_return records.error();
  json::array array;
  const std::string currency = telemetry.prices().currency;
  for (const auto& record : *records) array.push_back(render_record(record, currency));
  json::object object;
  object["invocations"] = std::move(array);
  co_return json_reply(200, object);
}

Reply Api::State::stats(Call call) {
  auto query = query_of(call, {"function"});
  if (query.has_error()) co_return query.error();
  const std::string function = text_in(*query, "function");
  std::vector<std::string> known;
  if (!function.empty()) {
    if (!parts.catalogue.find(function, "")) co_return no_such_function(function);
    known.push_back(function);
  } else {
    for (const auto& version : parts.catalogue.list()) known.push_back(version->function);
  }
  telemetry::Telemetry& telemetry = parts.telemetry;
  auto work = [&telemetry, function] {
    telemetry.flush();
    return telemetry.totals(function);
  };
  auto totals = co_await parts.pool.run(work);
  if (totals.has_error()) co_return totals.error();
  std::vector<engine::PoolStats> pools;
  for (auto& pool : parts.dispatcher.pools())
    if (function.empty() || pool.function == function) pools.push_back(std::move(pool));
  json::object object;
  object["currency"] = telemetry.prices().currency;
  object["functions"] = render_stats(*totals, pools, known);
  co_return json_reply(200, object);
}

Reply Api::State::bill(Call call) {
  auto query = query_of(call, {"function", "from", "to"});
  if (query.has_error()) co_return query.error();
  const std::string function = text_in(*query, "function");
  const std::string today = day_of(clock.wall_now());
  std::string from = text_in(*query, "from");
  std::string to = text_in(*query, "to");
  if (from.empty()) from = today.substr(0, 8) + "01";
  if (to.empty()) to = std::max(today, from);
  for (const char* name : {"from", "to"})
    if (const std::string& day = name[0] == 'f' ? from : to; !is_day(day))
      co_return Error{Code::invalid_argument,
                      fmt::format("Query parameter {} wants a day such as {}, "
                                  "not \"{}\".",
                                  name, today, day)};
  if (from > to)
    co_return Error{Code::invalid_argument, "from (" + from + ") is after to (" + to + ")."};

  telemetry::Telemetry& telemetry = parts.telemetry;
  auto work = [&telemetry, function, from, to] {
    telemetry.flush();
    return telemetry.bill(function, from, to);
  };
  auto lines = co_await parts.pool.run(work);
  if (lines.has_error()) co_return lines.error();
  json::array array;
  std::int64_t total_nano = 0;
  for (const auto& line : *lines) {
    total_nano += line.price_nano;
    array.push_back(render_bill_line(line));
  }
  json::object object;
  object["currency"] = telemetry.prices().currency;
  object["from"] = from;
  object["to"] = to;
  object["lines"] = std::move(array);
  object["total"] = price(total_nano);
  co_return json_reply(200, object);
}

}  // namespace mayfly::dialects::native
