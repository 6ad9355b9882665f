#include "functions/host_tools.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "functions/json_forms.h"

extern char** environ;

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kFileBytesMax = 4u << 20;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_file(const std::string& path) {
  std::error_code error;
  return !path.empty() && fs::is_regular_file(path, error);
}

std::string read_start(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> starts) {
  for (const auto start : starts)
    if (text.rfind(start, 0) == 0) return true;
  return false;
}

// Variables whose value is a file that the tool reads.
bool names_certificates(std::string_view name) {
  return name == "NODE_EXTRA_CA_CERTS" || name == "SSL_CERT_FILE" || name == "REQUESTS_CA_BUNDLE" ||
         name == "CURL_CA_BUNDLE" || name == "PIP_CERT" || name == "npm_config_cafile" ||
         name == "NPM_CONFIG_CAFILE";
}

// Variables that would point the tool at places of the host, or change what it runs.
bool is_withheld(std::string_view name) {
  for (const std::string_view part :
       {"userconfig", "globalconfig", "cache", "prefix", "node_gyp", "script_shell", "USERCONFIG",
        "GLOBALCONFIG", "CACHE", "PREFIX", "SCRIPT_SHELL", "PIP_CONFIG_FILE", "PIP_TARGET",
        "PIP_USER", "PIP_ROOT", "PIP_LOG", "PIP_REQUIREMENT"})
    if (name.find(part) != std::string_view::npos) return true;
  return false;
}

bool is_wanted(Tool tool, std::string_view name) {
  if (is_withheld(name)) return false;
  if (names_certificates(name)) return true;
  for (const std::string_view proxy : {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
                                       "http_proxy", "https_proxy", "no_proxy", "all_proxy"})
    if (name == proxy) return true;
  if (tool == Tool::npm) return starts_with_any(name, {"npm_config_", "NPM_CONFIG_"});
  return starts_with_any(name, {"PIP_"});
}

std::vector<std::pair<std::string, std::string>> wanted_variables(Tool tool) {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = entry.substr(0, equals);
    if (is_wanted(tool, name)) found.emplace_back(name, entry.substr(equals + 1));
  }
  return found;
}

std::string config_file(Tool tool) {
  const std::string home = variable("HOME");
  if (tool == Tool::npm) {
    for (const auto& path :
         {variable("npm_config_userconfig"), variable("NPM_CONFIG_USERCONFIG"), home + "/.npmrc"})
      if (is_file(path)) return path;
    return "";
  }
  const std::string xdg = variable("XDG_CONFIG_HOME");
  for (const auto& path :
       {variable("PIP_CONFIG_FILE"), (xdg.empty() ? home + "/.config" : xdg) + "/pip/pip.conf",
        home + "/.pip/pip.conf", std::string("/etc/pip.conf")})
    if (is_file(path)) return path;
  return "";
}

// A copy that the sandbox's user can read: the original may be for its owner only.
bool copy_readable(const std::string& from, const std::string& to) {
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file << read_start(from);
  file.close();
  return file.good() && chmod(to.c_str(), 0644) == 0;
}

// A dependency that comes from the registry by name and version range: no file, link, git or URL.
bool from_registry(std::string_view spec) {
  if (spec.rfind("npm:", 0) == 0) spec.remove_prefix(4);
  if (spec.find(':') != std::string_view::npos) return false;
  const bool scoped = !spec.empty() && spec[0] == '@';
  const auto slashes = std::count(spec.begin(), spec.end(), '/');
  if (slashes != (scoped ? 1 : 0) || (!spec.empty() && spec[0] == '.')) return false;
  return spec.find(".tgz") == std::string_view::npos && spec.find(".tar") == std::string_view::npos;
}

bool all_from_registry(const json::value& value) {
  if (value.is_string()) return from_registry(std::string_view(value.get_string()));
  if (!value.is_object()) return true;
  for (const auto& entry : value.get_object())
    if (!all_from_registry(entry.value())) return false;
  return true;
}

std::string unsafe_npm(const std::string& tree) {
  const auto package = parse_object(read_start(tree + "/package.json"), "package.json");
  if (package.has_error()) return "its package.json cannot be read";
  for (const char* key :
       {"dependencies", "optionalDependencies", "devDependencies", "peerDependencies", "overrides"})
    if (const auto* value = package->if_contains(key);
        value != nullptr && !all_from_registry(*value))
      return fmt::format("its {} name something other than packages of the registry", key);
  if (package->contains("workspaces")) return "it has workspaces";
  for (const char* name : {"/package-lock.json", "/npm-shrinkwrap.json"}) {
    if (!is_file(tree + name)) continue;
    boost::system::error_code error;
    const auto lock = json::parse(read_start(tree + name), error);
    const auto* packages =
        !error && lock.is_object() ? lock.get_object().if_contains("packages") : nullptr;
    if (packages == nullptr || !packages->is_object())
      return fmt::format("its {} is of an old or unknown kind", name + 1);
    for (const auto& entry : packages->get_object()) {
      if (!entry.value().is_object()) return "its lock file is malformed";
      const auto& item = entry.value().get_object();
      const auto* resolved = item.if_contains("resolved");
      const bool web = resolved == nullptr ||
                       (resolved->is_string() &&
                        std::string_view(resolved->get_string()).rfind("https://", 0) == 0) ||
                       (resolved->is_string() &&
                        std::string_view(resolved->get_string()).rfind("http://", 0) == 0);
      if (!web || item.contains("link")) return "its lock file names files or git repositories";
    }
  }
  return "";
}

