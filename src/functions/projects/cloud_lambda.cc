// What belongs to functions and is a resource of its own: layers, and addresses of functions.

#include <fmt/format.h>

#include "functions/projects/cloud_resources.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::int64_t kUrlMaxAgeSeconds = 86'400;  // as Lambda has it

// A local path is what `sam deploy` and `aws cloudformation package` upload.
std::string layer_path(Section& s, const Value& at) {
  for (const char* key : {"ContentUri", "Content"}) {
    const Value* content = s.look(key);
    if (content == nullptr) continue;
    s.report().used(*content);
    return code_place(*content);
  }
  wrong(at, "it has no ContentUri: a folder or zip of the project.");
}

}  // namespace

void read_layer_resource(Builder& b, const std::string& logical, const Value& at,
                         const Value& properties) {
  Report& report = b.report();
  Section s(properties, report);
  Manifest::Layer layer;
  const std::string arn = *b.intrinsics().resource(logical)->ref;
  layer.name = arn.substr(arn.rfind(':') + 1);
  s.text("LayerName");
  layer.path = layer_path(s, at);
  layer.description = s.text("Description");
  layer.license = s.text("LicenseInfo");
  const auto list = [&](const char* key, std::vector<std::string>& into) {
    s.take(key, [&](const Value& v) {
      into = texts_of(v);
      report.used(v);
    });
  };
  list("CompatibleRuntimes", layer.runtimes);
  list("CompatibleArchitectures", layer.architectures);
  s.finish({{"RetentionPolicy", "versions of layers stay"},
            {"PublishLambdaVersion", "functions change with every deploy"}});
  const Value* metadata = at.find("Metadata");
  const Value* method = metadata == nullptr ? nullptr : metadata->find("BuildMethod");
  if (method != nullptr)
    report.not_used(*method,
                    "Mayfly does not build layers: run `sam build` and deploy "
                    ".aws-sam/build/template.yaml");
  b.add_layer(at, std::move(layer));
}

Manifest::Url read_url_config(Section& s) {
  Report& report = s.report();
  Manifest::Url url;
  s.take("AuthType", [&](const Value& v) {
    const std::string type = text_of(v);
    if (type != "NONE" && type != "AWS_IAM") wrong(v, "must be NONE or AWS_IAM.");
    url.iam = type == "AWS_IAM";
    report.used(v);
  });
  s.take("InvokeMode", [&](const Value& v) {
    const std::string mode = text_of(v);
    if (mode != "BUFFERED" && mode != "RESPONSE_STREAM")
      wrong(v, "must be BUFFERED or RESPONSE_STREAM.");
    url.stream = mode == "RESPONSE_STREAM";
    report.used(v);
  });
  s.take("Cors", [&](const Value& v) {
    url.cors = cloud_cors_of(v, report);
    const Value* age = v.find("MaxAge");
    url.cors.max_age_s = 0;
    if (age != nullptr && !age->is_unknown())
      url.cors.max_age_s = static_cast<std::uint32_t>(whole_of(*age, 0, kUrlMaxAgeSeconds));
  });
  return url;
}

void read_url_resource(Builder& b, const Value& at, const Value& properties) {
  Section s(properties, b.report());
  const Value* target = s.look("TargetFunctionArn");
  if (s.unknown("AuthType"))
    return b.report().not_used(at, "what it asks of callers cannot be known here");
  Manifest::Url url = read_url_config(s);
  const std::string alias = s.text("Qualifier");
  const bool closed = !s.has("AuthType");
  s.finish();
  if (closed) wrong(at, "it has no AuthType: NONE or AWS_IAM.");
  if (target == nullptr) return b.report().not_used(at, "it has no TargetFunctionArn");
  b.report().used(*target);
  const std::string name = b.name_in(*target, "lambda");
  const auto* function = b.function(name);
  if (function != nullptr && function->alias != alias)
    return b.report().not_used(
        at, fmt::format("the URL of {} is of {}", name,
                        function->alias.empty() ? "the function itself" : function->alias));
  b.add_url(at, name, std::move(url));
}

}  // namespace mayfly::functions::projects
