#include "server/layout.h"

#include <unistd.h>

#include <filesystem>

namespace mayfly::server {

namespace fs = std::filesystem;

namespace {

Result<std::string> first_of(const std::vector<fs::path>& candidates, const std::string& what,
                             const std::string& setting) {
  std::string looked;
  for (const auto& candidate : candidates) {
    std::error_code failed;
    if (fs::exists(candidate, failed)) return fs::canonical(candidate, failed).string();
    looked += (looked.empty() ? "" : ", ") + candidate.lexically_normal().string();
  }
  return Error{Code::not_found, fmt::format("there is no {} (looked at {}); setting {} says where "
                                            "it is",
                                            what, looked, setting)};
}

}  // namespace

Result<Layout> find_layout(const Settings& settings, const std::string& program) {
  const fs::path here = fs::path(program).parent_path();
  // In a build the copy beside the program comes first: there Python's runtime is compiled.
  std::vector<fs::path> runtimes{here / "runtimes-staged", here / "../runtimes",
                                 here / "../share/mayfly/runtimes"};
  if (!settings.runtimes_dir.empty()) runtimes = {fs::absolute(settings.runtimes_dir)};
  std::vector<fs::path> spawners{here / "mayfly-spawner",
                                 here / "../libexec/mayfly/mayfly-spawner"};
  if (!settings.spawner.empty()) spawners = {fs::absolute(settings.spawner)};

  auto runtimes_dir = first_of(runtimes, "folder of runtimes", "server.runtimes_dir");
  if (runtimes_dir.has_error()) return runtimes_dir.error();
  auto spawner = first_of(spawners, "mayfly-spawner", "server.spawner");
  if (spawner.has_error()) return spawner.error();
  if (::access(spawner->c_str(), X_OK) != 0)
    return Error{Code::invalid_argument,
                 *spawner + " may not be executed (setting server.spawner)"};
  // Nothing is cloned without it.
  const auto library = first_of({here / "runtime-lib", here / "../lib/mayfly/runtime-lib"},
                                "folder runtime-lib", "");
  return Layout{*runtimes_dir, *spawner, library.has_error() ? "" : *library};
}

std::string own_program() {
  std::error_code failed;
  const fs::path path = fs::read_symlink("/proc/self/exe", failed);
  return failed ? std::string("mayfly") : path.string();
}

}  // namespace mayfly::server
