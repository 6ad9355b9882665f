// read_serverless_yml: a service of the Serverless Framework, version 3.

#include <fmt/format.h>

#include "functions/checks.h"
#include "functions/projects/cloud_resources.h"
#include "functions/projects/policies.h"
#include "functions/projects/serverless_reader.h"
#include "functions/projects/variables.h"

namespace mayfly::functions::projects {
namespace {

const Reasons kProviderReasons = {
    {"role", "kept as a note: Mayfly has no roles"},
    {"rolePermissionsBoundary", "Mayfly has no IAM"},
    {"vpc", "Mayfly has no VPCs: functions reach the world by NAT"},
    {"vpcEndpointIds", "Mayfly has no VPCs"},
    {"tracing", "Mayfly has no X-Ray; mayfly invocations has the phases of each call"},
    {"logs", "logs are kept as the server's settings say: mayfly logs"},
    {"logRetentionInDays", "logs are kept as the server's settings say"},
    {"architecture", "functions run on this machine's processor"},
    {"deploymentBucket", "packages go to the server itself"},
    {"deploymentPrefix", "packages go to the server itself"},
    {"deploymentMethod", "a deploy goes to the server itself"},
    {"stackName", "the application is named SERVICE-STAGE"},
    {"stackPolicy", "there is no stack"},
    {"stackParameters", "there is no stack"},
    {"rollbackConfiguration", "there is no stack"},
    {"disableRollback", "there is no stack"},
    {"notificationArns", "there is no stack"},
    {"cfnRole", "there is no stack"},
    {"profile", "the command line finds the server: --api, --key"},
    {"versionFunctions", "versions are published by mayfly publish"},
    {"lambdaHashingVersion", "packages are known by their SHA-256"},
    {"endpointType", "the gateway listens where the server says"},
    {"apiName", "routes are the gateway's"},
    {"apiKeys", "version 3 has them under apiGateway"},
    {"usagePlan", "version 3 has it under apiGateway"},
    {"websocketsApiName", "routes are the gateway's"},
    {"websocketsDescription", "routes are the gateway's"},
    {"websocket", "stages have no settings of their own here"},
    {"alb", "Mayfly has no load balancers"},
    {"cloudFront", "Mayfly has no CDN in front"},
    {"s3", "buckets are made by resources of the type AWS::S3::Bucket"},
    {"eventBridge", "rules and buses are Mayfly's own"},
    {"kmsKeyArn", "Mayfly has no keys of KMS"},
    {"resourcePolicy", "Mayfly checks none: routes of http are not made"},
    {"snapStart", "instances are cloned without being asked to"},
    {"runtimeManagement", "the runtimes are those of this machine"},
    {"ephemeralStorageSize", "/tmp has the size that the server gives it"},
    {"build", "Mayfly does not bundle: build before, or name the built files"}};

const Reasons kServiceReasons = {
    {"org", "Mayfly has no dashboard of the framework"},
    {"app", "Mayfly has no dashboard of the framework"},
    {"tenant", "Mayfly has no dashboard of the framework"},
    {"console", "Mayfly has no dashboard of the framework"},
    {"dashboard", "Mayfly has no dashboard of the framework"},
    {"licenseKey", "Mayfly needs none"},
    {"configValidationMode", "every key is checked, and none is an error"},
    {"deprecationNotificationMode", "it is for the framework itself"},
    {"disabledDeprecations", "it is for the framework itself"},
    {"unresolvedVariablesNotificationMode", "a variable that leads nowhere is an error"},
    {"variablesResolutionMode", "variables are those of version 3"},
    {"useDotenv", "files .env are not read: set the variables for the command"},
    {"build", "Mayfly does not bundle: build before, or name the built files"},
    {"stages", "of the stages only params are read, under params"},
    {"configurationVersion", "it is for the framework itself"}};

}  // namespace

std::string logical_part(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '-')
      out += "Dash";
    else if (c == '_')
      out += "Underscore";
    else
      out += c;
  }
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 32);
  return out;
}

