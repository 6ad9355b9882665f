#pragma once
// An application: what a mayfly.yaml describes; named functions and the routes that lead to them.
// Plain values. Kept by the Catalogue, served by the gateway.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/api.h"
#include "functions/types.h"

namespace mayfly::functions {

struct Cors {
  std::vector<std::string> allow_origins;  // "*" or exact origins; empty: CORS off
  std::vector<std::string> allow_methods;  // empty: the methods of the matching routes
  std::vector<std::string> allow_headers;  // empty: what the preflight asks for
  std::vector<std::string> expose_headers;
  bool allow_credentials = false;
  std::uint32_t max_age_s = 600;
  bool operator==(const Cors&) const = default;
};

// Exactly one of function and static_package is set.
struct Route {
  std::string method;          // "GET" ... or "ANY"
  std::string path;            // "/pets/{id}", "/files/{proxy+}", "/" ; decoded form
  std::string function;        // name, or name:qualifier
  std::string static_package;  // SHA-256 of the packed folder
  std::string static_dir;      // host path of the unpacked folder (filled by the server)
  std::string static_index = "index.html";
  std::string
      static_fallback;  // file for paths that are not there (single-page apps); may be empty
  RouteRules rules;
  bool operator==(const Route&) const = default;
};

struct App {
  std::string name;  // [a-zA-Z0-9_-]{1,64}
  std::vector<Route> routes;
  Cors cors;
  Api api;
  // What its manifest named beside functions and routes: "queue:clicks", "topic:news",
  // "schedule:shop-report", "trigger:clicks>charge", "subscription:news>charge".
  std::vector<std::string> resources;
  bool operator==(const App&) const = default;
};

// mayfly.yaml as written: paths are relative to its folder. Read by the CLI.
struct Manifest {
  // What is not set is the server's default.
  struct Queue {
    std::string name;
    bool fifo = false;  // also by a name that ends with .fifo
    bool content_deduplication = false;
    bool deduplicate_by_group = false;
    std::optional<std::uint32_t> visibility_timeout_s, delay_s, retention_s, message_bytes_max,
        receive_wait_s;
    std::string dead_letter;         // name of a queue
    std::uint32_t max_receives = 0;  // then a message goes to dead_letter
    std::map<std::string, std::string> tags;
  };
  struct Topic {
    std::string name;
    bool fifo = false;
    bool content_deduplication = false;
  };
  // JSON texts are as EventBridge has them for filters (triggers/patterns.h).
  struct QueueTrigger {
    std::string queue;
    std::uint32_t batch = 10;
    std::uint32_t window_s = 0;
    std::uint32_t concurrency = 0;  // invocations at once; 0: no limit of its own
    std::uint32_t minimum_pollers = 0, maximum_pollers = 0;  // provisioned mode; 0: none
    std::vector<std::string> filters;                        // JSON
    std::uint32_t attempts = 0;  // then a message is given up; 0: as its queue says
    std::string on_failure;      // target
    bool partial = true;         // batchItemFailures in the answer count
    bool enabled = true;
    std::map<std::string, std::string> tags;
  };
  struct Subscription {
    std::string topic;
    std::string filter;                 // JSON; empty: everything
    std::string filter_scope = "body";  // or "attributes"
    std::string dead_letter;            // name of a queue
    std::string target;                 // empty: the function whose it is
    bool raw = false;                   // the message alone, without SNS's envelope
  };
  // Events of a bus that match a pattern go to one target.
  struct Rule {
    std::string name, bus;  // bus empty: the default one
    std::string pattern;    // JSON object
    std::string target;     // "function:NAME" ...
    std::string input;      // JSON in place of the event; empty: the event
    std::string input_path;
    std::string transform;  // JSON {"paths", "template"}
    std::string dead_letter, description;
    std::optional<std::uint32_t> retries, max_age_s;
    bool enabled = true;
  };
  struct Schedule {
    std::string name;
    std::string expression;  // "rate(1 minute)", "cron(...)", "at(...)"
    std::string target;      // "function:NAME", "queue:NAME" ...
    std::string timezone;
    std::string input;  // JSON; empty: the server's event
    std::string start, end, catch_up, dead_letter, description;
    std::optional<std::uint32_t> flexible_s, retries, max_age_s;
    bool enabled = true;
  };
  // Published when it differs from the newest version that the server has.
  struct Layer {
    std::string name;
    std::string path;                   // folder or archive: what functions find at /opt
    std::vector<std::string> patterns;  // as Function::patterns
    std::string description, license;
    std::vector<std::string> runtimes, architectures;
  };
  // An address of the function's own (docs/reference/api_gateway.md).
  struct Url {
    bool iam = false;     // requests are signed
    bool stream = false;  // answers go out as they come
    Cors cors;
  };
  struct Function {
    std::string name;
    std::string path;                      // file, folder or archive; or s3://BUCKET/KEY
    std::string inline_file, inline_code;  // in place of path: one file of that name
    // Of a folder: patterns in order, the last that fits decides; "!..." leaves out. Serverless's.
    std::vector<std::string> patterns;
    Settings settings;
    std::map<std::string, std::string> tags;
    std::optional<std::uint32_t> reserved_concurrency;
    std::string alias;  // leads to a version that the deploy publishes; empty: none is published
    std::vector<std::string> layers;  // in order: "NAME" (the newest version), "NAME:3", ARNs
    std::optional<Url> url;           // of the alias, where there is one
    std::vector<QueueTrigger> queues;
    std::vector<Subscription> topics;
  };
  // Of a bucket, for a function: "ObjectCreated:*" ...
  struct BucketEvent {
    std::string bucket, function, prefix, suffix;
    std::vector<std::string> events;
    bool make_bucket = false;
  };
  struct StaticSite {
    std::string path;  // route, "/site/{proxy+}" or "/site"
    std::string folder;
    std::string index = "index.html";
    std::string fallback;
  };
  std::string name;  // default: the folder's name
  std::vector<Function> functions;
  std::vector<Layer> layers;
  std::vector<Route> routes;  // only those to functions
  std::vector<StaticSite> sites;
  Cors cors;
  Api api;  // Authorizer::jwks is a path as long as it does not begin with {
  std::vector<Queue> queues;
  std::vector<Topic> topics;
  std::vector<std::string> buckets;
  std::vector<BucketEvent> bucket_events;
  std::vector<Subscription> subscriptions;  // those of no function
  std::vector<Rule> rules;
  std::vector<Schedule> schedules;  // those of functions' triggers among them
};

// Reads a mayfly.yaml. Errors name the line and the key; unknown keys are errors that offer the
// nearest known one. Pure; fuzzed. docs/reference/mayfly-yaml.md is its reference.
Result<Manifest> parse_manifest(std::string_view yaml, std::string_view folder_name);

// JSON forms, shared by the store, the API and the CLI. from_* refuse unknown keys and bad types
// with invalid_argument naming the key.
std::string app_to_json(const App& app);
Result<App> app_from_json(std::string_view json);
std::string cors_to_json(const Cors& cors);
Result<Cors> cors_from_json(std::string_view json);
std::string settings_to_json(const Settings& settings);
Result<Settings> settings_from_json(std::string_view json);
std::string version_to_json(const Version& version);  // for people and clients: no host paths

}  // namespace mayfly::functions
