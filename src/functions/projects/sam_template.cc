// read_sam_template: a template of AWS SAM, or of CloudFormation with functions in it.

#include <fmt/format.h>

#include <algorithm>

#include "functions/checks.h"
#include "functions/projects/cloud_resources.h"
#include "functions/projects/sam_reader.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::string_view kTransform = "AWS::Serverless-2016-10-31";

bool is_function(const std::string& type) {
  return type == "AWS::Serverless::Function" || type == "AWS::Lambda::Function";
}

std::string type_of(const Value& resource) {
  const Value* type = resource.find("Type");
  if (type == nullptr || !type->is_scalar()) wrong(resource, "it has no Type.");
  return type->text;
}

// "a, b" of a CommaDelimitedList.
Value list_from(const std::string& text, const PlacePtr& place) {
  Value list;
  list.kind = Value::Kind::list;
  list.place = place;
  for (std::size_t i = 0; i <= text.size();) {
    const auto end = std::min(text.find(',', i), text.size());
    std::string item = text.substr(i, end - i);
    item.erase(0, std::min(item.find_first_not_of(' '), item.size()));
    item.erase(item.find_last_not_of(' ') + 1);
    list.items.push_back(Value::scalar(std::move(item), place));
    i = end + 1;
  }
  return list;
}

}  // namespace

Value merged(const Value& below, const Value& above) {
  if (below.is_null()) return above;
  if (above.is_null()) return below;
  if (below.is_list() && above.is_list() && below.tag.empty() && above.tag.empty()) {
    Value out = above;
    out.items = below.items;
    out.items.insert(out.items.end(), above.items.begin(), above.items.end());
    return out;
  }
  if (!below.is_map() || !above.is_map() || !below.tag.empty() || !above.tag.empty()) return above;
  Value out = above;
  out.members = below.members;
  for (const auto& [key, value] : above.members) {
    if (Value* there = out.find(key))
      *there = merged(*there, value);
    else
      out.members.emplace_back(key, value);
  }
  return out;
}

SamReader::SamReader(Project& project, const Surroundings& around)
    : builder_(project, around, around.stack),
      report_(builder_.report()),
      intrinsics_(builder_.intrinsics()),
      project_(project) {}

void SamReader::read(const Value& document) {
  Section top(document, report_);
  top.text("AWSTemplateFormatVersion");
  top.text("Description");
  top.take("Transform", [&](const Value& v) {
    for (const auto& name : texts_of(v)) {
      if (name == kTransform)
        transformed_ = true;
      else
        report_.not_used(v, "the transform " + name.substr(0, 100) + " is not run");
    }
    if (transformed_) report_.used(v);
  });
  builder_.set_pseudo_parameters();
  top.take("Mappings", [&](const Value& v) {
    intrinsics_.set_mappings(v);
    report_.used(v);
  });
  top.take("Parameters", [&](const Value& v) { read_parameters(v); });
  for (const auto& [name, value] : builder_.around().parameters) {
    const Value* parameters = document.find("Parameters");
    if (parameters == nullptr || parameters->find(name) == nullptr)
      wrong(document, fmt::format("--parameter {}: the template has no parameter of that name.",
                                  name.substr(0, 100)));
  }
  top.take("Conditions", [&](const Value& v) {
    intrinsics_.set_conditions(v);
    report_.used(v);
  });
  const Value* resources = document.find("Resources");
  if (resources == nullptr || !resources->is_map())
    wrong(document, "it has no Resources: a SAM template names its functions there.");
  top.take("Resources", [](const Value&) {});
  if (const Value* globals = document.find("Globals"))
    if (const Value* function = globals->find("Function"))
      if (function->is_map()) global_function_ = *function;
  name_resources(*resources);
  top.take("Globals", [&](const Value& v) { read_globals(v); });
  for (const auto& [logical, raw] : resources->members) read_api_resource(logical, raw);
  if (!global_function_.is_null() &&
      std::none_of(resources->members.begin(), resources->members.end(), [](const auto& one) {
        return type_of(one.second) == "AWS::Serverless::Function";
      }))
    report_.not_used(global_function_, "there is no AWS::Serverless::Function");
  for (const bool functions : {true, false})
    for (const auto& [logical, raw] : resources->members) read_resource(logical, raw, functions);
  top.take("Outputs", [&](const Value& v) { read_outputs(v); });
  top.finish({{"Metadata", "it is for consoles"},
              {"Rules", "rules for parameters are not checked"},
              {"Hooks", "Mayfly has no CloudFormation hooks"}});
  builder_.finish();
}

void SamReader::read_parameters(const Value& parameters) {
  if (!parameters.is_map()) wrong(parameters, "must be a mapping (Name: parameter).");
  for (const auto& [name, parameter] : parameters.members) read_parameter(name, parameter);
}

