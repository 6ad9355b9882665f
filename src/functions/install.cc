#include "functions/install.h"

#include <fmt/format.h>
#include <unistd.h>
#include <boost/json.hpp>

#include <filesystem>
#include <fstream>

#include "base/ids.h"
#include "functions/host_tools.h"
#include "functions/json_forms.h"
#include "functions/run_program.h"
#include "functions/sandbox_run.h"
#include "functions/tree.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::uint64_t kMemoryBytes = 2ull << 30;
constexpr std::size_t kTailBytes = 4 * 1024;
constexpr std::size_t kLogBytesMax = 64u << 20;

// Prints {"missing":["flask>=2"],"pip":true}: which lines of requirements.txt neither the files of
// the package nor the packages of the runtime satisfy. Lines that it cannot judge count as missing.
constexpr char kCheckRequirements[] = R"PY(
import importlib.metadata as metadata, importlib.util, json, os, sys
root = sys.argv[1]
sys.path.insert(0, root)
Requirement = None
for name in ("packaging.requirements", "pip._vendor.packaging.requirements"):
    try:
        Requirement = __import__(name, fromlist=["Requirement"]).Requirement
        break
    except Exception:
        pass
missing = []
with open(os.path.join(root, "requirements.txt"), encoding="utf-8-sig", errors="replace") as lines:
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        line = line.split(" #", 1)[0].strip()
        try:
            if Requirement is None:
                metadata.version(line)
                continue
            wanted = Requirement(line)
            if wanted.marker is not None and not wanted.marker.evaluate():
                continue
            if wanted.url or not wanted.specifier.contains(
                    metadata.version(wanted.name), prereleases=True):
                missing.append(line)
        except Exception:
            missing.append(line)
print(json.dumps({"missing": missing, "pip": importlib.util.find_spec("pip") is not None}))
)PY";

std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const auto size = std::min<std::streamoff>(file.tellg(), kLogBytesMax);
  std::string text(static_cast<std::size_t>(std::max<std::streamoff>(size, 0)), '\0');
  file.seekg(0).read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

std::string tail(const std::string& output) {
  if (output.size() <= kTailBytes) return output;
  const auto line = output.find('\n', output.size() - kTailBytes);
  return "...\n" + output.substr(line == std::string::npos ? output.size() - kTailBytes : line + 1);
}

Error tool_failed(std::string_view tool, const std::string& reason, const std::string& output) {
  return Error{Code::function_error,
               fmt::format("{} could not install the dependencies ({}). The end of its output:\n{}",
                           tool, reason, tail(output))};
}

// Where a language's compiler is: javac lies in the JDK whose java runs the function.
std::string compiler_of(const Runtime& runtime) {
  std::error_code error;
  const auto real = fs::canonical(runtime.program, error);
  if (runtime.language == "java") return (real.parent_path() / "javac").string();
  const auto beside = fs::path(runtime.program).parent_path() / "mcs";
  return fs::exists(beside, error) ? beside.string() : "/usr/bin/mcs";
}

// $1 is the compiler. Classes come to lie where the package names say, beside their sources.
constexpr char kCompileJava[] =
    R"(exec find /var/task -name '*.java' -exec "$1" -nowarn -g -encoding UTF-8 )"
    R"(-cp '/var/runtime/main.jar:/var/task:/var/task/*:/var/task/lib/*' -d /var/task {} +)";
