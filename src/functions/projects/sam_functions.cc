// AWS::Serverless::Function and AWS::Lambda::Function: code, settings, and what SAM knows beside.

#include <fmt/format.h>

#include "functions/belongings.h"
#include "functions/projects/cloud_resources.h"
#include "functions/projects/policies.h"
#include "functions/projects/sam_reader.h"

namespace mayfly::functions::projects {
namespace {

// Lambda's, which a template counts on when it names none.
constexpr std::uint32_t kTimeoutMs = 3'000;
constexpr std::uint32_t kMemoryMb = 128;

const Reasons kFunctionReasons = {
    {"Role",
     "kept as a note: Mayfly has no roles; without Policies a function may use the services of its "
     "server"},
    {"PermissionsBoundary", "Mayfly has no IAM"},
    {"AssumeRolePolicyDocument", "Mayfly has no IAM"},
    {"RolePath", "Mayfly has no IAM"},
    {"VpcConfig", "Mayfly has no VPCs: functions reach the world by NAT"},
    {"Tracing", "Mayfly has no X-Ray; mayfly invocations has the phases of each call"},
    {"TracingConfig", "Mayfly has no X-Ray; mayfly invocations has the phases of each call"},
    {"KmsKeyArn", "Mayfly has no keys of KMS"},
    {"SourceKMSKeyArn", "Mayfly has no keys of KMS"},
    {"Architectures", "functions run on this machine's processor"},
    {"EphemeralStorage", "/tmp has the size that the server gives it"},
    {"FileSystemConfigs", "Mayfly mounts no file systems"},
    {"SnapStart",
     "instances are cloned from one that has run the initialisation, without being "
     "asked to"},
    {"CodeSigningConfigArn", "Mayfly does not check signatures of code"},
    {"RuntimeManagementConfig", "the runtimes are those of this machine"},
    {"RecursiveLoop", "Mayfly counts hops of events by itself"},
    {"DeploymentPreference", "a deploy changes all calls at once"},
    {"VersionDescription", "versions have no description of their own here"},
    {"AutoPublishCodeSha256", "a version is published when code or settings changed"},
    {"AutoPublishAliasAllProperties", "a version is published when code or settings changed"},
    {"VersionDeletionPolicy", "versions stay"},
    {"PropagateTags", "only functions and queues have tags here"},
    {"ImageConfig", "it is for functions of images"},
    {"FunctionScalingConfig", "Mayfly scales by itself"},
    {"CapacityProviderConfig", "Mayfly has no capacity providers"},
    {"PublishToLatestPublished", "Mayfly has no capacity providers"},
    {"DurableConfig", "Mayfly does not run durable executions"},
    {"TenancyConfig", "Mayfly has no tenants of functions"}};

std::string inline_file(const std::string& runtime, const std::string& handler) {
  const auto dot = handler.rfind('.');
  const std::string module =
      dot == std::string::npos || dot == 0 ? "index" : handler.substr(0, dot);
  if (runtime.starts_with("python")) return module + ".py";
  if (runtime.starts_with("ruby")) return module + ".rb";
  return module + ".js";
}

}  // namespace

void SamReader::read_function(const std::string& logical, const Value& raw,
                              const Value& properties) {
  const auto* known = intrinsics_.resource(logical);
  if (!known->ref)
    wrong(raw, "its name is made of something that Mayfly does not have; give it a plain name.");
  const std::string name = *known->ref;
  Section s(properties, report_);
  s.text("FunctionName");
  Manifest::Function function;
  const bool image = s.text("PackageType", "Zip") == "Image" || s.has("ImageUri");
  if (image && !read_image(s, raw, function)) return;
  read_settings(s, raw, function);
  if (!image) read_code(s, raw, function);
  read_async(s, function);
  s.take("AutoPublishAlias", [&](const Value& v) {
    function.alias = filled_text_of(v);
    if (!is_alias_name(function.alias))
      wrong(v, "'" + function.alias.substr(0, 100) + "' is no name of an alias.");
    report_.used(v, "a version is published, and the alias leads to it");
  });
  builder_.check(raw, function.settings);
  auto& added = builder_.add_function(raw, name);
  function.name = name;
  added = std::move(function);
  report_.made(raw, "function " + name);
  s.take("FunctionUrlConfig", [&](const Value& v) { read_function_url(v, name); });
  s.take("Events", [&](const Value& v) {
    if (!v.is_map()) wrong(v, "must be a mapping (Name: event).");
    for (const auto& [event_name, event] : v.members) read_event(event, name);
  });
  s.finish(kFunctionReasons);
}

// False: it is not made, and the report says why.
bool SamReader::read_image(Section& s, const Value& at, Manifest::Function& function) {
  const Value* uri = s.look("ImageUri");
  if (uri == nullptr)
    if (const Value* code = s.look("Code"); code != nullptr && code->is_map())
      uri = code->find("ImageUri");
  if (uri == nullptr || uri->is_unknown()) {
    report_.not_used(at,
                     "its image is not built here and has no ImageUri that can be known: `docker "
                     "save` it, `mayfly image import` it, and name it as ImageUri");
    return false;
  }
  set_image(*uri, filled_text_of(*uri), function.settings);
  report_.used(*uri, "the image " + function.settings.image.uri);
  s.take("ImageConfig", [&](const Value& v) {
    function.settings.image.over = image_program_of(v, report_, true);
  });
  if (const Value* metadata = at.find("Metadata"); metadata != nullptr)
    report_.not_used(*metadata, "images are not built here");
  return true;
}

void SamReader::read_code(Section& s, const Value& at, Manifest::Function& function) {
  const Value* raw_metadata = at.find("Metadata");
  const Value* method = raw_metadata == nullptr ? nullptr : raw_metadata->find("BuildMethod");
  const std::string build = method != nullptr && method->is_scalar() ? method->text : "";
  if (!build.empty() && build.find("python") == std::string::npos &&
      build.find("nodejs") == std::string::npos)
    report_.not_used(*method,
                     fmt::format("Mayfly does not build with {}: run `sam build` and deploy "
                                 ".aws-sam/build/template.yaml",
                                 build.substr(0, 40)));
  else if (raw_metadata != nullptr)
    report_.not_used(*raw_metadata,
                     "npm and pip are run by the server when the package asks for it");
  const auto placed = [&](const Value& v) {
    function.path = code_place(v);
    report_.used(v, is_in_bucket(function.path) ? "the object " + function.path : "");
  };
  const auto inline_text = [&](const Value& v) {
    function.inline_file = inline_file(function.settings.runtime, function.settings.handler);
    function.inline_code = text_of(v);
    report_.used(v, "the file " + function.inline_file);
  };
  if (const Value* code = s.look("InlineCode")) return inline_text(*code);
  for (const char* key : {"CodeUri", "Code"}) {
    const Value* code = s.look(key);
    if (code == nullptr) continue;
    if (const Value* zip = code->find("ZipFile")) return inline_text(*zip);
    return placed(*code);
  }
  wrong(at, "it has no CodeUri (a folder or zip of the project) and no InlineCode.");
}

void SamReader::read_settings(Section& s, const Value& at, Manifest::Function& function) {
  auto& settings = function.settings;
  settings.timeout_ms = kTimeoutMs;
  settings.memory_mb = kMemoryMb;
  settings.direct = false;  // at AWS nobody calls it who was not let in
  settings.runtime = s.text("Runtime");
  settings.handler = s.text("Handler");
  if (settings.runtime.empty() && settings.image.uri.empty())
    wrong(at, "it has no Runtime, as in python3.11 or nodejs20.x.");
  s.take("Description", [&](const Value& v) {
    settings.description = text_of(v);
    report_.used(v);
  });
  s.take("Timeout", [&](const Value& v) {
    settings.timeout_ms = static_cast<std::uint32_t>(whole_of(v, 1, 900) * 1000);
    report_.used(v);
  });
  s.take("MemorySize", [&](const Value& v) {
    settings.memory_mb = static_cast<std::uint32_t>(whole_of(v, 128, 10'240));
    report_.used(v);
  });
  s.take("Environment", [&](const Value& v) {
    Section environment(v, report_);
    environment.take("Variables", [&](const Value& variables) {
      builder_.read_environment(variables, settings);
    });
    environment.finish();
  });
  s.take("LoggingConfig", [&](const Value& v) {
    builder_.read_logging(v, {"LogFormat", "ApplicationLogLevel", "SystemLogLevel", "LogGroup"},
                          settings);
  });
  s.take("ReservedConcurrentExecutions", [&](const Value& v) {
    function.reserved_concurrency = static_cast<std::uint32_t>(whole_of(v, 0, 100'000));
    report_.used(v);
  });
  s.take("ProvisionedConcurrencyConfig", [&](const Value& v) {
    Section config(v, report_);
    config.take("ProvisionedConcurrentExecutions", [&](const Value& n) {
      settings.instances_min = static_cast<std::uint32_t>(whole_of(n, 0, 1'000));
      report_.used(n, "so many instances are kept");
    });
    config.finish();
  });
  s.take("Tags", [&](const Value& v) {
    function.tags = tags_of(v);
    report_.used(v);
  });
  s.take("Layers", [&](const Value& v) { function.layers = builder_.layers_of(v); });
  s.take("Policies", [&](const Value& v) {
    PolicyReader policy(builder_, report_);
    policy.read_policies(v);
    settings.policy = policy.text(v);
  });
}

void SamReader::read_async(Section& s, Manifest::Function& function) {
  auto& async = function.settings.async;
  for (const char* key : {"DeadLetterQueue", "DeadLetterConfig"})
    s.take(key, [&](const Value& v) {
      Section letter(v, report_);
      letter.text("Type");
      async.dead_letter = letter.text("TargetArn");
      letter.finish();
    });
  s.take("EventInvokeConfig", [&](const Value& v) {
    Section config(v, report_);
    config.take("MaximumRetryAttempts", [&](const Value& n) {
      async.retries = static_cast<std::int32_t>(whole_of(n, 0, 2));
      report_.used(n);
    });
    config.take("MaximumEventAgeInSeconds", [&](const Value& n) {
      async.max_age_s = whole_of(n, 60, 21'600);
      report_.used(n);
    });
    config.take("DestinationConfig", [&](const Value& destinations) {
      Section both(destinations, report_);
      for (const bool success : {true, false})
        both.take(success ? "OnSuccess" : "OnFailure", [&](const Value& one) {
          Section destination(one, report_);
          destination.text("Type");
          const std::string target = destination.text("Destination");
          destination.finish();
          if (target.empty())
            return report_.not_used(one, "it names no Destination; Mayfly makes none by itself");
          (success ? async.on_success : async.on_failure) = target;
        });
      both.finish();
    });
    config.finish();
  });
}

void SamReader::read_function_url(const Value& url, const std::string& function) {
  Section s(url, report_);
  const bool told = s.has("AuthType"), unclear = s.unknown("AuthType");
  Manifest::Url made = read_url_config(s);
  s.finish();
  if (unclear) return report_.not_used(url, "what it asks of callers cannot be known here");
  if (!told) wrong(url, "it has no AuthType: NONE or AWS_IAM.");
  builder_.add_url(url, function, std::move(made));
}

}  // namespace mayfly::functions::projects
