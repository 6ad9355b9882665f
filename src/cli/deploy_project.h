#pragma once
// Internal: deploys of projects that were written for other tools (functions/projects), and what is
// said about them.

#include <boost/json/object.hpp>
#include <string>

#include "cli/commands.h"
#include "functions/projects/project.h"

namespace mayfly::cli {

// The project file of a folder: a mayfly.yaml, else one of SAM or Serverless; "" when there is
// none. Two that could both be meant are an error.
Result<std::string> project_file_in(const std::string& folder);

// Reads a SAM template or serverless.yml with what the server and the options say of its
// surroundings, and settles its runtimes with what the server has.
Result<functions::projects::Project> read_project(Context& context, const std::string& file,
                                                  const std::string& text,
                                                  functions::projects::ProjectKind kind,
                                                  const DeployOptions& options, int& exit_code);

// What was used and what was not: into summary, and for people to standard output.
void report_project(const functions::projects::Project& project, boost::json::object& summary,
                    const Context& context);

// Tags, limits and the alias of a function that is deployed.
int deploy_belongings(Context& context, const functions::Manifest::Function& function);

}  // namespace mayfly::cli
