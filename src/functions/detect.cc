#include "functions/detect.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/json.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "functions/checks.h"
#include "functions/json_forms.h"
#include "functions/languages.h"
#include "functions/tree.h"
#include "functions/vendored.h"
#include "os/fd.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSeenMax = 12;
constexpr std::size_t kTextBytesMax = 1u << 20;
constexpr int kFilesLookedAt = 10'000;
constexpr std::string_view kLayersRoot = "/opt/";  // where a sandbox has the layers

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
constexpr std::string_view kMachineName = "x86_64";
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
constexpr std::string_view kMachineName = "aarch64";
#else
constexpr int kMachine = EM_NONE;
constexpr std::string_view kMachineName = "this machine";
#endif

std::string read_head(const std::string& path, std::size_t max) {
  const os::Fd file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  std::string text(max, '\0');
  const ssize_t got = file ? pread(file.get(), text.data(), max, 0) : -1;
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

// The top of a package, sorted by what the names say.
struct Seen {
  std::vector<std::string> files, directories;  // names at the top
  std::vector<std::string> python, node, scripts, programs;
  std::map<std::string_view, std::string> others;  // first file of each other language
  bool node_modules = false;
  bool has(std::string_view name) const {
    return std::find(files.begin(), files.end(), name) != files.end();
  }
  std::string list() const {
    std::vector<std::string> names = files;
    for (const auto& directory : directories) names.push_back(directory + "/");
    std::sort(names.begin(), names.end());
    const std::size_t more = names.size() > kSeenMax ? names.size() - kSeenMax : 0;
    names.resize(names.size() - more);
    return fmt::format("{}{}", fmt::join(names, ", "),
                       more > 0 ? fmt::format(" and {} more", more) : "");
  }
};

Seen look(const std::string& tree) {
  Seen seen;
  std::error_code error;
  for (auto at = fs::directory_iterator(tree, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    struct stat info;
    if (stat(at->path().c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      seen.directories.push_back(name);
      seen.node_modules |= name == "node_modules";
      continue;
    }
    if (!S_ISREG(info.st_mode)) continue;
    seen.files.push_back(name);
    const std::string extension = fs::path(name).extension().string();
    if (extension == ".py")
      seen.python.push_back(name);
    else if (extension == ".js" || extension == ".mjs" || extension == ".cjs")
      seen.node.push_back(name);
    else if (const auto* language = language_of_extension(extension))
      seen.others.try_emplace(language->name, name);
    else if (extension == ".sh")
      seen.scripts.push_back(name);
    else if ((info.st_mode & 0111) != 0 && looks_executable(read_head(at->path(), 4)) &&
             extension != ".so")
      seen.programs.push_back(name);
  }
  for (auto* list :
       {&seen.files, &seen.directories, &seen.python, &seen.node, &seen.scripts, &seen.programs})
    std::sort(list->begin(), list->end());
  return seen;
}

std::uint64_t bytes_of(const std::string& tree) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(tree, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    struct stat info;
    if (lstat(at->path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
      bytes += static_cast<std::uint64_t>(info.st_size);
  }
  return bytes;
}

// A file of the package that the user named: relative, inside, there.
bool is_file_inside(const std::string& tree, const std::string& name) {
  if (name.empty() || name[0] == '/' || name.find('\0') != std::string::npos) return false;
  for (const auto& part : fs::path(name))
    if (part == "..") return false;
  struct stat info;
  return stat((tree + "/" + name).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

// Why the kernel would not run this file, found out before a sandbox is made for it.
Status check_program(const std::string& tree, const std::string& name) {
  const std::string head = read_head(tree + "/" + name, 256);
  if (head.substr(0, 2) == "#!") {
    const std::string line = head.substr(2, head.find('\n') - 2);
    if (!line.empty() && line.back() == '\r')
      return invalid(
          fmt::format("The first line of {} ends in a carriage return (Windows line ends): the "
                      "kernel cannot find its interpreter. Save it with Unix line ends.",
                      name));
    std::string interpreter;
    std::istringstream(line) >> interpreter;
    if (interpreter.empty() || interpreter[0] != '/')
      return invalid(
          fmt::format("The first line of {} does not name an interpreter by an "
                      "absolute path, as in #!/bin/sh.",
                      name));
    const bool inside =
        interpreter.rfind("/var/task/", 0) == 0 || interpreter.rfind("/opt/", 0) == 0;
    if (!inside && access(interpreter.c_str(), X_OK) != 0)
      return Error{Code::unsupported,
                   fmt::format("The script {} wants the interpreter {}, which is not on this "
                               "machine.",
                               name, interpreter)};
    return ok();
  }
  if (head.size() >= 20 && looks_executable(head)) {
    const int machine = static_cast<unsigned char>(head[18]) | static_cast<unsigned char>(head[19])
                                                                   << 8;
    if (kMachine != EM_NONE && machine != kMachine)
      return Error{Code::unsupported,
                   fmt::format("The program {} was built for another kind of processor; this "
                               "machine is {}.",
                               name, kMachineName)};
    return ok();
  }
  // A shell script without a first line that says so is run by /bin/sh.
  if (fs::path(name).extension() == ".sh" && head.find('\0') == std::string::npos) return ok();
  return invalid(
      fmt::format("{} is no program: it is not an ELF file, and its first line does "
                  "not name an interpreter, as in #!/bin/sh.",
                  name));
}

bool wants_modules(const std::string& tree) {
  const auto object =
      parse_object(read_head(tree + "/package.json", kTextBytesMax), "package.json");
  if (object.has_error()) return false;
  const auto* dependencies = object->if_contains("dependencies");
  return dependencies != nullptr && dependencies->is_object() &&
         !dependencies->get_object().empty();
}

bool wants_python_packages(const std::string& tree) {
  std::istringstream lines(read_head(tree + "/requirements.txt", kTextBytesMax));
  std::string line;
  while (std::getline(lines, line)) {
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin != std::string::npos && line[begin] != '#') return true;
  }
  return false;
}

bool holds(const std::string& tree, std::string_view extension) {
  std::error_code error;
  int left = kFilesLookedAt;
  for (auto at = fs::recursive_directory_iterator(tree, error);
       !error && at != fs::recursive_directory_iterator() && left-- > 0; at.increment(error))
    if (at->path().extension() == extension) return true;
  return false;
}

// Sources without what is made of them.
bool wants_compiler(const std::string& tree, const Seen& seen, std::string_view language) {
  if (language == "java") return holds(tree, ".java") && !holds(tree, ".class");
  if (language != "dotnet") return false;
  const auto has = [&seen](std::string_view extension) {
    return std::any_of(seen.files.begin(), seen.files.end(), [extension](const auto& name) {
      return fs::path(name).extension() == extension;
    });
  };
  // Assemblies beside a source may be what it refers to; one of its own name is made of it.
  for (const auto& name : seen.files)
    if (fs::path(name).extension() == ".cs" && seen.has(fs::path(name).stem().string() + ".dll"))
      return false;
  return has(".cs");
}

// The kind that the files speak for: a runtime's name or alias, and why.
struct Guess {
  std::string runtime, reason;
  std::string program;  // native
};

Error unclear(const Seen& seen, const std::string& why) {
  return invalid(
      fmt::format("It is not clear what to run: {}. The package holds {}. Say it with "
                  "--runtime (and --handler).",
                  why, seen.list()));
}

// Names of files, without their extension, that a handler may mean: "app.Class.method" is in
// app.rb, "pkg.module.name" in pkg/module.py.
std::vector<std::string> modules_of(const std::string& handler, const Language& language) {
  std::string module = handler.substr(0, handler.rfind('.'));
  if (language.name == "python") {
    std::replace(module.begin(), module.end(), '.', '/');
    if (const auto colon = module.find(':'); colon != std::string::npos) module.resize(colon);
  }
  const auto slash = handler.rfind('/');
  const auto dot = handler.find('.', slash == std::string::npos ? 0 : slash);
  return {module, handler.substr(0, dot)};
}

// "app.handler" speaks for app.py, app.js, app.rb ...; a path speaks for its language or a program.
std::optional<Guess> guess_by_handler(const std::string& tree, const std::string& handler) {
  if (handler.empty()) return std::nullopt;
  if (is_file_inside(tree, handler)) {
    const auto* language = language_of_extension(fs::path(handler).extension().string());
    if (language == nullptr) return Guess{"native", "the handler is a file", handler};
    return Guess{std::string(language->name),
                 fmt::format("the handler is a {} file", language->title), ""};
  }
  std::optional<Guess> guess;
  for (const auto& language : languages())
    for (const auto& module : modules_of(handler, language))
      for (const auto extension : language.extensions) {
        const std::string file = module + std::string(extension);
        if (!is_file_inside(tree, file)) continue;
        if (guess && guess->runtime != language.name) return std::nullopt;
        guess = Guess{std::string(language.name), "the handler is in " + file, ""};
      }
  return guess;
}

// Compiled code lies in folders that are named after packages, and in lib/.
bool holds_java(const std::string& tree) {
  std::error_code error;
  int left = kFilesLookedAt;
  for (auto at = fs::recursive_directory_iterator(tree, error);
       !error && at != fs::recursive_directory_iterator() && left-- > 0; at.increment(error)) {
    const auto* language = language_of_extension(at->path().extension().string());
    if (language != nullptr && language->name == "java") return true;
  }
  return false;
}

Result<Guess> guess_by_files(const std::string& tree, const Seen& seen) {
  std::vector<Guess> strong;
  if (seen.has("bootstrap")) strong.push_back({"provided", "there is a bootstrap", "bootstrap"});
  for (const auto& language : languages())
    for (const auto name : language.projects)
      if (seen.has(name)) {
        strong.push_back({std::string(language.name), fmt::format("there is a {}", name), ""});
        break;
      }
  if (strong.size() == 1) return strong[0];
  if (strong.size() > 1) {
    std::vector<std::string> reasons;
    for (const auto& guess : strong) reasons.push_back(guess.reason);
    return unclear(seen, fmt::format("{}", fmt::join(reasons, " and ")));
  }
  if (!seen.python.empty() && !seen.node.empty())
    return unclear(seen, "there are Python and JavaScript files");
  if (!seen.python.empty()) return Guess{"python", "there is " + seen.python[0], ""};
  if (!seen.node.empty()) return Guess{"node", "there is " + seen.node[0], ""};
  if (seen.others.size() > 1) {
    std::vector<std::string> names;
    for (const auto& [language, file] : seen.others) names.push_back(file);
    return unclear(seen,
                   fmt::format("there are files of several languages, {}", fmt::join(names, ", ")));
  }
  for (const auto& [language, file] : seen.others)
    return Guess{std::string(language), "there is " + file, ""};
  std::vector<std::string> programs = seen.programs;
  programs.insert(programs.end(), seen.scripts.begin(), seen.scripts.end());
  if (programs.size() == 1) return Guess{"native", programs[0] + " is a program", programs[0]};
  if (programs.size() > 1) return unclear(seen, "there are several programs");
  if (holds_java(tree)) return Guess{"java", "there are class files", ""};
  if (seen.files.empty() && seen.directories.size() == 1)
    return unclear(seen, fmt::format("all is in the folder {0}/; pack what is in it, or deploy "
                                     "{0} itself",
                                     seen.directories[0]));
  return unclear(seen, "there is no file of a language that is known here and no program");
}

// Which program a native runtime starts.
Result<std::string> native_entry(const std::string& tree, const Seen& seen, const Runtime& runtime,
                                 const std::string& handler, const std::string& guessed,
                                 const std::string& layers_tree) {
  const bool provided = runtime.name == "provided";
  if (provided && seen.has("bootstrap")) return std::string("bootstrap");
  if (provided && !layers_tree.empty() && is_file_inside(layers_tree, "bootstrap"))
    return std::string(kLayersRoot) + "bootstrap";
  if (!handler.empty()) {
    if (is_file_inside(tree, handler)) return handler;
    if (!provided)
      return invalid(fmt::format("The handler '{}' is no file of the package, which holds {}.",
                                 handler.substr(0, 200), seen.list()));
  }
  if (!guessed.empty()) return guessed;
  std::vector<std::string> programs = seen.programs;
  for (const auto* more : {&seen.scripts, &seen.python, &seen.node})
    for (const auto& name : *more)
      if (looks_executable(read_head(tree + "/" + name, 4))) programs.push_back(name);
  if (programs.size() == 1) return programs[0];
  return invalid(fmt::format(
      "The runtime {} starts a program, and {}. The package holds {}. Name "
      "the program with --handler.",
      runtime.name, programs.empty() ? "there is none" : "there are several", seen.list()));
}

}  // namespace

Model model_of_program(const Runtime& runtime) {
  return runtime.name == "provided" ? Model::runtime_api
         : runtime.name == "http"   ? Model::http_port
         : runtime.name == "exec"   ? Model::stdio
                                    : Model::unknown;
}

Result<Detection> detect(const std::string& tree, const Settings& asked,
                         const RuntimeTable& runtimes, const std::string& layers_tree) {
  Detection d;
  const Seen seen = look(tree);
  if (seen.files.empty() && seen.directories.empty()) return invalid("The package is empty.");
  Guess guess;
  if (asked.runtime.empty()) {
    if (auto by_handler = guess_by_handler(tree, asked.handler)) {
      guess = std::move(*by_handler);
    } else {
      auto by_files = guess_by_files(tree, seen);
      if (by_files.has_error()) return by_files.error();
      guess = std::move(*by_files);
    }
  }
  const bool detected = asked.runtime.empty();
  auto runtime = runtimes.find(detected ? guess.runtime : asked.runtime);
  if (runtime.has_error()) {
    Error error = runtime.error();
    if (detected) error.message = "Because " + guess.reason + ": " + error.message;
    return error;
  }
  d.runtime = std::move(*runtime);
  d.handler = asked.handler;
  if (detected) d.notes.push_back(fmt::format("runtime {}: {}", d.runtime.name, guess.reason));
  if (auto note = RuntimeTable::note_on(d.runtime, asked.runtime); !note.empty())
    d.notes.push_back(std::move(note));
  for (auto& note : not_vendored(tree, d.runtime.language)) d.notes.push_back(std::move(note));
  if (d.runtime.language == "native") {
    auto entry = native_entry(tree, seen, d.runtime, asked.handler, guess.program, layers_tree);
    if (entry.has_error()) return entry.error();
    if (entry->starts_with(kLayersRoot))
      MAYFLY_TRY(check_program(layers_tree, entry->substr(kLayersRoot.size())));
    else
      MAYFLY_TRY(check_program(tree, *entry));
    d.entry = std::move(*entry);
    if (d.handler.empty()) d.handler = d.entry;
    if (asked.handler.empty()) d.notes.push_back("program " + d.entry);
    d.model = model_of_program(d.runtime);
  } else if (seen.files.size() == 1 && seen.directories.empty()) {
    d.entry = seen.files[0];
  }
  if (d.runtime.language == "node" && seen.has("package.json") && !seen.node_modules &&
      wants_modules(tree)) {
    d.needs = Needs::npm;
    d.npm_locked = seen.has("package-lock.json") || seen.has("npm-shrinkwrap.json");
  }
  if (d.runtime.language == "python" && seen.has("requirements.txt") && wants_python_packages(tree))
    d.needs = Needs::pip;
  if (wants_compiler(tree, seen, d.runtime.language)) d.needs = Needs::compiler;
  d.code_bytes = bytes_of(tree);
  return d;
}

}  // namespace mayfly::functions
