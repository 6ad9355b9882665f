#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;
using Align = Table::Align;

namespace {

std::uint64_t positive(const json::value& object, const char* key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_of(object, key)));
}

// Prints whole lines of ndjson as they complete.
class LogPrinter {
 public:
  explicit LogPrinter(const Context& context) : json_(context.json), colour_(context.colour()) {}

  bool feed(std::string_view bytes) {
    pending_ += bytes;
    std::string out;
    std::size_t from = 0;
    for (std::size_t at; (at = pending_.find('\n', from)) != std::string::npos; from = at + 1) {
      const std::string_view line = std::string_view(pending_).substr(from, at - from);
      if (!line.empty()) out += json_ ? std::string(line) + "\n" : render(line);
    }
    pending_.erase(0, from);
    return out.empty() || write_out(out);
  }

 private:
  std::string render(std::string_view line) const {
    boost::system::error_code failed;
    const json::value value = json::parse(json::string_view(line.data(), line.size()), failed);
    if (failed) return {};
    const std::string stream = text_of(value, "stream");
    std::string id = text_of(value, "request_id").substr(0, 8);
    if (id.empty()) id = "-";
    const Colour colour = stream == "platform" ? Colour::yellow
                          : stream == "stderr" ? Colour::red
                                               : Colour::plain;
    return paint(fmt::format("{} {:<8} ", local_time(number_of(value, "time_us")), id), Colour::dim,
                 colour_) +
           paint(printable(text_of(value, "text")), colour, colour_) + "\n";
  }

  const bool json_;
  const bool colour_;
  std::string pending_;
};

std::string outcome_text(const json::value& record, bool colour) {
  const std::string outcome = text_of(record, "outcome");
  return paint(outcome, outcome == "ok" ? Colour::green : Colour::red, colour);
}

std::string start_text(const json::value& record) {
  if (!flag_of(record, "cold")) return "warm";
  const std::string start = text_of(record, "start");
  return start == "boot" || start == "clone" ? start : "cold";
}

}  // namespace

int logs(Context& context, const LogsOptions& options) {
  std::string target = "/v1/functions/" + percent_encode(options.name) + "/logs";
  std::string query;
  const auto add = [&query](const std::string& pair) {
    query += (query.empty() ? "?" : "&") + pair;
  };
  if (!options.since.empty()) {
    const std::int64_t since = parse_since(options.since, now_us());
    if (since == 0)
      return usage_error(
          "--since wants a time such as 10m, 2h, 1d or 2026-11-21T08:30:00Z, not \"" +
          options.since + "\"");
    add(fmt::format("since_us={}", since));
  }
  if (options.limit >= 0) add(fmt::format("limit={}", options.limit));
  if (!options.request_id.empty()) add("request_id=" + percent_encode(options.request_id));
  if (options.follow) add("follow=1");

  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  LogPrinter printer(context);
  auto response = (*client)->stream(
      target + query, [&printer](std::string_view chunk) { return printer.feed(chunk); });
  if (response.has_error()) return fail(response.error());
  return response->status < 300 ? kOk : fail(context, *response);
}

int invocations(Context& context, const InvocationsOptions& options) {
  std::string target = fmt::format("/v1/invocations?limit={}", options.limit);
  if (!options.name.empty()) target += "&function=" + percent_encode(options.name);
  if (!options.request_id.empty()) target += "&request_id=" + percent_encode(options.request_id);
  if (options.errors) target += "&errors=1";
  int code = kOk;
  const auto answer = fetch_json(context, "GET", target, code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);

  const bool colour = context.colour();
  Table table({{"TIME"},
               {"FUNCTION"},
               {"REQUEST ID"},
               {"OUTCOME"},
               {"START"},
               {"QUEUE", Align::right},
               {"COLD", Align::right},
               {"INIT", Align::right},
               {"RUN", Align::right},
               {"CPU", Align::right},
               {"MEMORY", Align::right},
               {"PRICE", Align::right},
               {"ERROR"}});
  for (const auto& record : list_of(*answer, "invocations")) {
    const bool cold = flag_of(record, "cold");
    const auto phase = [&](const char* key) {
      return cold ? human_us(positive(record, key)) : std::string("-");
    };
    std::string error = printable(text_of(record, "error"));
    const std::string party = text_of(record, "party");
    if (!error.empty() && party != "none") error = party + ": " + error;
    table.row({local_time(number_of(record, "arrived_us")), printable(text_of(record, "function")),
               text_of(record, "request_id"), outcome_text(record, colour), start_text(record),
               human_us(positive(record, "queue_us")), phase("start_us"), phase("init_us"),
               human_us(positive(record, "run_us")), human_us(positive(record, "cpu_us")),
               human_bytes(positive(record, "memory_peak_bytes")),
               human_money(decimal_of(record, "price"), text_of(record, "currency")), error});
  }
  write_out(table.empty() ? "No invocations yet.\n" : table.render(colour));
  return kOk;
}