void SamReader::read_parameter(const std::string& name, const Value& parameter) {
  Section s(parameter, report_);
  const std::string type = s.text("Type", "String");
  std::string text;
  const auto& given = builder_.around().parameters;
  const Value* otherwise = s.look("Default");
  const bool stored = type.starts_with("AWS::SSM::");
  if (const auto own = given.find(name); own != given.end())
    text = own->second;
  else if (stored || otherwise == nullptr)
    wrong(parameter,
          fmt::format("{}: give it with --parameter {}=VALUE.",
                      stored ? "its value is in the Parameter Store, which Mayfly does not have"
                             : "it has no default",
                      name.substr(0, 100)));
  else
    text = text_of(*otherwise);
  s.take("AllowedValues", [&](const Value& v) {
    const auto allowed = texts_of(v);
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end())
      wrong(parameter, fmt::format("'{}' is none of its AllowedValues: {}.", text.substr(0, 100),
                                   fmt::join(allowed, ", ")));
    report_.used(v);
  });
  const bool list = type == "CommaDelimitedList" || type.starts_with("List<");
  Value value = Value::scalar(text, parameter.place);
  if (type == "Number") {
    value.quoted = false;
    if (text.empty() || text.find_first_not_of("0123456789.-+eE") != std::string::npos)
      wrong(parameter, fmt::format("'{}' is no number.", text.substr(0, 100)));
  }
  intrinsics_.set_parameter(name, list ? list_from(text, parameter.place) : value);
  const Value* hidden = parameter.find("NoEcho");
  s.text("Description");
  s.text("NoEcho");
  report_.used(parameter, hidden != nullptr && hidden->text == "true"
                              ? "its value is set"
                              : "is '" + text.substr(0, 100) + "'");
  const char* unchecked = "values are not checked for this";
  s.finish({{"AllowedPattern", unchecked},
            {"MinLength", unchecked},
            {"MaxLength", unchecked},
            {"MinValue", unchecked},
            {"MaxValue", unchecked},
            {"ConstraintDescription", "it is for AllowedPattern"}});
}

void SamReader::read_globals(const Value& globals) {
  Section s(globals, report_);
  s.take("Function", [&](const Value& v) {
    if (!v.is_map()) wrong(v, "must be a mapping.");
  });
  for (const bool http : {false, true})
    s.take(http ? "HttpApi" : "Api", [&](const Value& v) {
      (http ? global_http_api_ : global_api_) = v;
      read_api(http ? "ServerlessHttpApi" : "ServerlessRestApi", v, intrinsics_.resolve(v), http);
    });
  s.finish(
      {{"SimpleTable", "Mayfly does not make tables of DynamoDB"},
       {"StateMachine", "Mayfly does not run state machines"},
       {"LayerVersion", "name the runtimes at the layer itself"},
       {"CapacityProvider", "Mayfly has no capacity providers"},
       {"WebSocketApi", "AWS::Serverless::WebSocketApi is not read; AWS::ApiGatewayV2::Api is"}});
}

void SamReader::name_resources(const Value& resources) {
  for (const auto& [logical, raw] : resources.members) {
    if (!raw.is_map()) wrong(raw, "must be a mapping with Type and Properties.");
    CloudResource only_type;
    only_type.type = type_of(raw);
    if (only_type.type.starts_with("AWS::Serverless::") && !transformed_)
      wrong(raw, fmt::format("{} needs 'Transform: {}' at the top of the template.", only_type.type,
                             kTransform));
    intrinsics_.set_resource(logical, std::move(only_type));
  }
  name_implicit(resources);
  for (int round = 0; round < 2; ++round)
    for (const auto& [logical, raw] : resources.members) name_resource(builder_, logical, raw);
  for (const auto& [logical, raw] : resources.members) {
    if (!is_function(type_of(raw))) continue;
    const auto* made = intrinsics_.resource(logical);
    if (!made->ref) continue;
    const Value* properties = raw.find("Properties");
    const Value* alias = properties == nullptr ? nullptr : properties->find("AutoPublishAlias");
    if (alias == nullptr) alias = global_function_.find("AutoPublishAlias");
    const std::string function = *made->ref;
    const Value name = alias == nullptr ? Value() : intrinsics_.resolve(*alias);
    if ((properties != nullptr && properties->find("FunctionUrlConfig") != nullptr) ||
        global_function_.find("FunctionUrlConfig") != nullptr) {
      CloudResource url{"AWS::Lambda::Url",
                        builder_.function_arn(function),
                        {{"FunctionUrl", builder_.function_url(function, name.text)},
                         {"FunctionArn", builder_.function_arn(function)}}};
      intrinsics_.set_resource(logical + "Url", std::move(url));
    }
    if (intrinsics_.resource(logical + "Role") == nullptr)
      intrinsics_.set_resource(logical + "Role", {"AWS::IAM::Role", std::nullopt, {}});
    if (!name.is_scalar()) continue;
    const std::string arn = builder_.function_arn(function) + ":" + name.text;
    intrinsics_.set_resource(logical + ".Alias", {"AWS::Lambda::Alias", arn, {}});
    intrinsics_.set_resource(logical + "Alias" + name.text, {"AWS::Lambda::Alias", arn, {}});
  }
}

