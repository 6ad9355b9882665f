#include "server/settings.h"

#include <pwd.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

namespace mayfly::server {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

std::string nearest_key(const std::string& key) {
  std::string best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const auto& spec : setting_table()) {
    const std::size_t distance = edit_distance(key, spec.key);
    if (distance < best_distance) {
      best_distance = distance;
      best = spec.key;
    }
  }
  return best;
}

Error at_line(const std::string& file, const YAML::Mark& mark, const std::string& message) {
  return Error{Code::invalid_argument, fmt::format("{}:{}: {}", file, mark.line + 1, message)};
}

Status read_runtimes(const YAML::Node& section, const std::string& file, Settings& settings) {
  for (const auto& entry : section) {
    if (!entry.first.IsScalar() || !entry.second.IsScalar())
      return at_line(file, entry.first.Mark(), "section runtimes wants NAME: /path/of/program");
    settings.runtimes.push_back({entry.first.Scalar(), entry.second.Scalar()});
  }
  return ok();
}

Status read_section(const std::string& name, const YAML::Node& section, const std::string& file,
                    Settings& settings) {
  for (const auto& entry : section) {
    const std::string key = name + "." + entry.first.Scalar();
    const auto& table = setting_table();
    const auto spec = std::find_if(table.begin(), table.end(),
                                   [&key](const SettingSpec& each) { return each.key == key; });
    if (spec == table.end())
      return at_line(file, entry.first.Mark(),
                     fmt::format("there is no setting {}; did you mean {}? `mayfly serve "
                                 "--print-settings` lists them all",
                                 key, nearest_key(key)));
    if (!entry.second.IsScalar() && !entry.second.IsNull())
      return at_line(file, entry.first.Mark(), "setting " + key + " wants a single value");
    const std::string value = entry.second.IsNull() ? "" : entry.second.Scalar();
    if (auto set = spec->set(settings, value); set.has_error())
      return at_line(file, entry.second.Mark(), set.error().message);
  }
  return ok();
}

Status check_pairs(const Settings& settings, const std::string& file) {
  if (settings.functions.memory_mb > settings.functions.memory_mb_max)
    return Error{Code::invalid_argument,
                 file + ": functions.memory_mb is over functions.memory_mb_max"};
  if (settings.functions.timeout_ms > settings.functions.timeout_ms_max)
    return Error{Code::invalid_argument,
                 file + ": functions.timeout_ms is over functions.timeout_ms_max"};
  return ok();
}

std::string yaml_scalar(const SettingSpec& spec, const std::string& value) {
  const bool plain =
      spec.limits.find_first_of("0123456789") != std::string::npos && spec.unit != "ADDR:PORT";
  if (plain || value == "true" || value == "false") return value;
  YAML::Emitter out;
  out << YAML::DoubleQuoted << value;
  return out.c_str();
}

}  // namespace

Result<Settings> parse_settings(std::string_view yaml, const std::string& file) {
  Settings settings;
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (root.IsNull()) return settings;
    if (!root.IsMap())
      return at_line(file, root.Mark(), "the file wants sections such as \"gateway:\"");
    for (const auto& entry : root) {
      const std::string name = entry.first.Scalar();
      if (entry.second.IsNull()) continue;
      if (!entry.second.IsMap())
        return at_line(
            file, entry.first.Mark(),
            fmt::format("\"{}\" is no section; did you mean {}?", name, nearest_key(name)));
      if (name == "runtimes")
        MAYFLY_TRY(read_runtimes(entry.second, file, settings));
      else
        MAYFLY_TRY(read_section(name, entry.second, file, settings));
    }
  } catch (const YAML::Exception& broken) {
    return at_line(file, broken.mark, "is not valid YAML: " + broken.msg);
  }
  MAYFLY_TRY(check_pairs(settings, file));
  return settings;
}

Result<Settings> load_settings(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  if (!in || !(bytes << in.rdbuf()))
    return Error{Code::io_error, "cannot read the settings file " + path + " (flag --config)"};
  return parse_settings(bytes.str(), path);
}

std::string print_settings(const Settings& settings) {
  std::string out =
      "# Settings of a Mayfly server: mayfly serve --config FILE. Values shown are in force.\n";
  std::string section;
  for (const auto& spec : setting_table()) {
    const auto dot = spec.key.find('.');
    const std::string in = spec.key.substr(0, dot);
    if (in != section) {
      section = in;
      out += "\n" + section + ":\n";
    }
    out += "  # " + spec.help;
    if (!spec.unit.empty()) out += " Unit: " + spec.unit + ".";
    if (!spec.limits.empty()) out += " Allowed: " + spec.limits + ".";
    out += "\n  " + spec.key.substr(dot + 1) + ": " + yaml_scalar(spec, spec.get(settings)) + "\n";
  }
  out +=
      "\n# Programs of runtimes, by name; without an entry they are found on the machine:\n"
      "#   python3.11: /usr/bin/python3.11\n"
      "runtimes:";
  if (settings.runtimes.empty()) out += " {}";
  out += "\n";
  for (const auto& runtime : settings.runtimes) {
    YAML::Emitter program;
    program << YAML::DoubleQuoted << runtime.program;
    out += fmt::format("  {}: {}\n", runtime.name, program.c_str());
  }
  return out;
}

std::string settings_markdown() {
  const Settings defaults;
  std::string out = "| key | default | unit | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const auto& spec : setting_table()) {
    const std::string value = spec.get(defaults);
    out +=
        fmt::format("| `{}` | {} | {} | {} | {} |\n", spec.key,
                    value.empty() ? "empty" : "`" + value + "`", spec.unit, spec.limits, spec.help);
  }
  return out;
}

std::string default_data_dir() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/')
    return std::string(data) + "/mayfly";
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') {
    const passwd* user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : "/root";
  }
  return std::string(home) + "/.local/share/mayfly";
}

}  // namespace mayfly::server
