#pragma once
// An application: what a mayfly.yaml describes; named functions and the routes that lead to them.
// Plain values. Kept by the Catalogue, served by the gateway.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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
  bool operator==(const Route&) const = default;
};

struct App {
  std::string name;  // [a-zA-Z0-9_-]{1,64}
  std::vector<Route> routes;
  Cors cors;
  bool operator==(const App&) const = default;
};

// mayfly.yaml as written: paths are relative to its folder. Read by the CLI.
struct Manifest {
  struct Function {
    std::string name;
    std::string path;  // file, folder or archive
    Settings settings;
  };
  struct StaticSite {
    std::string path;  // route, "/site/{proxy+}" or "/site"
    std::string folder;
    std::string index = "index.html";
    std::string fallback;
  };
  std::string name;  // default: the folder's name
  std::vector<Function> functions;
  std::vector<Route> routes;  // only those to functions
  std::vector<StaticSite> sites;
  Cors cors;
};

// Reads a mayfly.yaml. Errors name the line and the key; unknown keys are errors that offer the
// nearest known one. Pure; fuzzed. docs/reference/mayfly-yaml.md is its reference.
Result<Manifest> parse_manifest(std::string_view yaml, std::string_view folder_name);

// JSON forms, shared by the store, the API and the CLI. from_* refuse unknown keys and bad types
// with invalid_argument naming the key.
std::string app_to_json(const App& app);
Result<App> app_from_json(std::string_view json);
std::string settings_to_json(const Settings& settings);
Result<Settings> settings_from_json(std::string_view json);
std::string version_to_json(const Version& version);  // for people and clients: no host paths

}  // namespace mayfly::functions
