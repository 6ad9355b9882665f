#include "cli/deploy_project.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "cli/pack.h"
#include "functions/languages.h"
#include "functions/layers.h"

namespace mayfly::cli {

namespace fs = std::filesystem;
namespace json = boost::json;
namespace projects = functions::projects;

namespace {

constexpr std::size_t kProjectFileBytesMax = 1u << 20;

// A file of the project: by its path from the project's folder, which it does not leave.
Result<std::string> read_inside(const fs::path& folder, const std::string& path) {
  std::error_code failed;
  const fs::path wanted = fs::weakly_canonical(folder / path, failed);
  const fs::path root = fs::weakly_canonical(folder, failed);
  const fs::path relative = wanted.lexically_relative(root);
  if (failed || fs::path(path).is_absolute() || relative.empty() || *relative.begin() == "..")
    return invalid("the file " + path + " is not in the project's folder.");
  if (!fs::is_regular_file(wanted, failed))
    return Error{Code::not_found, "there is no file " + path};
  if (fs::file_size(wanted, failed) > kProjectFileBytesMax || failed)
    return Error{Code::too_large, "the file " + path + " has more than a mebibyte."};
  std::ifstream in(wanted, std::ios::binary);
  std::ostringstream bytes;
  if (!in || !(bytes << in.rdbuf())) return invalid("the file " + path + " cannot be read.");
  return bytes.str();
}

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// Whether the server has a runtime of that name.
bool has_runtime(const json::value& answer, std::string_view name) {
  for (const auto& runtime : list_of(answer, "runtimes")) {
    if (!flag_of(runtime, "installed")) continue;
    if (text_of(runtime, "name") == name) return true;
    for (const auto& alias : list_of(runtime, "aliases"))
      if (alias.is_string() && alias.get_string() == name) return true;
  }
  return false;
}

// A version of a language that is not here is the newest that is.
void settle_runtimes(const json::value& answer, projects::Project& project) {
  for (auto& function : project.manifest.functions) {
    auto& runtime = function.settings.runtime;
    if (runtime.empty() || has_runtime(answer, runtime)) continue;
    const auto* language = functions::language_of_id(runtime);
    if (language == nullptr || !has_runtime(answer, language->name)) continue;
    for (auto& finding : project.findings)
      if (finding.what == "function " + function.name)
        finding.what +=
            fmt::format(", on the newest {} here: there is no {}", language->title, runtime);
    runtime = std::string(language->name);
  }
}

// Layers of other accounts and of extensions of AWS are not here: the functions do without them.
void settle_layers(const json::value& answer, projects::Project& project) {
  std::set<std::string> there;  // "NAME", "NAME:VERSION"
  for (const auto& layer : list_of(answer, "layers")) {
    there.insert(text_of(layer, "name"));
    there.insert(fmt::format("{}:{}", text_of(layer, "name"), number_of(layer, "version")));
  }
  for (const auto& layer : project.manifest.layers) there.insert(layer.name);
  const auto missing = [&there](const std::string& text) {
    const auto ref = functions::parse_layer_ref(text);
    return !ref ||
           !there.contains(ref->version == 0 ? ref->name
                                             : fmt::format("{}:{}", ref->name, ref->version));
  };
  for (auto& function : project.manifest.functions) std::erase_if(function.layers, missing);
  for (auto& finding : project.findings) {
    if (finding.kind != projects::Finding::Kind::used || !finding.what.starts_with("layer "))
      continue;
    const std::string ref = finding.what.substr(6);
    if (!missing(ref)) continue;
    finding.kind = projects::Finding::Kind::not_used;
    finding.what = "the server has no layer " + ref +
                   ": `aws lambda publish-layer-version` makes one, and `mayfly layer ls` lists "
                   "those there are";
  }
}

json::object render_finding(const projects::Finding& finding) {
  json::object out{{"file", finding.file}, {"line", finding.line}, {"path", finding.path}};
  if (finding.kind == projects::Finding::Kind::not_used)
    out["why"] = finding.what;
  else if (!finding.what.empty())
    out["as"] = finding.what;
  return out;
}

void print_findings(const projects::Project& project, const Context& context) {
  const bool colour = context.colour();
  Table table({{"LINE", Table::Align::right}, {"PATH"}, {"WHAT BECAME OF IT"}});
  std::size_t used = 0, not_used = 0;
  const std::string* file = project.findings.empty() ? nullptr : &project.findings.front().file;
  for (const auto& finding : project.findings) {
    const bool left = finding.kind == projects::Finding::Kind::not_used;
    ++(left ? not_used : used);
    if (finding.kind == projects::Finding::Kind::used) continue;  // --json has them all
    const std::string line = finding.file == *file
                                 ? std::to_string(finding.line)
                                 : fmt::format("{}:{}", finding.file, finding.line);
    table.row({line, printable(finding.path),
               left ? paint("not used: ", Colour::yellow, colour) + printable(finding.what)
                    : printable(finding.what)});
  }
  write_out(table.render(colour));
  write_out(fmt::format("{} of {}: {} used, {} not used\n", used + not_used,
                        file == nullptr ? "the project" : printable(*file), used, not_used));
}

}  // namespace

Result<std::string> project_file_in(const std::string& folder) {
  std::error_code failed;
  const auto path_of = [&](const char* name) { return (fs::path(folder) / name).string(); };
  if (fs::exists(path_of("mayfly.yaml"), failed)) return path_of("mayfly.yaml");
  std::vector<std::string> found;
  for (const char* name : {"template.yaml", "template.yml", "serverless.yml", "serverless.yaml"}) {
    const auto text = read_inside(folder, name);
    if (text.has_error()) {
      if (text.error().code == Code::not_found) continue;
      if (text.error().code == Code::too_large && std::string_view(name).starts_with("template"))
        continue;  // of something else
      return text.error();
    }
    if (projects::kind_of(name, *text) != projects::ProjectKind::none)
      found.push_back(path_of(name));
  }
  if (found.size() > 1)
    return invalid(
        fmt::format("{} and {} both describe a project: say which with -f", found[0], found[1]));
  return found.empty() ? std::string() : found[0];
}

Result<projects::Project> read_project(Context& context, const std::string& file,
                                       const std::string& text, projects::ProjectKind kind,
                                       const DeployOptions& options, int& exit_code) {
  const auto info = fetch_json(context, "GET", "/v1/info", exit_code);
  if (!info) return Error{Code::unavailable, ""};
  const auto runtimes = fetch_json(context, "GET", "/v1/runtimes", exit_code);
  if (!runtimes) return Error{Code::unavailable, ""};
  const auto layers = fetch_json(context, "GET", "/v1/layers", exit_code);
  if (!layers) return Error{Code::unavailable, ""};
  std::error_code failed;
  const fs::path folder = fs::absolute(file, failed).lexically_normal().parent_path();
  projects::Surroundings around;
  around.file = fs::path(file).filename().string();
  around.stack = options.name.empty() ? default_name(folder) : options.name;
  around.stage = options.stage;
  around.region = options.region;
  around.home_region = text_of(*info, "region");
  around.account = text_of(*info, "account");
  around.gateway = text_of(*info, "gateway");
  around.api = text_of(*info, "api");
  around.parameters = options.parameters;
  around.environment = environment_variable;
  around.function_url = [&context, &exit_code](const std::string& name, const std::string& alias) {
    const auto url = fetch_json(
        context, "GET",
        "/v1/functions/" + percent_encode(name) + "/url?alias=" + percent_encode(alias), exit_code);
    return url ? text_of(*url, "url") : std::string();
  };
  around.read_file = [folder](const std::string& path) { return read_inside(folder, path); };
  auto project = kind == projects::ProjectKind::sam ? projects::read_sam_template(text, around)
                                                    : projects::read_serverless_yml(text, around);
  if (project.has_error()) return project;
  if (kind == projects::ProjectKind::sam && fs::exists(folder / "samconfig.toml", failed))
    project->findings.push_back({projects::Finding::Kind::not_used, "samconfig.toml", "", 0,
                                 "it is not read: --name and --parameter say the same"});
  settle_runtimes(*runtimes, *project);
  settle_layers(*layers, *project);
  return project;
}

void report_project(const projects::Project& project, json::object& summary,
                    const Context& context) {
  json::array used, not_used, outputs;
  for (const auto& finding : project.findings)
    (finding.kind == projects::Finding::Kind::not_used ? not_used : used)
        .push_back(render_finding(finding));
  for (const auto& output : project.outputs)
    outputs.push_back(json::object{
        {"name", output.name}, {"value", output.value}, {"description", output.description}});
  summary["used"] = std::move(used);
  summary["not_used"] = std::move(not_used);
  summary["outputs"] = std::move(outputs);
  if (context.json) return;
  print_findings(project, context);
  if (project.outputs.empty()) return;
  Table table({{"OUTPUT"}, {"VALUE"}, {"DESCRIPTION"}});
  for (const auto& output : project.outputs)
    table.row({printable(output.name), printable(output.value), printable(output.description)});
  write_out(table.render(context.colour()));
}

int deploy_belongings(Context& context, const functions::Manifest::Function& function) {
  json::object body;
  int code = kOk;
  const std::string path = "/v1/functions/" + percent_encode(function.name);
  if (!function.tags.empty()) {
    json::object tags;
    for (const auto& [name, text] : function.tags) tags[name] = text;
    body["tags"] = std::move(tags);
  }
  if (function.reserved_concurrency) body["reserved_concurrency"] = *function.reserved_concurrency;
  if (!function.alias.empty()) {
    const auto published = fetch_json(context, "POST", path + "/versions", code);
    if (!published) return code;
    body["aliases"] = json::object{
        {function.alias, std::strtoll(text_of(*published, "version").c_str(), nullptr, 10)}};
  }
  if (body.empty()) return kOk;
  if (!fetch_json(context, "PUT", path + "/belongings", code, json::serialize(body))) return code;
  return kOk;
}

}  // namespace mayfly::cli
