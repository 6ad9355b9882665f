#pragma once
// Projects as people have them: templates of AWS SAM and CloudFormation, and serverless.yml of the
// Serverless Framework, read into the Manifest that a mayfly.yaml becomes, with a report of what of
// them was used and what was not. Nothing is left out without a line in the report.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/app.h"

namespace mayfly::functions::projects {

enum class ProjectKind : std::uint8_t { none, sam, serverless };
// What a file is, by its name and the keys at its top. A template.yaml that is none of
// CloudFormation's is none.
ProjectKind kind_of(std::string_view file_name, std::string_view text);

// What a project may refer to that is not in its files.
struct Surroundings {
  std::string file = "template.yaml";  // name of the project's file, for messages
  std::string stack;                   // of SAM: the name of the application
  std::string stage, region;           // options of the command line; empty: as the project says
  std::string home_region = "us-east-1", account = "000000000000";  // the server's
  std::string gateway, api;                                         // "http://127.0.0.1:8080"
  std::map<std::string, std::string> parameters;                    // --parameter NAME=VALUE
  std::function<std::optional<std::string>(const std::string& name)> environment;
  // The address of the URL that a function (or its alias, else "") has or will have.
  std::function<std::string(const std::string& function, const std::string& alias)> function_url;
  // A file of the project, by its path relative to the project's folder; it must not leave it.
  std::function<Result<std::string>(const std::string& path)> read_file;
};

struct Finding {
  enum class Kind : std::uint8_t {
    made,      // became something: a function, a route, a queue
    used,      // a setting of it
    not_used,  // and why
  };
  Kind kind = Kind::used;
  std::string file, path;
  int line = 0;
  std::string what;  // "route GET /hello to shop-dev-hello", "Mayfly has no VPCs"
};

struct Output {
  std::string name, value, description;
};

struct Project {
  Manifest manifest;
  std::vector<Finding> findings;  // in the order of the file
  std::vector<Output> outputs;
};

// Both are pure but for what the surroundings read. Errors name file, line and path, and say what
// would be right.
Result<Project> read_sam_template(std::string_view text, const Surroundings& around);
Result<Project> read_serverless_yml(std::string_view text, const Surroundings& around);

}  // namespace mayfly::functions::projects
