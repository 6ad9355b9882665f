#include "functions/types.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace mayfly::functions {
namespace {

constexpr std::array<std::pair<Model, std::string_view>, 6> kModels{{
    {Model::unknown, "unknown"},
    {Model::event, "event"},
    {Model::http, "http"},
    {Model::runtime_api, "runtime_api"},
    {Model::http_port, "http_port"},
    {Model::stdio, "stdio"},
}};

}  // namespace

std::string_view model_name(Model model) {
  for (const auto& [value, name] : kModels)
    if (value == model) return name;
  return "unknown";
}

std::optional<Model> model_from_name(std::string_view name) {
  for (const auto& [value, known] : kModels)
    if (known == name) return value;
  return std::nullopt;
}

bool logs_json(const Settings& settings) {
  const auto variable = settings.env.find("AWS_LAMBDA_LOG_FORMAT");
  std::string format = variable == settings.env.end() ? settings.logs.format : variable->second;
  // As the runtimes read it.
  std::transform(format.begin(), format.end(), format.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return format == "JSON";
}

std::uint32_t default_concurrency(Model model) {
  return model == Model::http || model == Model::http_port ? 64 : 1;
}

std::string Version::qualified_name() const {
  return number == 0 ? function : function + ":" + std::to_string(number);
}

}  // namespace mayfly::functions
