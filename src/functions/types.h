#pragma once
// What a function is: settings, versions, runtimes. Plain values; they copy and compare.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::functions {

// How the engine and the user's code talk. Detected at deploy (the instance says so in its ready
// frame, or the probe of an executable finds out).
enum class Model {
  unknown,      // not started yet: deployed with --no-check
  event,        // handler(event, context): gets JSON, returns JSON (Lambda form)
  http,         // an app that gets HTTP requests over frames: WSGI, ASGI, (req, res), fetch
  runtime_api,  // executable that polls the Lambda Runtime API: gets JSON, returns JSON
  http_port,    // executable that serves HTTP on $PORT
  stdio,        // executable that reads stdin and writes stdout, one process for each call
};
std::string_view model_name(Model model);
std::optional<Model> model_from_name(std::string_view name);
// It gets HTTP requests; the others get events.
constexpr bool takes_http(Model model) {
  return model == Model::http || model == Model::http_port || model == Model::stdio;
}
// 64 for what serves HTTP, else 1.
std::uint32_t default_concurrency(Model model);

enum class NetworkMode { nat, none };

// What happens to calls that nobody waits for (docs/reference/async.md). Targets are texts as in
// triggers/targets.h: "queue:NAME", "function:NAME", "topic:NAME", "https://...", an ARN.
struct AsyncSettings {
  std::int32_t retries = -1;           // after the first attempt; -1: setting calls.retries (2)
  std::int64_t max_age_s = -1;         // then a call is given up; -1: setting calls.max_age_s (6 h)
  std::string on_success, on_failure;  // target of a record about the call; may be empty
  std::string dead_letter;             // target of the payload of calls that failed; may be empty

  bool operator==(const AsyncSettings&) const = default;
};

// How the log of a function is written, in the words of AWS; empty: the default.
struct LogSettings {
  std::string format;        // "Text" or "JSON"
  std::string level;         // least level of lines in JSON: "TRACE" ... "FATAL"; default INFO
  std::string system_level;  // of platform records in JSON: "DEBUG", "INFO" or "WARN"; default INFO

  bool operator==(const LogSettings&) const = default;
};

// What of an image starts, and where.
struct ImageProgram {
  std::vector<std::string> entrypoint, command;  // together the program and its arguments
  std::string workdir;                           // empty: /

  bool operator==(const ImageProgram&) const = default;
};

// Of a function whose code is an image: what it was made from, as it was then.
struct ImageSettings {
  std::string uri;                         // as it was asked for; empty: the code is a package
  std::string digest;                      // "sha256:..." of what uri named
  ImageProgram own;                        // as the image says
  ImageProgram over;                       // as the function says; what is empty is the image's
  std::map<std::string, std::string> env;  // the image's; Settings::env goes over it

  bool operator==(const ImageSettings&) const = default;
};

// Settings as the user gave them; an unset value is a default from Defaults (limits.h).
struct Settings {
  std::string runtime;  // "python3.11", "node", "native", "provided", "http", "exec"; empty: detect
  std::string handler;  // "module.attribute", a path for executables; empty: detect
  std::string description;
  std::uint32_t memory_mb = 0;    // 0: default 128
  std::uint32_t timeout_ms = 0;   // 0: default 30 s (setting functions.timeout_ms)
  std::uint32_t concurrency = 0;  // 0: by model: 1 for event, runtime_api and stdio, else 64
  std::uint32_t instances_min = 0;
  std::uint32_t instances_max = 0;  // 0: what the machine can take
  std::int64_t keep_alive_ms = -1;  // -1: learnt, or setting functions.keep_alive_ms
  NetworkMode network = NetworkMode::nat;
  bool snapshot = true;  // false: its instances are never cloned from a template
  std::map<std::string, std::string> env;
  AsyncSettings async;
  // Packages that are unpacked, one over the other, at /opt of its instances; in this order, by
  // their SHA-256. Later ones hide files of earlier ones.
  std::vector<std::string> layers;
  LogSettings logs;
  bool direct = true;  // false: the gateway has no /function/NAME for it; only its routes, its
                       // function URL and its triggers call it, and the API
  ImageSettings image;
  bool services = true;  // false: its instances cannot reach the platform's own services
  std::string policy;    // what they may do there (policy.h), as JSON; empty: the default
  bool install = true;   // false: the package holds all it needs, npm and pip are not run
  // What a dialect keeps for its clients, under a name of its own ("aws.lambda"); no other part
  // looks at it.
  std::map<std::string, std::string> other;

  bool operator==(const Settings&) const = default;
};

// By the settings, or by the variable that the runtimes read.
bool logs_json(const Settings& settings);

// An immutable snapshot of code and settings. Shared as shared_ptr<const Version>.
struct Version {
  std::string function;      // [a-zA-Z0-9_-]{1,64}
  std::uint64_t number = 0;  // 0: $LATEST, else a published version
  std::string revision;      // changes with every deploy; pools are keyed by it
  std::string package;       // SHA-256 of the package, or of the image's tree, hex
  std::string code_dir;      // host path of the unpacked package or image; read-only
  std::string layers_dir;    // host path of the merged layers, mounted at /opt; empty: none
  std::uint64_t code_bytes = 0;
  Settings settings;  // as detected; nothing is 0 or -1 that stands for a default,
                      // but concurrency, instances_max and keep_alive_ms
  // The file to start, relative to code_dir, or below /opt; of an image absolute in it. Native:
  // always set (settings.handler is the same, save that for "provided" it may be any text, handed
  // on as _HANDLER). Else: set when the package is one file.
  std::string entry;
  // Of the package and the settings as they were asked for: equal digests mean nothing changed.
  std::string digest;
  Model model = Model::unknown;
  std::uint32_t concurrency = 1;  // settled: settings.concurrency or the model's default; commit()
                                  // settles a 0
  // Why its instances cannot be cloned, as the check at deploy found; empty: they can, or nobody
  // has tried yet.
  std::string uncloneable;
  std::int64_t created_us = 0;     // Unix epoch, microseconds
  std::vector<std::string> notes;  // what was detected, what to know

  bool is_image() const { return !settings.image.uri.empty(); }
  std::string qualified_name() const;  // "hello" or "hello:3"
};
using VersionPtr = std::shared_ptr<const Version>;

// A language runtime or way to run executables, from the settings file or found on the machine.
struct Runtime {
  std::string name;                   // "python3.11", "node18", "provided" ...
  std::string language;               // "python", "ruby", ... (languages.h), "native"
  std::string version;                // "3.11.2" (empty for native)
  std::string program;                // host path: /usr/bin/python3 (empty for native)
  std::vector<std::string> prefixes;  // host directories it needs besides /usr, bound read-only
  std::vector<std::string> aliases;   // "python", "python3", "nodejs20.x" ...
  bool installed = false;
  bool cloneable = false;    // its process can be cloned once it has run the user's initialisation
  std::string install_hint;  // "apt-get install python3"
};

}  // namespace mayfly::functions
