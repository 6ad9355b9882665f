#pragma once
// Internal: the commands. Each returns the exit code.

#include <map>
#include <string>
#include <vector>

#include "cli/context.h"
#include "functions/types.h"

namespace CLI {
class App;
}

namespace mayfly::cli {

// A subcommand that takes the global options behind its own words too.
CLI::App* sub(CLI::App& app, const std::string& name, const std::string& what);

struct DeployOptions {
  std::string path;
  std::string manifest;  // -f FILE
  std::string name;
  // Of projects of SAM and Serverless.
  std::string stage, region;
  std::map<std::string, std::string> parameters;
  functions::Settings settings;
  bool check = true;
};
int deploy(Context& context, const DeployOptions& options);

struct InvokeOptions {
  std::string name, qualifier;
  std::string data = "{}";  // JSON, @file or -
  bool log = false, raw = false;
  bool async = false;  // prints the id of the call
  std::string idempotency_key, call_id, callback_url;
};
int invoke(Context& context, const InvokeOptions& options);

int list_functions(Context& context);
int describe(Context& context, const std::string& name);  // "": the server
int list_versions(Context& context, const std::string& name);
int publish(Context& context, const std::string& name);
int remove(Context& context, const std::vector<std::string>& names, bool apps);
int list_apps(Context& context);
int list_runtimes(Context& context);
int show_info(Context& context);
int show_version(Context& context);
int show_url(Context& context, const std::string& name);

struct LogsOptions {
  std::string name, since, request_id;
  int limit = -1;
  bool follow = false;
};
int logs(Context& context, const LogsOptions& options);

struct InvocationsOptions {
  std::string name, request_id;
  int limit = 20;
  bool errors = false;
};
int invocations(Context& context, const InvocationsOptions& options);
int stats(Context& context, const std::string& name);
int top(Context& context);

struct BillOptions {
  std::string name, from, to;
  bool days = false;  // a line for each day
};
int bill(Context& context, const BillOptions& options);

// Deletes each at path + name, and says so.
int remove_named(Context& context, const std::string& path, const std::vector<std::string>& names);

// layers.cc: `mayfly layer ls, rm`.
void add_layer(CLI::App& command, Context& context, int& code);
// keys.cc: `mayfly keys create, ls, rm`.
void add_keys(CLI::App& command, Context& context, int& code);

// images.cc: `mayfly image import, ls, rm`.
void add_image(CLI::App& command, Context& context, int& code);

// Gives the command its options and its work.
void add_calls(CLI::App& command, Context& context, int& code);
void add_schedule(CLI::App& command, Context& context, int& code);
void add_topic(CLI::App& command, Context& context, int& code);
void add_event(CLI::App& command, Context& context, int& code);
void add_rule(CLI::App& command, Context& context, int& code);
void add_trigger(CLI::App& command, Context& context, int& code);
void add_state(CLI::App& command, Context& context, int& code);
void add_simulate(CLI::App& command, Context& context, int& code);
// buckets.cc: `mayfly bucket`.
void add_bucket(CLI::App& group, Context& context, int& code);
void add_queue(CLI::App& group, Context& context, int& code);

}  // namespace mayfly::cli