void SamReader::name_implicit(const Value& resources) {
  for (const std::string api : {"ServerlessRestApi", "ServerlessHttpApi"}) {
    if (resources.find(api) != nullptr) continue;
    builder_.add_api(api);
    intrinsics_.set_resource(
        api, {"AWS::Serverless::Api", api, {{"ApiEndpoint", builder_.around().gateway}}});
  }
  builder_.add_stage("Prod");
  builder_.add_stage("Stage");
  intrinsics_.set_resource("ServerlessRestApiProdStage", {"AWS::ApiGateway::Stage", "Prod", {}});
  intrinsics_.set_resource("ServerlessHttpApiApiGatewayDefaultStage",
                           {"AWS::ApiGatewayV2::Stage", "$default", {}});
}

bool SamReader::wanted(Section& resource) {
  resource.look("Type");
  const Value* condition = resource.look("Condition");
  const bool is = condition == nullptr || intrinsics_.condition(text_of(*condition), *condition);
  if (!is) report_.not_used(resource.value(), "its condition " + condition->text + " is false");
  return is;
}

void SamReader::finish_resource(Section& resource) {
  resource.finish({{"DependsOn", "the order is Mayfly's own"},
                   {"DeletionPolicy", "nothing is removed by a deploy"},
                   {"UpdateReplacePolicy", "nothing is replaced by a deploy"},
                   {"Connectors", "Mayfly has no IAM"},
                   {"Metadata", "it is for tools"}});
}

Value SamReader::properties_of(Section& resource, const Value& below) {
  Value none;
  none.kind = Value::Kind::map;
  none.place = resource.value().place;
  const Value* given = resource.look("Properties");
  return intrinsics_.resolve(merged(below, given == nullptr ? none : *given));
}

void SamReader::read_api_resource(const std::string& logical, const Value& raw) {
  const std::string type = type_of(raw);
  const bool http = type == "AWS::Serverless::HttpApi";
  if (!http && type != "AWS::Serverless::Api") return;
  Section s(raw, report_);
  if (!wanted(s)) return;
  const Value properties = properties_of(s, http ? global_http_api_ : global_api_);
  finish_resource(s);
  read_api(logical, raw, properties, http);
}

void SamReader::read_resource(const std::string& logical, const Value& raw, bool functions) {
  const std::string type = type_of(raw);
  if (type == "AWS::Serverless::Api" || type == "AWS::Serverless::HttpApi") return;  // read before
  if (is_function(type) != functions) return;
  Section s(raw, report_);
  if (!wanted(s)) return;
  if (functions) {
    const Value properties =
        properties_of(s, type == "AWS::Serverless::Function" ? global_function_ : Value());
    s.look("Metadata");
    finish_resource(s);
    return read_function(logical, raw, properties);
  }
  if (!is_made(type)) return report_.not_used(raw, why_not_made(type));
  if (type.ends_with("::LayerVersion")) s.look("Metadata");
  const Value properties = properties_of(s, Value());
  finish_resource(s);
  read_cloud_resource(builder_, logical, type, raw, properties);
}

void SamReader::read_outputs(const Value& outputs) {
  if (!outputs.is_map()) wrong(outputs, "must be a mapping (Name: output).");
  for (const auto& [name, output] : outputs.members) {
    Section s(output, report_);
    if (const Value* condition = s.look("Condition");
        condition != nullptr && !intrinsics_.condition(text_of(*condition), *condition)) {
      report_.not_used(output, "its condition " + condition->text + " is false");
      continue;
    }
    Output made;
    made.name = name;
    s.take("Description", [&](const Value& v) {
      const Value text = intrinsics_.resolve(v);
      if (text.is_scalar()) made.description = text.text;
    });
    s.take("Value", [&](const Value& v) {
      const Value value = intrinsics_.resolve(v);
      if (value.is_unknown()) return report_.not_used(v, value.text);
      made.value = builder_.at_gateway(json_text_of(value));
      project_.outputs.push_back(made);
      report_.used(v);
    });
    s.finish({{"Export", "Mayfly has no exports for other stacks"}});
  }
}

Result<Project> read_sam_template(std::string_view text, const Surroundings& around) {
  return read_safely(around, [&](Project& project) {
    const Value document = load_document(text, around.file);
    SamReader(project, around).read(document);
  });
}

}  // namespace mayfly::functions::projects