int stats(Context& context, const std::string& name) {
  int code = kOk;
  const auto answer =
      fetch_json(context, "GET",
                 name.empty() ? "/v1/stats" : "/v1/stats?function=" + percent_encode(name), code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  const bool colour = context.colour();
  const std::string currency = text_of(*answer, "currency");
  Table table({{"FUNCTION"},
               {"CALLS", Align::right},
               {"ERRORS", Align::right},
               {"REFUSED", Align::right},
               {"COLD", Align::right},
               {"CLONES", Align::right},
               {"P50", Align::right},
               {"P90", Align::right},
               {"P99", Align::right},
               {"CPU", Align::right},
               {"PEAK", Align::right},
               {"INSTANCES", Align::right},
               {"RUNNING", Align::right},
               {"WAITING", Align::right},
               {"PRICE", Align::right}});
  for (const auto& function : list_of(*answer, "functions")) {
    const std::uint64_t errors = positive(function, "errors");
    table.row(
        {printable(text_of(function, "function")), human_count(positive(function, "invocations")),
         paint(human_count(errors), errors > 0 ? Colour::red : Colour::plain, colour),
         human_count(positive(function, "refused")), human_count(positive(function, "cold_starts")),
         human_count(positive(function, "clones")), human_us(positive(function, "p50_us")),
         human_us(positive(function, "p90_us")), human_us(positive(function, "p99_us")),
         human_us(positive(function, "cpu_us")),
         human_bytes(positive(function, "memory_peak_bytes")),
         std::to_string(positive(function, "instances")),
         std::to_string(positive(function, "running")),
         std::to_string(positive(function, "waiting")),
         human_money(decimal_of(function, "price"), currency)});
  }
  write_out(table.empty() ? "No functions yet.\n" : table.render(colour));
  return kOk;
}

namespace {

struct BillSum {
  std::uint64_t invocations = 0, bytes_out = 0;
  double gb_seconds = 0, price = 0;
};

}  // namespace

int bill(Context& context, const BillOptions& options) {
  std::string query;
  const auto add = [&query](const char* name, const std::string& value) {
    if (!value.empty())
      query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name, percent_encode(value));
  };
  add("function", options.name);
  add("from", options.from);
  add("to", options.to);
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/bill" + query, code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);

  const std::string currency = text_of(*answer, "currency");
  std::map<std::pair<std::string, std::string>, BillSum> sums;
  BillSum total;
  for (const auto& line : list_of(*answer, "lines")) {
    for (BillSum* sum :
         {&sums[{text_of(line, "function"), options.days ? text_of(line, "day") : std::string()}],
          &total}) {
      sum->invocations += positive(line, "invocations");
      sum->bytes_out += positive(line, "bytes_out");
      sum->gb_seconds += decimal_of(line, "gb_seconds");
      sum->price += decimal_of(line, "price");
    }
  }
  Table table({{"FUNCTION"},
               {options.days ? "DAY" : ""},
               {"INVOCATIONS", Align::right},
               {"GB-SECONDS", Align::right},
               {"OUT", Align::right},
               {"PRICE", Align::right}});
  const auto row = [&](const std::string& name, const std::string& day, const BillSum& sum) {
    table.row({printable(name), day, human_count(sum.invocations),
               fmt::format("{:.4f}", sum.gb_seconds), human_bytes(sum.bytes_out),
               human_money(sum.price, currency)});
  };
  for (const auto& [key, sum] : sums) row(key.first, key.second, sum);
  row("total", "", total);
  write_out(fmt::format("{} to {} (UTC); idle time costs nothing\n", text_of(*answer, "from"),
                        text_of(*answer, "to")) +
            table.render(context.colour()));
  return kOk;
}

}  // namespace mayfly::cli
