#include "functions/runtimes.h"

#include <fmt/format.h>
#include <re2/re2.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "functions/checks.h"
#include "functions/languages.h"
#include "functions/run_program.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

// The program sees nothing of this server's environment.
const std::vector<std::string> kCleanEnv = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                                            "HOME=/nonexistent"};

std::string first_lines(std::vector<std::string> argv, milliseconds limit, bool* late = nullptr) {
  ProgramRun run;
  run.argv = std::move(argv);
  run.env = kCleanEnv;
  run.limit = limit;
  const auto result = run_program(run);
  if (late != nullptr) *late = result.has_value() && result->over_limit;
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
void locate(Runtime& runtime, milliseconds limit) {
  if (under_usr(real_path(runtime.program))) return;
  std::string executable = runtime.program, said;
  if (runtime.language == "python")
    said = first_lines({runtime.program, "-c",
                        "import sys; print(sys.executable); print(sys.prefix); "
                        "print(sys.base_prefix)"},
                       limit);
  if (runtime.language == "node")
    said = first_lines({runtime.program, "-p", "process.execPath"}, limit);
  std::istringstream lines(said);
  std::string line;
  if (std::getline(lines, line) && !line.empty() && line[0] == '/') runtime.program = line;
  while (std::getline(lines, line))
    if (!line.empty() && line[0] == '/') add_prefix(runtime, line);
  // PREFIX/bin/program: the prefix has the libraries.
  add_prefix(runtime, fs::path(real_path(runtime.program)).parent_path().parent_path().string());
}

// A virtual machine takes long to say its version; a file beside it says the same.
std::string java_release(const std::string& program, milliseconds limit, bool* late) {
  const auto home = fs::path(real_path(program)).parent_path().parent_path();
  std::ifstream file(home / "release");
  std::string line, version;
  while (std::getline(file, line))
    if (RE2::FullMatch(line, R"re(JAVA_VERSION="(.+)")re", &version)) return "openjdk " + version;
  return first_lines({program, "--version"}, limit, late);
}

std::string install_hint(const Language& language) {
  return fmt::format("apt-get install {}", language.package);
}

// Fills language, version, program and prefixes from what the program says of itself; of one that
// says nothing in time, the hint.
bool inspect(Runtime& runtime, milliseconds limit, const Language* expected = nullptr) {
  if (access(runtime.program.c_str(), X_OK) != 0) return false;
  const bool java = expected != nullptr && expected->name == "java";
  bool late = false;
  const std::string said = java ? java_release(runtime.program, limit, &late)
                                : first_lines({runtime.program, "--version"}, limit, &late);
  if (late)
    runtime.install_hint = fmt::format(
        "{} --version did not answer within {} ms when the server started; start it again when the "
        "machine is less busy",
        runtime.program, limit.count());
  for (const auto& language : languages()) {
    if (expected != nullptr && expected != &language) continue;
    if (!RE2::PartialMatch(said, RE2(language.said), &runtime.version)) continue;
    runtime.language = language.name;
    runtime.install_hint = install_hint(language);
    runtime.cloneable = language.cloneable;
    locate(runtime, limit);
    runtime.installed = true;
    return true;
  }
  return false;
}

// "3.11.2" and 2 make "3.11".
std::string first_parts(const std::string& version, int parts) {
  std::size_t end = 0;
  for (int part = 0; part < parts && end != std::string::npos; ++part)
    end = version.find('.', part == 0 ? 0 : end + 1);
  return version.substr(0, end);
}

std::string default_name(const Runtime& runtime) {
  const Language& language = *language_named(runtime.language);
  return std::string(language.prefix) + first_parts(runtime.version, language.version_parts);
}

std::vector<int> numbers_of(const std::string& version) {
  std::vector<int> key;
  std::istringstream parts(version);
  std::string part;
  while (std::getline(parts, part, '.')) key.push_back(std::atoi(part.c_str()));
  return key;
}

std::vector<std::string> own_aliases(const Runtime& runtime) {
  if (runtime.language != "node") return {default_name(runtime)};
  const std::string major = first_parts(runtime.version, 1);
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

// In the order in which they are preferred: the plain names of /usr/bin first.
std::vector<std::string> candidates(const Language& language) {
  std::vector<std::string> paths;
  const RE2 pattern(language.programs);
  for (const char* directory : {"/usr/bin", "/usr/local/bin"}) {
    std::error_code error;
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory, error))
      if (RE2::FullMatch(entry.path().filename().string(), pattern))
        found.push_back(entry.path().string());
    std::sort(found.begin(), found.end());
    paths.insert(paths.end(), found.begin(), found.end());
  }
  if (language.name != "node") return paths;
  const char* path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "" : path);
  std::string directory;
  while (std::getline(directories, directory, ':'))
    if (!directory.empty() && directory[0] == '/') paths.push_back(directory + "/node");
  return paths;
}

