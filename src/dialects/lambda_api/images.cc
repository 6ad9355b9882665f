#include "dialects/lambda_api/images.h"

#include "dialects/aws_values.h"
#include "dialects/lambda_api/faults.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Outcome;
using functions::Settings;

namespace {

constexpr std::string_view kImageType = "Image";

// What is never said of a function that is an image.
constexpr const char* kNotOfImages[] = {"Runtime", "Handler", "Layers"};

std::string repository_of(const std::string& uri) {
  std::string name = uri.substr(0, uri.find('@'));
  const auto slash = name.rfind('/');
  const auto colon = name.find(':', slash == std::string::npos ? 0 : slash);
  return name.substr(0, colon);
}

bool names_any(const json::object& input, const char* member) {
  const json::value* value = input.if_contains(member);
  if (value == nullptr || value->is_null()) return false;
  if (const auto* list = value->if_array()) return !list->empty();
  const auto* text = value->if_string();
  return text == nullptr || !text->empty();
}

}  // namespace

Outcome<bool> wants_image(const json::object& input) {
  const std::string type = text_member(input, "PackageType");
  if (!type.empty() && type != "Zip" && type != kImageType)
    return validation(type.substr(0, 100), "packageType",
                      "Member must satisfy enum value set: [Image, Zip]");
  const auto* code = object_member(input, "Code");
  const bool uri = code != nullptr && names_any(*code, "ImageUri");
  if (type != kImageType) {
    if (uri)
      return invalid_parameter(
          "Please don't provide ImageUri when the intended function PackageType is Zip.");
    if (object_member(input, "ImageConfig") != nullptr)
      return invalid_parameter(
          "Please don't provide ImageConfig when the intended function PackageType is Zip.");
    return false;
  }
  for (const char* member : kNotOfImages)
    if (names_any(input, member))
      return invalid_parameter(
          "Please don't provide Handler or Runtime or Layer when the intended function PackageType "
          "is Image.");
  if (!uri || code->contains("ZipFile") || code->contains("S3Bucket") || code->contains("S3Key"))
    return invalid_parameter(
        "Please provide ImageUri, and no other code, when the intended function PackageType is "
        "Image.");
  return true;
}

Outcome<void> check_package_type(const json::object& input, const Settings& present) {
  if (present.image.uri.empty()) {
    if (names_any(input, "ImageUri"))
      return invalid_parameter(
          "Please don't provide ImageUri when updating a function with packageType Zip.");
    if (object_member(input, "ImageConfig") != nullptr)
      return invalid_parameter(
          "Please don't provide ImageConfig when updating a function with packageType Zip.");
    return {};
  }
  for (const char* member : kNotOfImages)
    if (names_any(input, member))
      return invalid_parameter(
          "Please don't provide Handler or Runtime or Layer when updating a function with "
          "packageType Image.");
  if (input.contains("ZipFile") || input.contains("S3Bucket") || input.contains("S3Key"))
    return invalid_parameter(
        "Please provide ImageUri when updating a function with packageType Image.");
  return {};
}

void take_image_config(const json::object& input, Settings& settings) {
  const auto* config = object_member(input, "ImageConfig");
  if (config == nullptr) return;
  settings.image.over = {texts_member(*config, "EntryPoint"), texts_member(*config, "Command"),
                         text_member(*config, "WorkingDirectory")};
}

Outcome<std::string> take_image(const json::object& code, const functions::Images& images,
                                Settings& settings) {
  const std::string uri = text_member(code, "ImageUri");
  if (uri.empty())
    return invalid_parameter(
        "Please provide ImageUri when updating a function with packageType Image.");
  settings.image.uri = uri;
  settings.runtime = "provided";  // it speaks the Runtime API
  settings.handler.clear();
  auto tree = images.resolve(settings.image);
  if (tree.has_error())
    return invalid_parameter("Source image " + uri.substr(0, 300) + " is not valid. " +
                             tree.error().message);
  return Outcome<std::string>(boost::system::in_place_value, std::move(*tree));
}

void show_image(const Settings& settings, json::object& configuration) {
  if (settings.image.uri.empty()) {
    configuration["PackageType"] = "Zip";
    return;
  }
  configuration["PackageType"] = kImageType;
  for (const char* member : {"Runtime", "Handler", "RuntimeVersionConfig"})
    configuration.erase(member);
  configuration["CodeSize"] = 0;
  configuration["CodeSha256"] = functions::digest_hex(settings.image.digest);
}

json::object image_code(const Settings& settings) {
  return json::object{
      {"RepositoryType", "ECR"},
      {"ImageUri", settings.image.uri},
      {"ResolvedImageUri", repository_of(settings.image.uri) + "@" + settings.image.digest}};
}

}  // namespace mayfly::dialects::lambda_api
