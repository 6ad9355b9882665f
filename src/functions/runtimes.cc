#include "functions/runtimes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "functions/checks.h"
#include "functions/run_program.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

// Languages that Mayfly knows by name and does not run yet, so that the answer can say so.
constexpr std::string_view kNotYet[] = {"ruby", "php", "perl", "java", "dotnet"};

// The program sees nothing of this server's environment.
const std::vector<std::string> kCleanEnv = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                                            "HOME=/nonexistent"};

std::string first_lines(std::vector<std::string> argv) {
  ProgramRun run;
  run.argv = std::move(argv);
  run.env = kCleanEnv;
  const auto result = run_program(run);
  return result.has_value() && result->succeeded() ? result->output : "";
}

std::string real_path(const std::string& path) {
  std::error_code error;
  const auto real = fs::canonical(path, error);
  return error ? path : real.string();
}

bool under_usr(const std::string& path) {
  return path.rfind("/usr/", 0) == 0;
}

void add_prefix(Runtime& runtime, const std::string& directory) {
  if (directory.empty() || directory == "/" || under_usr(directory + "/")) return;
  for (const auto& known : runtime.prefixes)
    if (directory == known || directory.rfind(known + "/", 0) == 0) return;
  runtime.prefixes.push_back(directory);
}

// A program outside of /usr is not in the sandbox by itself. The interpreter knows best where it
// lives: the path may be a wrapper script, or a virtual environment.
void locate(Runtime& runtime) {
  if (under_usr(real_path(runtime.program))) return;
  std::istringstream lines(
      runtime.language == "python"
          ? first_lines({runtime.program, "-c",
                         "import sys; print(sys.executable); print(sys.prefix); "
                         "print(sys.base_prefix)"})
          : first_lines({runtime.program, "-p", "process.execPath"}));
  std::string executable, line;
  if (!std::getline(lines, executable) || executable.empty() || executable[0] != '/') return;
  runtime.program = executable;
  while (std::getline(lines, line))
    if (!line.empty() && line[0] == '/') add_prefix(runtime, line);
  // PREFIX/bin/program: the prefix has the libraries.
  add_prefix(runtime, fs::path(real_path(executable)).parent_path().parent_path().string());
}

// Fills language, version, program and prefixes from what the program says of itself.
bool inspect(Runtime& runtime) {
  if (access(runtime.program.c_str(), X_OK) != 0) return false;
  const std::string said = first_lines({runtime.program, "--version"});
  std::smatch match;
  if (std::regex_search(said, match, std::regex(R"(^Python (3\.\d+[^\s]*))"))) {
    runtime.language = "python";
    runtime.install_hint = "apt-get install python3";
  } else if (std::regex_search(said, match, std::regex(R"(^v(\d+\.\d+[^\s]*))"))) {
    runtime.language = "node";
    runtime.install_hint = "apt-get install nodejs";
  } else {
    return false;
  }
  runtime.version = match[1];
  locate(runtime);
  runtime.installed = true;
  return true;
}

std::string major_of(const std::string& version) {
  return version.substr(0, version.find('.'));
}
std::string minor_of(const std::string& version) {
  return version.substr(0, version.find('.', version.find('.') + 1));
}

std::string default_name(const Runtime& runtime) {
  return runtime.language == "python" ? "python" + minor_of(runtime.version)
                                      : "node" + major_of(runtime.version);
}

std::vector<int> version_key(const std::string& version) {
  std::vector<int> key;
  std::istringstream parts(version);
  std::string part;
  while (std::getline(parts, part, '.')) key.push_back(std::atoi(part.c_str()));
  return key;
}

std::vector<std::string> own_aliases(const Runtime& runtime) {
  if (runtime.language == "python") return {"python" + minor_of(runtime.version)};
  const std::string major = major_of(runtime.version);
  return {"node" + major, "nodejs" + major, "nodejs" + major + ".x", "node" + major + ".x"};
}

Runtime native(std::string name, std::vector<std::string> aliases) {
  Runtime runtime;
  runtime.name = std::move(name);
  runtime.language = "native";
  runtime.aliases = std::move(aliases);
  runtime.installed = true;
  return runtime;
}

std::vector<std::string> python_candidates() {
  std::vector<std::string> paths = {"/usr/bin/python3", "/usr/local/bin/python3"};
  static const std::regex kName(R"(python3\.\d+)");
  for (const char* directory : {"/usr/bin", "/usr/local/bin"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error))
      if (std::regex_match(entry.path().filename().string(), kName))
        paths.push_back(entry.path().string());
  }
  std::sort(paths.begin() + 2, paths.end());
  return paths;
}

std::vector<std::string> node_candidates() {
  std::vector<std::string> paths = {"/usr/bin/node", "/usr/bin/nodejs"};
  const char* path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "" : path);
  std::string directory;
  while (std::getline(directories, directory, ':'))
    if (!directory.empty() && directory[0] == '/') paths.push_back(directory + "/node");
  return paths;
}

void discover_language(const std::vector<std::string>& candidates, bool first_only,
                       std::vector<Runtime>& found) {
  std::set<std::string> seen;
  for (const auto& program : candidates) {
    std::error_code error;
    if (!fs::exists(program, error) || !seen.insert(real_path(program)).second) continue;
    Runtime runtime;
    runtime.program = program;
    if (!inspect(runtime)) continue;
    runtime.name = default_name(runtime);
    const bool known = std::any_of(found.begin(), found.end(), [&](const Runtime& other) {
      return other.name == runtime.name ||
             (other.language == runtime.language && other.version == runtime.version);
    });
    if (!known) found.push_back(std::move(runtime));
    if (first_only) return;
  }
}

