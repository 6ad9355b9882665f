#include "engine/instance_protocol.h"

#include <string.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace mayfly::engine {
namespace {

constexpr std::size_t kSummaryMax = 512;  // a record's error is one line

std::string text_member(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string());
}

// "ValueError: bad input", on one line.
std::string summary_of(const std::string& error_json) {
  boost::system::error_code ec;
  const auto value = boost::json::parse(error_json, ec);
  std::string text;
  if (!ec && value.is_object()) {
    const auto& object = value.get_object();
    text = text_member(object, "errorType");
    const auto message = text_member(object, "errorMessage");
    if (!text.empty() && !message.empty()) text += ": ";
    text += message;
  }
  if (text.empty()) text = error_json.empty() ? "it gave no reason" : error_json;
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  if (text.size() > kSummaryMax) text.resize(kSummaryMax);
  return text;
}

}  // namespace

std::string exit_text(const sandbox::Exit& exit) {
  if (!exit.signalled) return "exit status " + std::to_string(exit.status);
  const char* name = ::sigdescr_np(exit.status);
  std::string text = name != nullptr ? name : "signal " + std::to_string(exit.status);
  if (text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] + ('a' - 'A'));
  return "signal: " + text;
}

void set_env(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  std::string entry;
  entry.reserve(name.size() + 1 + value.size());
  entry.append(name).append("=").append(value);
  for (auto& existing : env) {
    if (existing.size() > name.size() && existing[name.size()] == '=' &&
        std::string_view(existing).substr(0, name.size()) == name) {
      existing = std::move(entry);
      return;
    }
  }
  env.push_back(std::move(entry));
}

std::shared_ptr<Failure> crash_failure(telemetry::Phase phase, std::string message) {
  auto failure = std::make_shared<Failure>();
  failure->outcome = telemetry::Outcome::crash;
  failure->party = telemetry::Party::function;
  failure->phase = phase;
  failure->code = Code::function_error;
  failure->message = std::move(message);
  return failure;
}

std::shared_ptr<Failure> function_failure(telemetry::Phase phase, std::string error_json) {
  auto failure = crash_failure(phase, summary_of(error_json));
  failure->outcome = phase == telemetry::Phase::init ? telemetry::Outcome::init_failed
                                                     : telemetry::Outcome::function_error;
  failure->error_json = std::move(error_json);
  failure->quotes_function = true;
  return failure;
}

}  // namespace mayfly::engine
