// Code and configuration on their way to a new revision; versions.

#include "base/base64.h"
#include "base/log.h"
#include "dialects/aws_values.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/images.h"
#include "dialects/lambda_api/lambda_api.h"

namespace mayfly::dialects::lambda_api {

using aws::Call;
using aws::Outcome;
using functions::VersionPtr;

Outcome<void> LambdaApi::check_revision(const Object& input, const std::string& revision) const {
  const std::string wanted = text_member(input, "RevisionId");
  if (!wanted.empty() && wanted != revision) return wrong_revision();
  return boost::system::in_place_value;
}

io::Task<Outcome<std::string>> LambdaApi::take_code(Object code) {
  if (code.contains("S3Bucket") || code.contains("S3Key")) {
    auto taking = take_from_bucket(std::move(code));
    co_return co_await std::move(taking);
  }
  const boost::json::value* zip = code.if_contains("ZipFile");
  const std::string_view text =
      zip && zip->is_string() ? std::string_view(zip->get_string().data(), zip->get_string().size())
                              : std::string_view();
  if (text.empty()) co_return invalid_parameter("Please provide a source for function code.");
  auto archive = decode_base64(text);
  code.clear();
  auto keeping = keep_code(archive ? std::move(*archive) : std::string(), nullptr);
  co_return co_await std::move(keeping);
}

io::Task<Outcome<std::string>> LambdaApi::keep_code(std::string first, io::BodyReaderPtr more) {
  constexpr std::string_view kBroken =
      "Could not unzip uploaded file. Please check your file, then try to upload again.";
  if (!first.starts_with("PK")) co_return invalid_parameter(std::string(kBroken));
  auto adding = parts_.packages.add(std::move(first), std::move(more));
  auto added = co_await std::move(adding);
  if (added.has_error()) {
    if (added.error().code == Code::invalid_argument)
      co_return invalid_parameter(std::string(kBroken) + " " + added.error().message);
    co_return lambda_fault(added.error());
  }
  parts_.keeper->touch(added->sha256);
  co_return Outcome<std::string>(boost::system::in_place_value, std::move(added->sha256));
}

io::Task<Outcome<std::string>> LambdaApi::take_source(Object code, bool image,
                                                      functions::Settings& settings) {
  if (!image) return take_code(std::move(code));
  return take_image_source(std::move(code), settings);
}

io::Task<Outcome<std::string>> LambdaApi::take_image_source(Object code,
                                                            functions::Settings& settings) {
  auto tree = take_image(code, parts_.catalogue.images(), settings);
  if (tree.has_value()) parts_.keeper->touch(*tree);
  co_return tree;
}

io::Task<Outcome<VersionPtr>> LambdaApi::deploy(std::string name, functions::Settings settings,
                                                std::string package, functions::Along along) {
  const VersionPtr before = parts_.catalogue.find(name, "");
  engine::DeployRequest request{name, std::move(settings), std::move(package), true,
                                std::move(along)};
  auto deploying = parts_.deployer.deploy(request);
  auto deployed = co_await std::move(deploying);
  if (deployed.has_value() && deployed->failure) {
    // As Lambda does it: what does not start is taken all the same, and its calls say why.
    log::info("function {} does not start: {}", name, deployed->failure->message);
    request.check = false;
    auto again = parts_.deployer.deploy(std::move(request));
    deployed = co_await std::move(again);
  }
  if (deployed.has_error()) co_return lambda_fault(deployed.error());
  if (deployed->failure) co_return invalid_parameter(deployed->failure->message);
  // Instances of the old revision may still be at work on its files.
  if (before) parts_.keeper->touch(before->package);
  parts_.keeper->collect();
  co_return deployed->version;
}

LambdaApi::Answer LambdaApi::update_code(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  if (!ref.qualifier.empty() && ref.qualifier != "$LATEST")
    co_return invalid_parameter("Only the code of $LATEST can be changed.");
  if (auto good = check_revision(call.input, (*present)->revision); good.has_error())
    co_return good.error();
  if (auto good = check_package_type(call.input, (*present)->settings); good.has_error())
    co_return good.error();
  functions::Settings settings = (*present)->settings;
  settings.install = false;
  if (auto good = refuse_unserved(call.input); good.has_error()) co_return good.error();
  Object configuration;
  if (call.input.contains("Architectures"))
    configuration["Architectures"] = call.input.at("Architectures");
  const auto& defaults = parts_.catalogue.defaults();
  const auto taken = take_configuration(
      configuration, parts_.catalogue.runtimes(),
      {parts_.settings.env_bytes_max, defaults.memory_mb_max, defaults.timeout_ms_max}, settings);
  if (taken.has_error()) co_return taken.error();
  if (auto good = take_source_key(call.input, settings); good.has_error()) co_return good.error();

  auto holding = parts_.keeper->hold();
  const auto hold = co_await std::move(holding);
  Object code = call.input;
  auto taking = take_source(std::move(code), (*present)->is_image(), settings);
  auto package = co_await std::move(taking);
  if (package.has_error()) co_return std::move(package).error();
  VersionPtr version = *present;
  if (flag_member(call.input, "DryRun")) {
    functions::Version would = *version;
    would.package = *package;
    would.settings.image = settings.image;
    version = std::make_shared<const functions::Version>(std::move(would));
  } else {
    functions::Along along;
    along.publish = flag_member(call.input, "Publish");
    auto deploying = deploy(ref.name, std::move(settings), std::move(*package), along);
    auto deployed = co_await std::move(deploying);
    if (deployed.has_error()) co_return std::move(deployed).error();
    version = *deployed;
    if (along.publish) {  // it is there but for a deploy that changed nothing
      auto publishing = parts_.catalogue.publish(ref.name);
      auto published = co_await std::move(publishing);
      if (published.has_error()) co_return lambda_fault(published.error());
      version = *published;
      parts_.changed();
    }
  }
  auto describing = describe(std::move(version), "");
  Object out = co_await std::move(describing);
  co_return out;
}

LambdaApi::Answer LambdaApi::update_configuration(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  if (!ref.qualifier.empty() && ref.qualifier != "$LATEST")
    co_return invalid_parameter("Only the configuration of $LATEST can be changed.");
  if (auto good = check_revision(call.input, (*present)->revision); good.has_error())
    co_return good.error();
  if (auto good = check_package_type(call.input, (*present)->settings); good.has_error())
    co_return good.error();
  functions::Settings settings = (*present)->settings;
  const auto& defaults = parts_.catalogue.defaults();
  const auto taken = take_configuration(
      call.input, parts_.catalogue.runtimes(),
      {parts_.settings.env_bytes_max, defaults.memory_mb_max, defaults.timeout_ms_max}, settings);
  if (taken.has_error()) co_return taken.error();
  if (auto good = take_layers(call.input, settings); good.has_error()) co_return good.error();
  take_image_config(call.input, settings);
  auto holding = parts_.keeper->hold();
  const auto hold = co_await std::move(holding);
  functions::Along nothing;
  auto deploying = deploy(ref.name, std::move(settings), (*present)->package, nothing);
  auto deployed = co_await std::move(deploying);
  if (deployed.has_error()) co_return std::move(deployed).error();
  auto describing = describe(*deployed, "");
  Object out = co_await std::move(describing);
  co_return out;
}

LambdaApi::Answer LambdaApi::publish_version(Call call) {
  FunctionRef ref;
  auto present = version_of(call.input, ref);
  if (present.has_error()) co_return std::move(present).error();
  if (auto good = check_revision(call.input, (*present)->revision); good.has_error())
    co_return good.error();
  if (auto good = refuse_unserved(call.input); good.has_error()) co_return good.error();
  const std::string digest = text_member(call.input, "CodeSha256");
  if (!digest.empty() && digest != code_digest(**present))
    co_return invalid_parameter("CodeSHA256 (" + digest.substr(0, 100) +
                                ") is different from current CodeSHA256 in $LATEST (" +
                                code_digest(**present) +
                                "). Please try again with the CodeSHA256 in $LATEST.");
  std::optional<std::string> description;
  if (call.input.contains("Description")) description = text_member(call.input, "Description");
  if (description && description->size() > 256)
    co_return validation(description->substr(0, 40) + "...", "description",
                         "Member must have length less than or equal to 256");
  auto publishing = parts_.catalogue.publish(ref.name, std::move(description));
  auto published = co_await std::move(publishing);
  if (published.has_error()) co_return lambda_fault(published.error());
  parts_.changed();
  auto describing = describe(*published, "");
  Object out = co_await std::move(describing);
  co_return out;
}

}  // namespace mayfly::dialects::lambda_api
