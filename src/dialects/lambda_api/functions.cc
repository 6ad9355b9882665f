// Functions: made, described, listed, removed.

#include <fmt/format.h>

#include "dialects/aws_values.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/images.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::VersionPtr;

namespace {

// Gives a name back when a CreateFunction is over, however it ends.
class NameTaken {
 public:
  NameTaken(std::set<std::string>& names, const std::string& name)
      : names_(names), name_(name), taken_(names.insert(name).second) {}
  NameTaken(const NameTaken&) = delete;
  NameTaken& operator=(const NameTaken&) = delete;
  ~NameTaken() {
    if (taken_) names_.erase(name_);
  }
  bool taken() const { return taken_; }

 private:
  std::set<std::string>& names_;
  std::string name_;
  bool taken_;
};

// Behind every key of a longer name that begins the same: a space sorts before all that names hold.
std::string page_key(const VersionPtr& version) {
  return fmt::format("{} {:020}", version->function, version->number);
}

}  // namespace

LambdaApi::Answer LambdaApi::create_function(Call call) {
  auto ref = parse_function(text_member(call.input, "FunctionName"));
  if (ref.has_error()) co_return std::move(ref).error();
  if (!ref->qualifier.empty())
    co_return invalid_parameter("The name of a new function has no qualifier.");
  const auto image = wants_image(call.input);
  if (image.has_error()) co_return image.error();
  const std::string& name = ref->name;
  const NameTaken turn(creating_, name);
  if (!turn.taken() || parts_.catalogue.find(name, ""))
    co_return conflict("Function already exist: " + name);
  if (!*image && (!call.input.contains("Runtime") || !call.input.contains("Handler")))
    co_return invalid_parameter(
        "Runtime and Handler are mandatory parameters for functions created with deployment "
        "packages.");
  const auto& defaults = parts_.catalogue.defaults();
  functions::Settings settings = new_settings();
  const auto taken = take_configuration(
      call.input, parts_.catalogue.runtimes(),
      {parts_.settings.env_bytes_max, defaults.memory_mb_max, defaults.timeout_ms_max}, settings);
  if (taken.has_error()) co_return taken.error();
  if (auto good = take_source_key(call.input.at("Code").get_object(), settings); good.has_error())
    co_return good.error();
  if (auto good = take_layers(call.input, settings); good.has_error()) co_return good.error();
  auto tags = map_member(call.input, "Tags");
  if (auto good = check_tags(tags); good.has_error()) co_return good.error();

  auto holding = parts_.keeper->hold();
  const auto hold = co_await std::move(holding);
  take_image_config(call.input, settings);
  auto taking = take_source(call.input.at("Code").get_object(), *image, settings);
  auto package = co_await std::move(taking);
  if (package.has_error()) co_return std::move(package).error();
  functions::Along along{tags, flag_member(call.input, "Publish")};
  auto deploying = deploy(name, std::move(settings), std::move(*package), along);
  auto deployed = co_await std::move(deploying);
  if (deployed.has_error()) co_return std::move(deployed).error();
  if (!tags.empty()) {  // they are there, unless somebody else made the same function meanwhile
    auto tagging = parts_.catalogue.change_belongings(
        name, [tags = std::move(tags)](functions::Belongings& belongings) {
          belongings.tags = tags;
          return ok();
        });
    const Status tagged = co_await std::move(tagging);
    if (tagged.has_error()) co_return lambda_fault(tagged.error());
  }
  VersionPtr version = *deployed;
  if (along.publish) {
    auto publishing = parts_.catalogue.publish(name);
    auto published = co_await std::move(publishing);
    if (published.has_error()) co_return lambda_fault(published.error());
    version = *published;
    parts_.changed();
  }
  auto describing = describe(std::move(version), "");
  co_return co_await std::move(describing);
}

Outcome<VersionPtr> LambdaApi::version_of(const Object& input, FunctionRef& ref) const {
  auto parsed = parse_function(text_member(input, "FunctionName"), text_member(input, "Qualifier"));
  if (parsed.has_error()) return std::move(parsed).error();
  ref = std::move(*parsed);
  VersionPtr version = parts_.catalogue.find(ref.name, ref.qualifier);
  if (!version) return no_function(home_.arn(ref.name, ref.qualifier));
  return version;
}