Value one_mapping(const Value& value) {
  if (!value.is_list()) return value;
  Value out;
  out.kind = Value::Kind::map;
  out.place = value.place;
  for (const auto& item : value.items) {
    if (item.is_null() || item.is_unknown()) continue;
    if (!item.is_map()) wrong(item, "must be a mapping.");
    for (const auto& [key, member] : item.members) {
      Value* there = out.find(key);
      if (there == nullptr)
        out.members.emplace_back(key, member);
      else if (there->is_map() && member.is_map())
        there->members.insert(there->members.end(), member.members.begin(), member.members.end());
      else
        wrong(member, "it is there twice.");
    }
  }
  return out;
}

ServerlessReader::ServerlessReader(Project& project, const Surroundings& around, Names names)
    : builder_(project, around, names.service + "-" + names.stage),
      report_(builder_.report()),
      intrinsics_(builder_.intrinsics()),
      project_(project),
      names_(std::move(names)) {
  builder_.set_region(names_.region);
  // What the framework leaves out of every package; patterns may take it in again.
  patterns_ = {"!.git/**",       "!.gitignore",     "!.DS_Store",
               "!npm-debug.log", "!.serverless/**", "!.serverless_plugins/**",
               "!.env",          "!.env.*",         "!" + around.file};
}

void ServerlessReader::read(const Value& document) {
  Section top(document, report_);
  top.take("service", [&](const Value& v) {
    report_.made(v, fmt::format("application {}", builder_.stack()));
    if (!v.is_map()) return;
    Section service(v, report_);
    service.text("name");
    service.finish({{"awsKmsKeyArn", "Mayfly has no keys of KMS"}});
  });
  const Value* version = top.look("frameworkVersion");
  if (version != nullptr) report_.not_used(*version, "read as version 3 would");
  name_things(document);
  const Value* provider = top.look("provider");
  if (provider == nullptr)
    wrong(document, "it has no provider: 'provider: {name: aws, runtime: ...}'.");
  read_provider(*provider);
  top.take("package", [&](const Value& v) { read_package(v); });
  top.take("functions", [&](const Value& v) {
    const Value functions = one_mapping(v);
    if (!functions.is_map()) wrong(v, "must be a mapping (NAME: function).");
    for (const auto& [key, function] : functions.members)
      read_function(key, intrinsics_.resolve(function));
  });
  top.take("resources", [&](const Value& v) { read_resources(v); });
  top.take("plugins", [&](const Value& v) { read_plugins(v); });
  for (const char* key : {"custom", "params"})
    top.take(key, [&](const Value& v) { report_.used(v, "read where variables name it"); });
  top.take("layers", [&](const Value& v) {
    if (!v.is_map()) wrong(v, "must be a mapping (NAME: layer).");
    for (const auto& [key, layer] : v.members) read_layer(key, intrinsics_.resolve(layer));
  });
  top.finish(kServiceReasons);
  builder_.finish();
}

void ServerlessReader::read_plugins(const Value& plugins) {
  const Value* list = plugins.is_map() ? plugins.find("modules") : &plugins;
  if (list == nullptr || !list->is_list()) return report_.not_used(plugins, "plugins are not run");
  for (const auto& plugin : list->items) {
    const std::string name = plugin.is_scalar() ? plugin.text.substr(0, 100) : "it";
    const bool builds =
        name.find("esbuild") != std::string::npos || name.find("webpack") != std::string::npos ||
        name.find("typescript") != std::string::npos || name.find("bundle") != std::string::npos;
    const bool installs = name.find("python-requirements") != std::string::npos;
    report_.not_used(plugin, builds ? name + " is not run: build before, and name the built files"
                             : installs ? name + " is not run: the server installs requirements.txt"
                                        : name + " is not run");
  }
}

