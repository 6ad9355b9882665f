#pragma once
// The settings of a server: one table names every key with its default, unit, limits and meaning.
// The YAML reader, `mayfly serve --print-settings` and docs/reference/settings.md all come from it.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "buckets/types.h"
#include "dialects/lambda_api/settings.h"
#include "engine/dispatcher.h"
#include "functions/catalogue.h"
#include "functions/image_layer.h"
#include "functions/packages.h"
#include "functions/runtimes.h"
#include "gateway/gateway.h"
#include "io/http_server.h"
#include "queues/embedded.h"
#include "server/aws.h"
#include "server/calls.h"
#include "server/inside.h"
#include "server/publishing.h"
#include "telemetry/telemetry.h"

namespace mayfly::server {

struct Settings {
  std::string gateway_address = "127.0.0.1:8080";
  std::string api_address = "127.0.0.1:8081";
  std::string data_dir;  // empty: default_data_dir()
  std::string log_level = "info";
  std::uint32_t drain_timeout_ms = 30'000;
  std::uint32_t blocking_threads = 4;
  std::uint32_t poll_us = 20;
  std::uint32_t loops = 0;  // 0: one for each core, at most kLoopsMax
  std::uint32_t loops_busy_percent = 60;
  std::string runtimes_dir;  // empty: found beside the program
  std::string spawner;       // empty: mayfly-spawner beside the program
  bool network_nat = true;
  io::HttpServerOptions http;
  functions::Defaults functions;
  functions::PackageLimits packages;
  functions::ImageLimits images;
  engine::EngineSettings engine;
  telemetry::Limits telemetry;
  telemetry::PriceTable prices;
  queues::EmbeddedSettings queues;
  CallsSettings calls;
  AwsSettings aws;
  InsideSettings inside;
  dialects::lambda_api::LambdaSettings lambda;
  buckets::Limits buckets;
  std::uint32_t buckets_threads = 4;
  gateway::SocketSettings websockets;
  PublishingSettings publishing;
  std::vector<functions::RuntimeSetting> runtimes;
};

// One key of the table. A value goes in and out as the text of a YAML scalar.
struct SettingSpec {
  std::string key;     // "http.head_bytes_max"
  std::string unit;    // "bytes", "ms", "ADDR:PORT", ... for people
  std::string limits;  // "1 .. 65536", empty when any value will do
  std::string help;
  std::function<std::string(const Settings&)> get;
  std::function<Status(Settings&, const std::string&)> set;
};

// In the order of documentation. Does not hold the section runtimes, whose keys are names.
const std::vector<SettingSpec>& setting_table();

// Reads YAML over defaults. Errors name file, line and key; unknown keys offer the nearest known.
Result<Settings> parse_settings(std::string_view yaml, const std::string& file_name);
Result<Settings> load_settings(const std::string& path);

// The whole table as a YAML file with comments; what parse_settings reads back unchanged.
std::string print_settings(const Settings& settings);

// The table of docs/reference/settings.md (a test keeps the page equal to it).
std::string settings_markdown();

// $XDG_DATA_HOME/mayfly, else ~/.local/share/mayfly.
std::string default_data_dir();

}  // namespace mayfly::server