std::string unsafe_pip(const std::string& tree) {
  std::istringstream lines(read_start(tree + "/requirements.txt"));
  std::string line;
  while (std::getline(lines, line)) {
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    if (line[begin] == '-' || line.find("://") != std::string::npos ||
        line.find('/') != std::string::npos || line.find('@') != std::string::npos ||
        line.find('\\') != std::string::npos)
      return "its requirements.txt holds more than names and versions";
  }
  return "";
}

}  // namespace

std::string find_npm() {
  std::vector<std::string> candidates;
  std::istringstream directories(variable("PATH"));
  std::string directory;
  while (std::getline(directories, directory, ':'))
    if (!directory.empty() && directory[0] == '/') candidates.push_back(directory + "/npm");
  for (const char* known :
       {"/usr/share/nodejs/npm/bin/npm-cli.js", "/usr/lib/node_modules/npm/bin/npm-cli.js",
        "/usr/local/lib/node_modules/npm/bin/npm-cli.js"})
    candidates.emplace_back(known);
  for (const auto& candidate : candidates) {
    std::error_code error;
    const auto real = fs::canonical(candidate, error);
    // A wrapper in another language knows its own node; ours needs the JavaScript itself.
    if (!error && real.extension() == ".js" && is_file(real.string())) return real.string();
  }
  return "";
}

std::string npm_prefix(const std::string& npm) {
  if (npm.rfind("/usr/", 0) == 0) return "";
  return fs::path(npm).parent_path().parent_path().string();  // NPM/bin/npm-cli.js
}

HostConfig config_inside(Tool tool, const std::string& directory) {
  HostConfig config;
  if (mkdir(directory.c_str(), 0755) != 0 || chmod(directory.c_str(), 0755) != 0) return config;
  const std::string inside = "/var/install";
  for (const auto& [name, value] : wanted_variables(tool)) {
    std::string passed = value;
    if (names_certificates(name)) {
      if (!is_file(value) || !copy_readable(value, directory + "/" + name)) continue;
      passed = inside + "/" + name;
    }
    if (name == "PIP_FIND_LINKS" && !value.empty() && value[0] == '/') {
      std::error_code error;
      if (!fs::is_directory(value, error)) continue;
      passed = "/var/install-links";
      config.mounts.push_back({value, passed, false});
    }
    config.env.push_back(name + "=" + passed);
  }
  const std::string file = config_file(tool);
  if (!file.empty() && copy_readable(file, directory + "/config"))
    config.env.push_back(
        std::string(tool == Tool::npm ? "NPM_CONFIG_USERCONFIG=" : "PIP_CONFIG_FILE=") + inside +
        "/config");
  config.mounts.push_back({directory, inside, false});
  return config;
}

std::vector<std::string> config_outside(Tool tool) {
  std::vector<std::string> env = {"LANG=C.UTF-8"};
  for (const char* name : {"PATH", "HOME", "XDG_CONFIG_HOME"})
    if (const std::string value = variable(name); !value.empty())
      env.push_back(std::string(name) + "=" + value);
  for (const auto& [name, value] : wanted_variables(tool)) env.push_back(name + "=" + value);
  const std::string file = config_file(tool);
  if (!file.empty())
    env.push_back((tool == Tool::npm ? std::string("NPM_CONFIG_USERCONFIG=") : "PIP_CONFIG_FILE=") +
                  file);
  return env;
}

bool looks_unreachable(const std::string& output) {
  for (const std::string_view sign : {"ENOTFOUND",
                                      "EAI_AGAIN",
                                      "ECONNREFUSED",
                                      "ECONNRESET",
                                      "ETIMEDOUT",
                                      "ENETUNREACH",
                                      "EHOSTUNREACH",
                                      "ERR_SOCKET_TIMEOUT",
                                      "network request to",
                                      "Network is unreachable",
                                      "Connection refused",
                                      "Temporary failure in name resolution",
                                      "Failed to establish a new connection",
                                      "timed out",
                                      "ProxyError",
                                      "No route to host",
                                      "SELF_SIGNED_CERT_IN_CHAIN",
                                      "UNABLE_TO_GET_ISSUER_CERT",
                                      "UNABLE_TO_VERIFY_LEAF",
                                      "CERTIFICATE_VERIFY_FAILED"})
    if (output.find(sign) != std::string::npos) return true;
  return false;
}

std::string unsafe_outside(Tool tool, const std::string& tree) {
  return tool == Tool::npm ? unsafe_npm(tree) : unsafe_pip(tree);
}

}  // namespace mayfly::functions