io::Task<std::uint64_t> LambdaApi::archive_bytes(std::string package) {
  if (const auto known = archive_sizes_.find(package); known != archive_sizes_.end())
    co_return known->second;
  auto measure = [path = parts_.packages.archive(package)] { return file_bytes(path); };
  auto measuring = parts_.pool.run(std::move(measure));
  const std::uint64_t bytes = co_await std::move(measuring);
  if (archive_sizes_.size() > 50'000) archive_sizes_.clear();
  if (bytes > 0) archive_sizes_[package] = bytes;
  co_return bytes;
}

io::Task<json::object> LambdaApi::describe(VersionPtr version, std::string qualifier) {
  std::uint64_t bytes = 0;
  if (!version->is_image()) {
    auto measuring = archive_bytes(version->package);
    bytes = co_await std::move(measuring);
  }
  const CodeFacts facts{bytes};
  co_return configuration_of(*version, home_, facts, qualifier);
}

LambdaApi::Answer LambdaApi::get_configuration(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  auto describing = describe(*version, ref.qualifier);
  co_return co_await std::move(describing);
}

LambdaApi::Answer LambdaApi::get_function(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  auto describing = describe(*version, ref.qualifier);
  Object configuration = co_await std::move(describing);
  Object out{{"Configuration", std::move(configuration)}};
  if ((*version)->is_image())
    out["Code"] = image_code((*version)->settings);
  else
    out["Code"] =
        Object{{"RepositoryType", "Mayfly"}, {"Location", package_link(call, (*version)->package)}};
  if (const std::string key = source_key((*version)->settings); !key.empty())
    out["Code"].as_object()["SourceKMSKeyArn"] = key;
  const auto& belongings = parts_.catalogue.belongings(ref.name);
  if (!belongings.tags.empty()) {
    Object& tags = out["Tags"].emplace_object();
    for (const auto& [key, value] : belongings.tags) tags[key] = value;
  }
  if (belongings.reserved_concurrency)
    out["Concurrency"] = Object{{"ReservedConcurrentExecutions", *belongings.reserved_concurrency}};
  co_return out;
}

LambdaApi::Answer LambdaApi::list_functions(Call call) {
  const std::string which = text_member(call.input, "FunctionVersion");
  if (!which.empty() && which != "ALL")
    co_return validation(which.substr(0, 100), "functionVersion",
                         "Member must satisfy enum value set: [ALL]");
  std::vector<VersionPtr> all = parts_.catalogue.list();
  if (which == "ALL") {
    std::vector<VersionPtr> more;
    for (const auto& latest : all)
      for (auto& version : parts_.catalogue.versions(latest->function))
        more.push_back(std::move(version));
    all = std::move(more);
  }
  auto page = lambda_page(all, call.input, 50, page_key);
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& version : page->first) {
    const std::string qualifier = which == "ALL" ? version_text(*version) : "";
    auto describing = describe(version, qualifier);
    Object one = co_await std::move(describing);
    if (which == "ALL") one["FunctionArn"] = home_.arn(version->function, qualifier);
    list.push_back(std::move(one));
  }
  Object out{{"Functions", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::list_versions(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  auto page = lambda_page(parts_.catalogue.versions(ref.name), call.input, 50, page_key);
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& each : page->first) {
    auto describing = describe(each, "");
    Object one = co_await std::move(describing);
    one["FunctionArn"] = home_.arn(ref.name, version_text(*each));
    list.push_back(std::move(one));
  }
  Object out{{"Versions", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

LambdaApi::Answer LambdaApi::delete_function(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  if (!ref.qualifier.empty()) {
    if (ref.qualifier == "$LATEST")
      co_return invalid_parameter(
          "$LATEST version cannot be deleted without deleting the function.");
    if ((*version)->number == 0 || version_text(**version) != ref.qualifier)
      co_return invalid_parameter("Deletion of aliases is done with DeleteAlias.");
    parts_.keeper->touch((*version)->package);
    auto removing = parts_.catalogue.remove_version(ref.name, (*version)->number);
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return lambda_fault(removed.error());
    parts_.dispatcher.retire(ref.name, (*version)->revision);
    parts_.changed();
  } else {
    for (const auto& each : parts_.catalogue.versions(ref.name))
      parts_.keeper->touch(each->package);
    auto removing = parts_.deployer.remove(ref.name);
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return lambda_fault(removed.error());
  }
  parts_.keeper->collect();
  co_return Object{};
}

}  // namespace mayfly::dialects::lambda_api