// Returns a hint when a program was there and did not answer.
std::string discover_language(const Language& language, milliseconds limit,
                              std::vector<Runtime>& found) {
  std::set<std::string> seen;
  std::string hint;
  for (const auto& program : candidates(language)) {
    std::error_code error;
    if (!fs::exists(program, error) || !seen.insert(real_path(program)).second) continue;
    Runtime runtime;
    runtime.program = program;
    if (!inspect(runtime, limit, &language)) {
      if (hint.empty()) hint = runtime.install_hint;
      continue;
    }
    runtime.name = default_name(runtime);
    const bool known = std::any_of(found.begin(), found.end(), [&](const Runtime& other) {
      return other.name == runtime.name ||
             (other.language == runtime.language && other.version == runtime.version);
    });
    if (!known) found.push_back(std::move(runtime));
    if (language.name == "node") break;
  }
  return hint;
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
  for (const auto& language : languages()) {
    Runtime* newest = nullptr;
    for (auto& runtime : runtimes)
      if (runtime.installed && runtime.language == language.name &&
          (newest == nullptr || numbers_of(runtime.version) > numbers_of(newest->version)))
        newest = &runtime;
    if (newest == nullptr) continue;
    for (const auto name : language.names) {
      const bool taken = std::any_of(runtimes.begin(), runtimes.end(),
                                     [&](const Runtime& other) { return other.name == name; });
      if (!taken) newest->aliases.emplace_back(name);
    }
  }
}

}  // namespace

RuntimeTable RuntimeTable::discover(const std::vector<RuntimeSetting>& overrides,
                                    milliseconds limit) {
  RuntimeTable table;
  auto& found = table.runtimes_;
  for (const auto& setting : overrides) {
    Runtime runtime;
    runtime.program = setting.program;
    if (!inspect(runtime, limit)) {
      const Language* language = language_of_id(setting.name);
      runtime.language = language == nullptr ? "" : language->name;
      if (runtime.install_hint.empty())
        runtime.install_hint = "correct the setting runtimes." + setting.name + ": " +
                               setting.program +
                               " does not answer --version as a language that is known here does";
    }
    runtime.name = setting.name;
    found.push_back(std::move(runtime));
  }
  std::map<std::string_view, std::string> hints;
  for (const auto& language : languages()) {
    auto hint = discover_language(language, limit, found);
    hints[language.name] = hint.empty() ? install_hint(language) : std::move(hint);
  }
  give_aliases(found);
  // What could be here and is not is listed too, with what brings it.
  for (const auto& language : languages()) {
    if (has_language(found, language.name)) continue;
    Runtime runtime;
    runtime.name = language.name == "python" ? "python3" : language.name;
    runtime.language = language.name;
    runtime.install_hint = hints[language.name];
    found.push_back(std::move(runtime));
  }
  found.push_back(native("native", {"executable", "binary"}));
  found.push_back(native("provided", {"provided.al2", "provided.al2023", "custom"}));
  found.push_back(native("http", {}));
  found.push_back(native("exec", {"stdio"}));
  return table;
}

namespace {

bool answers_to(const Runtime& runtime, std::string_view name) {
  return runtime.name == name ||
         std::find(runtime.aliases.begin(), runtime.aliases.end(), name) != runtime.aliases.end();
}

Error not_installed(std::string_view name, const std::string& hint) {
  return Error{Code::unsupported,
               fmt::format("The runtime {} is not available on this machine: {}.", name, hint)};
}

}  // namespace

Result<Runtime> RuntimeTable::find(std::string_view name) const {
  for (const auto& runtime : runtimes_)
    if (answers_to(runtime, name)) {
      if (runtime.installed) return runtime;
      return not_installed(runtime.name, runtime.install_hint);
    }
  std::vector<std::string> installed;
  std::vector<std::string_view> known;
  for (const auto& runtime : runtimes_) {
    known.push_back(runtime.name);
    for (const auto& alias : runtime.aliases) known.push_back(alias);
    if (runtime.installed) installed.push_back(runtime.name);
  }
  const Language* language = language_of_id(name);
  if (language == nullptr)
    return Error{Code::invalid_argument,
                 fmt::format("'{}' is not a known runtime.{} Runtimes on this machine: {}.",
                             name.substr(0, 64), did_you_mean(name, known),
                             fmt::format("{}", fmt::join(installed, ", ")))};
  std::string same_language;
  const Runtime* newest = nullptr;
  for (const auto& runtime : runtimes_)
    if (runtime.installed && runtime.language == language->name) {
      same_language += (same_language.empty() ? "" : ", ") + runtime.name;
      if (newest == nullptr || numbers_of(runtime.version) > numbers_of(newest->version))
        newest = &runtime;
    }
  if (newest == nullptr) return not_installed(name, install_hint(*language));
  if (language->any_version) return *newest;
  return Error{Code::unsupported,
               fmt::format("The runtime {} is not installed on this machine, but {} is: deploy "
                           "with --runtime {}, or install it and name its program in the "
                           "setting runtimes.{}.",
                           name, same_language, language->name, name)};
}

std::string RuntimeTable::note_on(const Runtime& found, std::string_view asked) {
  if (asked.empty() || answers_to(found, asked)) return "";
  return fmt::format("{} is not installed on this machine: it runs on {} {}", asked, found.name,
                     found.version);
}

}  // namespace mayfly::functions
