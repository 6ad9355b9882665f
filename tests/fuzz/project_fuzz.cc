// link: mayfly_functions
// SAM templates and serverless.yml: foreign YAML, with variables and intrinsic functions that are
// resolved. Must answer, never throw, crash or grow without bound.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "functions/projects/project.h"

namespace projects = mayfly::functions::projects;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  projects::Surroundings around;
  around.stack = "app";
  around.gateway = "http://gate";
  around.api = "http://api";
  around.environment = [](const std::string& name) {
    return name.empty() ? std::nullopt : std::optional<std::string>(name);
  };
  around.read_file = [text](const std::string&) -> mayfly::Result<std::string> {
    return std::string(text);
  };
  // The document as it is, and as the one variable or function of a small one.
  const std::string head = "service: s\nprovider: {name: aws, runtime: node}\ncustom:\n  v: ";
  const std::string top =
      "Transform: AWS::Serverless-2016-10-31\nResources: {}\nOutputs: {O: {Value: ";
  for (const auto& project :
       {projects::read_sam_template(text, around), projects::read_serverless_yml(text, around),
        projects::read_serverless_yml(head + std::string(text), around),
        projects::read_sam_template(top + std::string(text) + "}}", around)})
    if (project.has_error() && project.error().message.empty()) std::abort();
  return 0;
}