// The assembly is called as the only source or project; it refers to those in the package.
constexpr char kCompileDotnet[] = R"(
compiler=$1 name=Function
set -- /var/task/*.cs
[ $# = 1 ] && name=$(basename "$1" .cs)
set -- /var/task/*.csproj
[ $# = 1 ] && [ -e "$1" ] && name=$(basename "$1" .csproj)
set --
for file in /var/task/*.dll; do
  [ -e "$file" ] && [ "$file" != /var/task/Amazon.Lambda.Core.dll ] && set -- "$@" "-r:$file"
done
exec find /var/task -name '*.cs' -exec "$compiler" -nologo -debug -optimize+ -target:library   -r:/var/runtime/Amazon.Lambda.Core.dll "$@" -out:"/var/task/$name.dll" {} +)";

// Does the package or one of its dependencies bring code that runs when it is installed?
struct Scripts {
  bool dependencies = false;
  std::vector<std::string> own;  // names of the package's own install scripts
};

Scripts find_scripts(const std::string& tree) {
  Scripts scripts;
  scripts.dependencies =
      read_whole(tree + "/node_modules/.package-lock.json").find("\"hasInstallScript\": true") !=
      std::string::npos;
  const auto package = parse_object(read_whole(tree + "/package.json"), "package.json");
  if (package.has_error()) return scripts;
  const auto* own = package->if_contains("scripts");
  if (own == nullptr || !own->is_object()) return scripts;
  for (const char* name : {"preinstall", "install", "postinstall"})
    if (own->get_object().contains(name)) scripts.own.emplace_back(name);
  return scripts;
}

// One deploy's installation. Lives in the frame of install(), which awaits all that it does.
class Installer {
 public:
  Installer(InstallParts parts, std::string package, Detection detection)
      : parts_(parts), package_(std::move(package)), d_(std::move(detection)) {}

  io::Task<Result<Installed>> npm() {
    npm_ = find_npm();
    if (npm_.empty())
      co_return Error{Code::unsupported,
                      "package.json names dependencies and npm is not installed on this machine: "
                      "apt-get install npm, or deploy the folder with its node_modules."};
    if (parts_.sandboxes == nullptr)
      co_return Error{Code::unsupported,
                      "package.json names dependencies, which cannot be installed without "
                      "sandboxes. Deploy the folder with its node_modules."};
    auto staging = stage();
    MAYFLY_CO_TRY(co_await std::move(staging));
    auto fetching = fetch_npm();
    Status fetched = co_await std::move(fetching);
    if (fetched.has_value()) {
      auto scripts = run_scripts();
      fetched = co_await std::move(scripts);
    }
    auto finishing = finish(std::move(fetched), "dependencies installed by npm");
    auto result = co_await std::move(finishing);
    co_return result;
  }

  // Compilers run no code of the package (annotation processors are in its classpath, though), but
  // read whatever a source names: in the sandbox, without network.
  io::Task<Result<Installed>> compile() {
    const std::string compiler = compiler_of(d_.runtime);
    const bool java = d_.runtime.language == "java";
    if (access(compiler.c_str(), X_OK) != 0)
      co_return Error{Code::unsupported,
                      fmt::format("The package holds sources, and {} is not installed on this "
                                  "machine: {}, or deploy what it makes of them.",
                                  compiler, d_.runtime.install_hint)};
    if (parts_.sandboxes == nullptr)
      co_return Error{Code::unsupported,
                      "The package holds sources, which cannot be compiled without sandboxes. "
                      "Deploy what the compiler makes of them."};
    auto staging = stage();
    MAYFLY_CO_TRY(co_await std::move(staging));
    const std::string script = java ? kCompileJava : kCompileDotnet;
    auto s = spec({"/bin/sh", "-c", script, "compile", compiler}, tree_, true);
    s.network = sandbox::Network::none;
    std::error_code error;
    const auto library = fs::canonical(parts_.runtimes_dir + "/" + d_.runtime.language, error);
    if (!error) s.mounts.push_back({library.string(), "/var/runtime", false});
    auto running = run_in_sandbox(*parts_.sandboxes, std::move(s), limit());
    auto ran = co_await std::move(running);
    const std::string tool = fs::path(compiler).filename().string();
    Status compiled = ok();
    if (ran.has_error())
      compiled = std::move(ran).error();
    else if (!ran->succeeded)
      compiled =
          Error{Code::function_error,
                fmt::format("{} could not compile the package ({}). The end of its output:\n{}",
                            tool, ran->over_limit ? over_limit() : ran->reason, tail(ran->output))};
    auto finishing = finish(std::move(compiled), "compiled by " + tool);
    auto result = co_await std::move(finishing);
    co_return result;
  }

  io::Task<Result<Installed>> pip() {
    if (parts_.sandboxes == nullptr)
      co_return Error{Code::unsupported,
                      "requirements.txt names packages, which cannot be checked or installed "
                      "without sandboxes. Deploy the folder with its packages in it and without "
                      "requirements.txt."};
    auto checking = check_requirements();
    auto missing = co_await std::move(checking);
    if (missing.has_error()) co_return std::move(missing).error();
    if (missing->empty()) {
      Installed satisfied;
      satisfied.notes.push_back(
          "requirements.txt: all of it is in the package or comes with the runtime");
      co_return satisfied;
    }
    const std::string wanted = fmt::format("{}", fmt::join(*missing, ", "));
    if (!has_pip_)
      co_return Error{Code::unsupported,
                      fmt::format("requirements.txt wants {}, and pip is not installed on this "
                                  "machine: apt-get install python3-pip, or vendor the packages: "
                                  "pip install --target FOLDER -r FOLDER/requirements.txt, then "
                                  "deploy FOLDER.",
                                  wanted)};
    auto staging = stage();
    MAYFLY_CO_TRY(co_await std::move(staging));
    auto fetching = fetch_pip(wanted);
    Status fetched = co_await std::move(fetching);
    auto finishing = finish(std::move(fetched), "dependencies installed by pip");
    auto result = co_await std::move(finishing);
    co_return result;
  }

 private:
  io::Task<Status> stage() {
    auto job = [packages = &parts_.packages, package = package_] {
      return packages->staging(package);
    };
    auto task = parts_.pool.run(std::move(job));
    auto made = co_await std::move(task);
    if (made.has_error()) co_return std::move(made).error();
    tree_ = *made;
    co_return ok();
  }

  io::Task<Result<Installed>> finish(Status fetched, std::string note) {
    auto job = [packages = &parts_.packages, package = package_, tree = tree_,
                fetched = std::move(fetched)]() -> Status {
      if (fetched.has_error()) {
        packages->discard_staging(tree);
        return fetched;
      }
      return packages->keep_built(package, tree);
    };
    auto task = parts_.pool.run(std::move(job));
    Status kept = co_await std::move(task);
    if (kept.has_error()) co_return std::move(kept).error();
    Installed installed;
    installed.built = true;
    installed.notes = std::move(notes_);
    installed.notes.insert(installed.notes.begin(), std::move(note));
    co_return installed;
  }

  sandbox::LaunchSpec spec(std::vector<std::string> argv, const std::string& tree,
                           bool writable) const {
    sandbox::LaunchSpec s;
    s.id = "install-" + random_hex(8);
    s.argv = std::move(argv);
    s.env = {"PATH=/usr/local/bin:/usr/bin:/bin",
             "HOME=/tmp",
             "LANG=C.UTF-8",
             "TZ=:UTC",
             "npm_config_cache=/tmp/npm",
             "npm_config_update_notifier=false"};
    s.mounts.push_back({tree, "/var/task", writable});
    for (const auto& prefix : d_.runtime.prefixes) s.mounts.push_back({prefix, prefix, false});
    if (const auto prefix = npm_.empty() ? "" : npm_prefix(npm_); !prefix.empty())
      s.mounts.push_back({prefix, prefix, false});
    s.limits.memory_bytes = kMemoryBytes;
    s.limits.cpu_millis = 2000;
    s.limits.pids_max = 512;
    s.limits.tmp_bytes = 1ull << 30;
    s.limits.files_max = 8192;
    s.channel = false;
    return s;
  }

  std::chrono::milliseconds limit() const {
    return std::chrono::milliseconds(parts_.defaults.install_timeout_ms);
  }

  std::string config_directory() const {
    return fs::path(tree_).parent_path().string() + "/config";
  }

  std::vector<std::string> npm_argv(std::initializer_list<std::string> more) const {
    std::vector<std::string> argv = {d_.runtime.program, npm_};
    argv.insert(argv.end(), more);
    for (const char* option : {"--omit=dev", "--no-audit", "--no-fund", "--no-progress",
                               "--no-update-notifier", "--loglevel=error"})
      argv.emplace_back(option);
    return argv;
  }

  // Fetches without running any code of the packages: so the registry's credentials, which this
  // step has, are out of their reach.
  io::Task<Status> fetch_npm() {
    const std::string verb = d_.npm_locked ? "ci" : "install";
    auto config = config_inside(Tool::npm, config_directory());
    auto s = spec(npm_argv({verb, "--ignore-scripts", "--fetch-retries=1",
                            "--fetch-retry-mintimeout=500", "--fetch-timeout=30000"}),
                  tree_, true);
    s.env.insert(s.env.end(), config.env.begin(), config.env.end());
    s.mounts.insert(s.mounts.end(), config.mounts.begin(), config.mounts.end());
    auto running = run_in_sandbox(*parts_.sandboxes, std::move(s), limit());
    auto ran = co_await std::move(running);
    if (ran.has_error()) co_return std::move(ran).error();
    if (ran->succeeded) co_return ok();
    const std::string reason = ran->over_limit ? over_limit() : "npm " + verb + " " + ran->reason;
    if (!looks_unreachable(ran->output)) co_return tool_failed("npm", reason, ran->output);
    auto argv = npm_argv({verb, "--ignore-scripts", "--git=/bin/false"});
    auto outside = run_outside(Tool::npm, std::move(argv), reason, std::move(ran->output));
    auto status = co_await std::move(outside);
    co_return status;
  }

  io::Task<Status> fetch_pip(std::string wanted) {
    auto config = config_inside(Tool::pip, config_directory());
    auto s = spec(pip_argv("/var/task"), tree_, true);
    s.env.insert(s.env.end(), config.env.begin(), config.env.end());
    s.env.push_back("PIP_RETRIES=1");
    s.mounts.insert(s.mounts.end(), config.mounts.begin(), config.mounts.end());
    auto running = run_in_sandbox(*parts_.sandboxes, std::move(s), limit());
    auto ran = co_await std::move(running);
    if (ran.has_error()) co_return std::move(ran).error();
    if (ran->succeeded) co_return ok();
    const std::string reason = ran->over_limit ? over_limit() : "pip " + ran->reason;
    if (!looks_unreachable(ran->output)) co_return tool_failed("pip", reason, ran->output);
    auto argv = pip_argv(tree_);
    argv.emplace_back("--only-binary=:all:");  // building from source would run foreign code
    auto outside = run_outside(Tool::pip, std::move(argv), reason, std::move(ran->output));
    Status status = co_await std::move(outside);
    if (status.has_value()) co_return ok();
    Error error = std::move(status).error();
    error.message = fmt::format(
        "requirements.txt wants {}. If no package index can be reached from here, vendor the "
        "packages: pip install --target FOLDER -r FOLDER/requirements.txt, then deploy FOLDER. {}",
        wanted, error.message);
    co_return error;
  }

  std::vector<std::string> pip_argv(const std::string& tree) const {
    return {d_.runtime.program,
            "-m",
            "pip",
            "install",
            "--target",
            tree,
            "--upgrade",
            "--requirement",
            tree + "/requirements.txt",
            "--no-input",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--no-warn-script-location",
            "--progress-bar=off"};
  }

  std::string over_limit() const {
    return fmt::format("it took longer than {} s, setting functions.install_timeout_ms",
                       parts_.defaults.install_timeout_ms / 1000);
  }

  // The index cannot be reached from the sandbox. On the host it may be; there the tool runs no
  // code of any package, and only for packages that cannot make it read the host's files.
  io::Task<Status> run_outside(Tool tool, std::vector<std::string> argv, std::string reason,
                               std::string output) {
    const std::string name = tool == Tool::npm ? "npm" : "pip";
    if (!parts_.defaults.install_outside)
      co_return tool_failed(name, reason + "; setting functions.install_outside is off", output);
    const std::string unsafe = unsafe_outside(tool, tree_);
    if (!unsafe.empty())
      co_return tool_failed(
          name, reason + "; it is not run outside of the sandbox, because " + unsafe, output);
    auto job = [packages = &parts_.packages, package = package_, tree = tree_, tool,
                argv = std::move(argv), limit = limit()]() mutable -> Result<ProgramResult> {
      // A fresh copy: nothing that the sandbox wrote is trusted on the host. Nor is the package's
      // own .npmrc, which could name programs to run.
      remove_tree(tree);
      MAYFLY_TRY(copy_tree_writable(packages->tree(package), tree));
      remove_tree(tree + "/.npmrc");
      ProgramRun run;
      run.argv = std::move(argv);
      run.env = config_outside(tool);
      if (tool == Tool::pip) run.env.emplace_back("PIP_RETRIES=1");
      run.cwd = tool == Tool::npm ? tree : "/";
      run.limit = limit;
      return run_program(run);
    };
    auto task = parts_.pool.run(std::move(job));
    auto ran = co_await std::move(task);
    if (ran.has_error()) co_return std::move(ran).error();
    if (!ran->succeeded())
      co_return tool_failed(
          name, ran->over_limit ? over_limit() : fmt::format("{} failed outside too", name),
          ran->output);
    notes_.push_back(
        name +
        " ran outside of the sandbox, without running code of the packages: the sandbox "
        "could not reach the package index");
    outside_ = true;
    co_return ok();
  }

  // Scripts of the package and its dependencies are foreign code: in the sandbox only, and without
  // the host's configuration.
  io::Task<Status> run_scripts() {
    auto look = [tree = tree_, open_up = outside_]() -> Result<Scripts> {
      if (open_up) MAYFLY_TRY(open_up_tree(tree));
      return find_scripts(tree);
    };
    auto looking = parts_.pool.run(std::move(look));
    auto scripts = co_await std::move(looking);
    if (scripts.has_error()) co_return std::move(scripts).error();
    std::vector<std::vector<std::string>> commands;
    if (scripts->dependencies) commands.push_back(npm_argv({"rebuild"}));
    for (const auto& name : scripts->own) commands.push_back(npm_argv({"run", name}));
    for (auto& command : commands) {
      const std::string what = "npm " + command[2] + (command[2] == "run" ? " " + command[3] : "");
      auto running =
          run_in_sandbox(*parts_.sandboxes, spec(std::move(command), tree_, true), limit());
      auto ran = co_await std::move(running);
      if (ran.has_error()) co_return std::move(ran).error();
      if (!ran->succeeded)
        co_return tool_failed("npm", ran->over_limit ? over_limit() : what + " " + ran->reason,
                              ran->output);
    }
    co_return ok();
  }

  io::Task<Result<std::vector<std::string>>> check_requirements() {
    const std::string tree = parts_.packages.tree(package_);
    auto s = spec({d_.runtime.program, "-I", "-c", kCheckRequirements, "/var/task"}, tree, false);
    s.network = sandbox::Network::none;
    auto running =
        run_in_sandbox(*parts_.sandboxes, std::move(s), std::chrono::milliseconds(30'000));
    auto ran = co_await std::move(running);
    if (ran.has_error()) co_return std::move(ran).error();
    const auto begin = ran->output.rfind("{\"missing\"");
    if (!ran->succeeded || begin == std::string::npos)
      co_return tool_failed("The check of requirements.txt", ran->reason, ran->output);
    const auto said = parse_object(std::string_view(ran->output).substr(begin), "the check");
    if (said.has_error()) co_return said.error();
    std::vector<std::string> missing;
    if (const auto* list = said->if_contains("missing"); list != nullptr && list->is_array())
      for (const auto& item : list->get_array())
        if (item.is_string()) missing.emplace_back(item.get_string());
    const auto* pip = said->if_contains("pip");
    has_pip_ = pip != nullptr && pip->is_bool() && pip->get_bool();
    co_return missing;
  }

  InstallParts parts_;
  const std::string package_;
  const Detection d_;
  std::string npm_, tree_;
  bool has_pip_ = false;
  bool outside_ = false;
  std::vector<std::string> notes_;
};

}  // namespace

io::Task<Result<Installed>> install(InstallParts parts, std::string package, Detection detection) {
  const Needs needs = detection.needs;
  if (needs == Needs::nothing) co_return Installed{};
  if (!parts.packages.built(package).empty()) {
    Installed before;
    before.built = true;
    before.notes.push_back(needs == Needs::compiler
                               ? "compiled before for the same package"
                               : "dependencies as installed before for the same package");
    co_return before;
  }
  Installer installer(parts, std::move(package), std::move(detection));
  auto installing = needs == Needs::npm   ? installer.npm()
                    : needs == Needs::pip ? installer.pip()
                                          : installer.compile();
  auto result = co_await std::move(installing);
  co_return result;
}

}  // namespace mayfly::functions
