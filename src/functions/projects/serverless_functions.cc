// Functions of a serverless.yml: their settings, packages and destinations.

#include <fmt/format.h>

#include "functions/checks.h"
#include "functions/projects/cloud_resources.h"
#include "functions/projects/policies.h"
#include "functions/projects/sam_reader.h"
#include "functions/projects/serverless_reader.h"

namespace mayfly::functions::projects {
namespace {

const Reasons kServerlessFunctionReasons = {
    {"role", "kept as a note: Mayfly has no roles"},
    {"iamRoleStatementsName", "Mayfly has no roles"},
    {"vpc", "Mayfly has no VPCs: functions reach the world by NAT"},
    {"tracing", "Mayfly has no X-Ray; mayfly invocations has the phases of each call"},
    {"kmsKeyArn", "Mayfly has no keys of KMS"},
    {"awsKmsKeyArn", "Mayfly has no keys of KMS"},
    {"architecture", "functions run on this machine's processor"},
    {"ephemeralStorageSize", "/tmp has the size that the server gives it"},
    {"fileSystemConfig", "Mayfly mounts no file systems"},
    {"snapStart", "instances are cloned without being asked to"},
    {"logRetentionInDays", "logs are kept as the server's settings say"},
    {"disableLogs", "logs are kept as the server's settings say"},
    {"dependsOn", "the order is Mayfly's own"},
    {"condition", "a function is made whatever its condition"},
    {"versionFunction", "versions are published by mayfly publish"},
    {"runtimeManagement", "the runtimes are those of this machine"},
    {"cloudFormationTemplate", "there is no stack"}};

}  // namespace

void ServerlessReader::read_function(const std::string& key, const Value& at) {
  const std::string name = function_names_.at(key);
  Section s(at, report_);
  s.text("name");
  Manifest::Function function;
  const bool image = s.has("image");
  if (image && !read_image(s, at, function)) return;
  read_settings(s, at, function);
  if (!image) read_function_package(s, function);
  read_destinations(s, function);
  builder_.check(at, function.settings);
  auto& added = builder_.add_function(at, name);
  function.name = name;
  added = std::move(function);
  report_.made(at, "function " + name);
  s.take("url", [&](const Value& v) { read_url(v, name); });
  s.take("events", [&](const Value& v) {
    if (!v.is_list()) wrong(v, "must be a list of events.");
    for (const auto& event : v.items) read_event(event, name);
  });
  s.finish(kServerlessFunctionReasons);
}

// A URI, the name of one of provider.ecr.images, or a mapping with either. False: it is not made,
// and the report says why.
bool ServerlessReader::read_image(Section& s, const Value& at, Manifest::Function& function) {
  const Value* image = s.look("image");
  const Value* named = image != nullptr && image->is_map() ? image->find("name") : nullptr;
  const Value* uri = image == nullptr || named != nullptr ? nullptr
                     : image->is_map()                    ? image->find("uri")
                                                          : image;
  if (uri != nullptr && uri->is_scalar() && provider_.images.contains(uri->text)) named = uri;
  if (named != nullptr && named->is_scalar()) {
    const auto known = provider_.images.find(named->text);
    uri = known == provider_.images.end() ? nullptr : &known->second;
  }
  if (uri == nullptr || !uri->is_scalar()) {
    report_.not_used(at,
                     "its image is not built here and has no uri that can be known: `docker save` "
                     "it, `mayfly image import` it, and name it as image");
    return false;
  }
  set_image(*uri, filled_text_of(*uri), function.settings);
  report_.used(*image, "the image " + function.settings.image.uri);
  if (image->is_map()) function.settings.image.over = image_program_of(*image, report_, false);
  return true;
}

void ServerlessReader::read_settings(Section& s, const Value& at, Manifest::Function& function) {
  auto& settings = function.settings;
  const bool image = !settings.image.uri.empty();
  if (!image) settings.runtime = s.text("runtime", provider_.runtime);
  settings.handler = s.text("handler");
  if (settings.handler.empty() && !image) wrong(at, "it has no handler, as in src/hello.handler.");
  settings.memory_mb = provider_.memory_mb;
  settings.direct = false;  // at AWS nobody calls it who was not let in
  settings.timeout_ms = provider_.timeout_ms;
  s.take("description", [&](const Value& v) {
    settings.description = text_of(v);
    report_.used(v);
  });
  s.take("memorySize", [&](const Value& v) {
    settings.memory_mb = static_cast<std::uint32_t>(whole_of(v, 128, 10'240));
    report_.used(v);
  });
  s.take("timeout", [&](const Value& v) {
    settings.timeout_ms = static_cast<std::uint32_t>(whole_of(v, 1, 900) * 1000);
    report_.used(v);
  });
  const Value* own = s.look("environment");
  const Value environment = merged(provider_.environment, own == nullptr ? Value() : *own);
  if (!environment.is_null()) builder_.read_environment(environment, settings);
  s.take("logs", [&](const Value& v) {
    builder_.read_logging(v, {"logFormat", "applicationLogLevel", "systemLogLevel", "logGroup"},
                          settings);
  });
  s.take("reservedConcurrency", [&](const Value& v) {
    function.reserved_concurrency = static_cast<std::uint32_t>(whole_of(v, 0, 100'000));
    report_.used(v);
  });
  s.take("provisionedConcurrency", [&](const Value& v) {
    const Value* number = v.is_map() ? v.find("executions") : &v;
    if (number == nullptr) wrong(v, "must be a number.");
    settings.instances_min = static_cast<std::uint32_t>(whole_of(*number, 0, 1'000));
    report_.used(v, "so many instances are kept");
  });
  function.tags = provider_.tags;
  s.take("tags", [&](const Value& v) {
    for (auto& [name, text] : tags_of(v)) function.tags[name] = text;
    report_.used(v);
  });
  function.layers = provider_.layers;
  s.take("layers", [&](const Value& v) { function.layers = builder_.layers_of(v); });
  read_rights(s, at, settings);
}

// A function's own statements (serverless-iam-roles-per-function) stand in the place of the
// provider's, unless it inherits those.
void ServerlessReader::read_rights(Section& s, const Value& at, Settings& settings) {
  const bool inherits = s.flag("iamRoleStatementsInherit", false);
  const Value* own = s.look("iamRoleStatements");
  if (own == nullptr && !provider_.rights_told) return;
  PolicyReader policy(builder_, report_);
  if (own == nullptr || inherits) policy.add(provider_.rights);
  if (own != nullptr) policy.read_statements(*own);
  settings.policy = policy.text(at);
}

void ServerlessReader::read_function_package(Section& s, Manifest::Function& function) {
  function.path = ".";
  std::string artifact = artifact_;
  auto patterns = patterns_;
  s.take("package", [&](const Value& v) {
    Section package(v, report_);
    const bool own = package.flag("individually", individually_);
    const auto take = [&](const char* key, bool leave_out) {
      package.take(key, [&](const Value& list) {
        if (!own)
          return report_.not_used(list, "patterns of a function count with 'individually: true'");
        for (const auto& pattern : texts_of(list))
          patterns.push_back((leave_out ? "!" : "") + pattern);
        report_.used(list);
      });
    };
    take("exclude", true);
    take("include", false);
    take("patterns", false);
    artifact = package.text("artifact", artifact);
    package.finish({{"disable", "the package is made for every deploy"}});
  });
  if (!artifact.empty())
    function.path = artifact;
  else
    function.patterns = std::move(patterns);
}

// A function by its key or name, an ARN, or a mapping with one.
std::string ServerlessReader::destination_of(const Value& value) {
  const Value* target = value.is_map() ? value.find("arn") : &value;
  if (target == nullptr) wrong(value, "must be the name of a function, an ARN, or {type, arn}.");
  const std::string text = filled_text_of(*target);
  if (text.starts_with("arn:")) return text;
  const auto own = function_names_.find(text);
  return "function:" + (own == function_names_.end() ? text : own->second);
}

void ServerlessReader::read_destinations(Section& s, Manifest::Function& function) {
  auto& async = function.settings.async;
  s.take("destinations", [&](const Value& v) {
    Section both(v, report_);
    for (const bool success : {true, false})
      both.take(success ? "onSuccess" : "onFailure", [&](const Value& one) {
        (success ? async.on_success : async.on_failure) = destination_of(one);
        report_.used(one);
      });
    both.finish();
  });
  s.take("maximumRetryAttempts", [&](const Value& v) {
    async.retries = static_cast<std::int32_t>(whole_of(v, 0, 2));
    report_.used(v);
  });
  s.take("maximumEventAge", [&](const Value& v) {
    async.max_age_s = whole_of(v, 60, 21'600);
    report_.used(v);
  });
  async.dead_letter = s.text("onError");
}

void ServerlessReader::read_url(const Value& url, const std::string& function) {
  Manifest::Url made;
  if (url.is_scalar()) {
    if (!boolean_of(url)) return;
    return builder_.add_url(url, function, std::move(made));
  }
  Section s(url, report_);
  const bool unclear = s.unknown("authorizer");
  const std::string authorizer = s.text("authorizer", "none");
  s.take("cors", [&](const Value& v) {
    made.cors = cors_from(v, report_);
    const Value* age = v.find("maxAge");
    made.cors.max_age_s =
        age == nullptr ? 0 : static_cast<std::uint32_t>(whole_of(*age, 0, 86'400));
  });
  const std::string mode = s.text("invokeMode", "BUFFERED");
  s.finish();
  if (unclear) return report_.not_used(url, "what it asks of callers cannot be known here");
  if (authorizer != "none" && authorizer != "aws_iam")
    wrong(*url.find("authorizer"), "must be aws_iam, or left out.");
  if (mode != "BUFFERED" && mode != "RESPONSE_STREAM")
    wrong(*url.find("invokeMode"), "must be BUFFERED or RESPONSE_STREAM.");
  made.iam = authorizer == "aws_iam";
  made.stream = mode == "RESPONSE_STREAM";
  builder_.add_url(url, function, std::move(made));
}

void ServerlessReader::read_layer(const std::string& key, const Value& at) {
  Section s(at, report_);
  Manifest::Layer layer;
  layer.name = s.text("name", key);
  layer.description = s.text("description");
  layer.license = s.text("licenseInfo");
  layer.path = s.text("path");
  layer.patterns = patterns_;
  s.take("package", [&](const Value& v) {
    Section package(v, report_);
    const auto take = [&](const char* patterns, const char* mark) {
      package.take(patterns, [&](const Value& list) {
        for (const auto& pattern : texts_of(list)) layer.patterns.push_back(mark + pattern);
        report_.used(list);
      });
    };
    take("exclude", "!");
    take("include", "");
    take("patterns", "");
    if (const std::string artifact = package.text("artifact"); !artifact.empty()) {
      layer.path = artifact;
      layer.patterns.clear();
    }
    package.finish();
  });
  const auto list = [&](const char* name, std::vector<std::string>& into) {
    s.take(name, [&](const Value& v) {
      into = texts_of(v);
      report_.used(v);
    });
  };
  list("compatibleRuntimes", layer.runtimes);
  list("compatibleArchitectures", layer.architectures);
  s.finish({{"allowedAccounts", "every key may use every layer"},
            {"retain", "versions of layers stay"}});
  if (layer.path.empty()) wrong(at, "it has no path: the folder of the layer.");
  builder_.add_layer(at, std::move(layer));
}

}  // namespace mayfly::functions::projects