bool has_language(const std::vector<Runtime>& runtimes, std::string_view language) {
  return std::any_of(runtimes.begin(), runtimes.end(), [&](const Runtime& runtime) {
    return runtime.language == language && runtime.installed;
  });
}

// Gives every runtime the aliases of its own version, and the newest of a language the plain names.
void give_aliases(std::vector<Runtime>& runtimes) {
  for (auto& runtime : runtimes)
    if (runtime.installed && runtime.language != "native")
      for (auto& alias : own_aliases(runtime))
        if (alias != runtime.name) runtime.aliases.push_back(std::move(alias));
  const std::map<std::string, std::vector<std::string>> plain = {
      {"python", {"python", "python3", "py"}}, {"node", {"node", "nodejs", "js", "javascript"}}};
  for (const auto& [language, names] : plain) {
    Runtime* newest = nullptr;
    for (auto& runtime : runtimes)
      if (runtime.installed && runtime.language == language &&
          (newest == nullptr || version_key(runtime.version) > version_key(newest->version)))
        newest = &runtime;
    if (newest == nullptr) continue;
    for (const auto& name : names) {
      const bool taken = std::any_of(runtimes.begin(), runtimes.end(),
                                     [&](const Runtime& other) { return other.name == name; });
      if (!taken) newest->aliases.push_back(name);
    }
  }
}

std::string language_of_name(std::string_view name) {
  if (name.rfind("python", 0) == 0 || name == "py") return "python";
  if (name.rfind("node", 0) == 0 || name == "js" || name == "javascript") return "node";
  return "";
}

}  // namespace

RuntimeTable RuntimeTable::discover(const std::vector<RuntimeSetting>& overrides) {
  RuntimeTable table;
  auto& found = table.runtimes_;
  for (const auto& setting : overrides) {
    Runtime runtime;
    runtime.program = setting.program;
    if (!inspect(runtime)) {
      runtime.language = language_of_name(setting.name);
      runtime.install_hint = "correct the setting runtimes." + setting.name + ": " +
                             setting.program + " does not answer --version as Python 3 or Node do";
    }
    runtime.name = setting.name;
    found.push_back(std::move(runtime));
  }
  discover_language(python_candidates(), false, found);
  discover_language(node_candidates(), true, found);
  give_aliases(found);
  // What could be here and is not is listed too, with what brings it.
  for (const auto& [language, name, hint] :
       {std::tuple{"python", "python3", "apt-get install python3"},
        std::tuple{"node", "node", "apt-get install nodejs"}}) {
    if (has_language(found, language)) continue;
    Runtime runtime;
    runtime.name = name;
    runtime.language = language;
    runtime.install_hint = hint;
    found.push_back(std::move(runtime));
  }
  found.push_back(native("native", {"executable", "binary"}));
  found.push_back(native("provided", {"provided.al2", "provided.al2023", "custom"}));
  found.push_back(native("http", {}));
  found.push_back(native("exec", {"stdio"}));
  return table;
}

Result<Runtime> RuntimeTable::find(std::string_view name) const {
  for (const auto& runtime : runtimes_) {
    const bool named =
        runtime.name == name ||
        std::find(runtime.aliases.begin(), runtime.aliases.end(), name) != runtime.aliases.end();
    if (!named) continue;
    if (runtime.installed) return runtime;
    return Error{Code::unsupported, fmt::format("The runtime {} is not installed on this machine: "
                                                "{}.",
                                                runtime.name, runtime.install_hint)};
  }
  std::vector<std::string> installed, native_names;
  std::vector<std::string_view> known;
  const std::string language = language_of_name(name);
  std::string same_language, hint;
  for (const auto& runtime : runtimes_) {
    known.push_back(runtime.name);
    for (const auto& alias : runtime.aliases) known.push_back(alias);
    if (runtime.installed) installed.push_back(runtime.name);
    if (!language.empty() && runtime.language == language) {
      if (runtime.installed) same_language += (same_language.empty() ? "" : ", ") + runtime.name;
      hint = runtime.install_hint;
    }
  }
  const std::string list = fmt::format("{}", fmt::join(installed, ", "));
  for (const auto other : kNotYet)
    if (name.rfind(other, 0) == 0)
      return Error{Code::unsupported,
                   fmt::format("The runtime {} is not supported yet. Runtimes on this machine: {}.",
                               name.substr(0, 64), list)};
  static const std::regex kVersioned(R"((python|node|nodejs)\d+(\.\d+|\.x)*)");
  if (!language.empty() && std::regex_match(name.begin(), name.end(), kVersioned)) {
    if (same_language.empty())
      return Error{Code::unsupported, fmt::format("The runtime {} is not installed on this "
                                                  "machine: {}.",
                                                  name, hint)};
    return Error{Code::unsupported,
                 fmt::format("The runtime {} is not installed on this machine, but {} is: deploy "
                             "with --runtime {}, or install it and name its program in the "
                             "setting runtimes.{}.",
                             name, same_language, language, name)};
  }
  return Error{Code::invalid_argument,
               fmt::format("'{}' is not a known runtime.{} Runtimes on this machine: {}.",
                           name.substr(0, 64), did_you_mean(name, known), list)};
}

}  // namespace mayfly::functions