void ServerlessReader::read_provider(const Value& given) {
  const Value provider = intrinsics_.resolve(given);
  Section s(provider, report_);
  if (const std::string name = s.text("name", "aws"); name != "aws")
    wrong(*provider.find("name"),
          fmt::format("projects for aws are read, not for '{}'.", name.substr(0, 40)));
  s.text("stage");
  s.text("region");
  provider_.runtime = s.text("runtime");
  s.take("memorySize", [&](const Value& v) {
    provider_.memory_mb = static_cast<std::uint32_t>(whole_of(v, 128, 10'240));
    report_.used(v);
  });
  s.take("timeout", [&](const Value& v) {
    provider_.timeout_ms = static_cast<std::uint32_t>(whole_of(v, 1, 900) * 1000);
    report_.used(v);
  });
  s.take("environment", [&](const Value& v) { provider_.environment = v; });
  for (const char* key : {"tags", "stackTags"})
    s.take(key, [&](const Value& v) {
      for (auto& [name, text] : tags_of(v)) provider_.tags[name] = text;
      report_.used(v, "tags of every function");
    });
  s.take("httpApi", [&](const Value& v) {
    Section api(v, report_);
    provider_.payload = api.text("payload", "2.0");
    api.take("cors", [&](const Value& cors) {
      Cors made = cors_from(cors, report_);
      if (!made.allow_origins.empty())
        builder_.set_cors(cors, std::move(made), "CORS of all routes");
    });
    api.take("authorizers", [&](const Value& one) { read_authorizers(one); });
    api.finish({{"name", "routes are the gateway's"},
                {"id", "routes are the gateway's"},
                {"metrics", "/metrics has the figures"},
                {"timeout", "the function's own timeout counts"},
                {"shouldStartNameWithService", "routes are the gateway's"},
                {"useProviderTags", "routes have no tags here"},
                {"disableDefaultEndpoint", "the gateway answers to every name"}});
  });
  s.take("websocketsApiRouteSelectionExpression", [&](const Value& v) {
    selection_ = filled_text_of(v);
    report_.used(v);
  });
  provider_.policy = s.has("resourcePolicy");
  s.take("apiGateway", [&](const Value& v) {
    Section api(v, report_);
    read_usage(api);
    provider_.policy = provider_.policy || api.has("resourcePolicy");
    api.finish({{"binaryMediaTypes", "bodies that are not text arrive in base64"},
                {"shouldStartNameWithService", "routes are the gateway's"},
                {"minimumCompressionSize", "answers are not compressed"},
                {"restApiId", "routes are the gateway's"},
                {"restApiRootResourceId", "routes are the gateway's"},
                {"resourcePolicy", "Mayfly checks none: routes of http are not made"},
                {"metrics", "/metrics has the figures"},
                {"disableDefaultEndpoint", "the gateway answers to every name"}});
  });
  s.take("ecr", [&](const Value& v) {
    Section ecr(v, report_);
    ecr.take("images", [&](const Value& images) {
      if (!images.is_map()) wrong(images, "must be a mapping (name: uri).");
      for (const auto& [name, image] : images.members) {
        const Value* uri = image.is_map() ? image.find("uri") : &image;
        if (uri != nullptr && uri->is_scalar())
          provider_.images[name] = *uri;
        else
          report_.not_used(image, "images are not built here: `mayfly image import` brings one");
      }
      report_.used(images);
    });
    ecr.finish({{"scanOnPush", "images are not pushed anywhere"}});
  });
  s.take("layers", [&](const Value& v) { provider_.layers = builder_.layers_of(v); });
  read_provider_rights(s);
  s.finish(kProviderReasons);
}

void ServerlessReader::read_provider_rights(Section& s) {
  PolicyReader policy(builder_, report_);
  const auto statements = [&](Section& where, const char* key) {
    where.take(key, [&](const Value& v) {
      provider_.rights_told = true;
      policy.read_statements(v);
    });
  };
  const auto managed = [&](Section& where, const char* key) {
    where.take(key, [&](const Value& v) {
      provider_.rights_told = true;
      policy.read_policies(v);
    });
  };
  statements(s, "iamRoleStatements");
  managed(s, "iamManagedPolicies");
  s.take("iam", [&](const Value& iam) {
    Section section(iam, report_);
    section.take("role", [&](const Value& v) {
      if (!v.is_map()) return report_.not_used(v, "kept as a note: Mayfly has no roles");
      Section role(v, report_);
      statements(role, "statements");
      managed(role, "managedPolicies");
      role.finish({{"name", "Mayfly has no roles"},
                   {"path", "Mayfly has no roles"},
                   {"permissionBoundary", "Mayfly has no roles"},
                   {"permissionsBoundary", "Mayfly has no roles"},
                   {"tags", "Mayfly has no roles"}});
    });
    section.finish({{"deploymentRole", "a deploy goes to the server itself"}});
  });
  provider_.rights = policy.statements();
}

void ServerlessReader::read_package(const Value& package) {
  Section s(package, report_);
  const auto patterns = [&](const char* key, bool leave_out) {
    s.take(key, [&](const Value& v) {
      for (const auto& pattern : texts_of(v)) patterns_.push_back((leave_out ? "!" : "") + pattern);
      report_.used(v);
    });
  };
  patterns("exclude", true);
  patterns("include", false);
  patterns("patterns", false);
  individually_ = s.flag("individually", false);
  artifact_ = s.text("artifact");
  s.finish({{"excludeDevDependencies",
             "node_modules is packaged as it is; without one the server "
             "installs what package.json asks for"},
            {"path", "packages go to the server itself"}});
}

std::string ServerlessReader::full_name(const std::string& key, const Value& function) const {
  if (const Value* name = function.find("name"); name != nullptr && !name->is_null())
    return filled_text_of(intrinsics_.resolve(*name));
  return builder_.made_up_name(function, key);
}

void ServerlessReader::name_things(const Value& document) {
  builder_.set_pseudo_parameters();
  builder_.add_stage(names_.stage);
  for (const std::string api : {"HttpApi", "ApiGatewayRestApi"}) {
    builder_.add_api(api);
    intrinsics_.set_resource(
        api, {"AWS::ApiGatewayV2::Api", api, {{"ApiEndpoint", builder_.around().gateway}}});
  }
  builder_.add_socket_api(kSocketApi);
  intrinsics_.set_resource(
      kSocketApi, {"AWS::ApiGatewayV2::Api", kSocketApi, {{"ApiEndpoint", builder_.socket_url()}}});
  intrinsics_.set_resource("IamRoleLambdaExecution", {"AWS::IAM::Role", std::nullopt, {}});
  if (const Value* functions = document.find("functions")) {
    const Value all = one_mapping(*functions);
    for (const auto& [key, function] : all.members) {
      const std::string name = full_name(key, function);
      function_names_[key] = name;
      CloudResource made{"AWS::Lambda::Function", name, {{"Arn", builder_.function_arn(name)}}};
      intrinsics_.set_resource(logical_part(key) + "LambdaFunction", made);
      if (function.find("url") != nullptr)
        intrinsics_.set_resource(logical_part(key) + "LambdaFunctionUrl",
                                 {"AWS::Lambda::Url",
                                  builder_.function_arn(name),
                                  {{"FunctionUrl", builder_.function_url(name, "")}}});
    }
  }
  if (const Value* layers = document.find("layers"))
    for (const auto& [key, layer] : layers->members) {
      const Value* name = layer.find("name");
      const Value named = name == nullptr ? Value() : intrinsics_.resolve(*name);
      intrinsics_.set_resource(logical_part(key) + "LambdaLayer",
                               {"AWS::Lambda::LayerVersion",
                                builder_.layer_arn(named.is_scalar() ? filled_text_of(named) : key),
                                {}});
    }
  const Value* given = document.find("resources");
  if (given == nullptr || given->is_null()) return;
  const Value resources = one_mapping(*given);
  if (const Value* conditions = resources.find("Conditions"))
    intrinsics_.set_conditions(*conditions);
  if (const Value* mappings = resources.find("Mappings")) intrinsics_.set_mappings(*mappings);
  const Value* list = resources.find("Resources");
  if (list == nullptr) return;
  for (const auto& [logical, raw] : list->members) {
    const Value* type = raw.find("Type");
    intrinsics_.set_resource(
        logical, {type != nullptr && type->is_scalar() ? type->text : "no type", std::nullopt, {}});
  }
  for (int round = 0; round < 2; ++round)
    for (const auto& [logical, raw] : list->members) name_resource(builder_, logical, raw);
}

void ServerlessReader::read_resources(const Value& given) {
  const Value resources = one_mapping(given);
  Section s(resources, report_);
  s.take("Resources", [&](const Value& all) {
    if (!all.is_map()) wrong(all, "must be a mapping (Name: resource).");
    for (const auto& [logical, raw] : all.members) {
      Section resource(raw, report_);
      const Value* given_type = resource.look("Type");
      if (given_type == nullptr) wrong(raw, "it has no Type.");
      const std::string type = text_of(*given_type);
      if (const Value* condition = resource.look("Condition");
          condition != nullptr && !intrinsics_.condition(text_of(*condition), *condition)) {
        report_.not_used(raw, "its condition " + condition->text + " is false");
        continue;
      }
      Value none;
      none.kind = Value::Kind::map;
      none.place = raw.place;
      const Value* properties = resource.look("Properties");
      if (type.ends_with("::Function")) {
        report_.not_used(raw, "functions of a service are those under functions");
        continue;
      }
      if (!is_made(type)) {
        report_.not_used(raw, why_not_made(type));
        continue;
      }
      resource.finish({{"DependsOn", "the order is Mayfly's own"},
                       {"DeletionPolicy", "nothing is removed by a deploy"},
                       {"UpdateReplacePolicy", "nothing is replaced by a deploy"}});
      read_cloud_resource(builder_, logical, type, raw,
                          intrinsics_.resolve(properties == nullptr ? none : *properties));
    }
  });
  s.take("Outputs", [&](const Value& v) { read_outputs(v); });
  for (const char* key : {"Conditions", "Mappings"})
    s.take(key, [&](const Value& v) { report_.used(v); });
  s.text("Description");
  s.finish({{"extensions", "the framework's own resources are not made"},
            {"Parameters", "there is no stack that would ask for them"},
            {"Transform", "templates are not transformed"}});
}

void ServerlessReader::read_outputs(const Value& outputs) {
  if (!outputs.is_map()) wrong(outputs, "must be a mapping (Name: output).");
  for (const auto& [name, output] : outputs.members) {
    Section s(output, report_);
    Output made;
    made.name = name;
    made.description = s.text("Description");
    s.take("Value", [&](const Value& v) {
      const Value value = intrinsics_.resolve(v);
      if (value.is_unknown()) return report_.not_used(v, value.text);
      made.value = builder_.at_gateway(json_text_of(value));
      project_.outputs.push_back(made);
      report_.used(v);
    });
    s.finish({{"Export", "Mayfly has no exports for other stacks"},
              {"Condition", "outputs are given whatever their condition"}});
  }
}

Result<Project> read_serverless_yml(std::string_view text, const Surroundings& around) {
  return read_safely(around, [&](Project& project) {
    const Value document = load_document(text, around.file);
    if (!document.is_map())
      wrong(document, "must be a mapping with service, provider and functions.");
    Budget budget;
    Variables variables(document, around, budget);
    const Value* service = document.find("service");
    if (service == nullptr) wrong(document, "it has no service: the name of the application.");
    ServerlessReader::Names names;
    names.stage = variables.stage();
    names.region = variables.region();
    const Value resolved = variables.resolve(document);
    const Value* named = resolved.find("service");
    if (named->is_map()) named = named->find("name");
    if (named == nullptr) wrong(*service, "it has no name.");
    names.service = filled_text_of(*named);
    demand(*named, check_name("application", names.service + "-" + names.stage));
    ServerlessReader(project, around, names).read(resolved);
  });
}

}  // namespace mayfly::functions::projects
