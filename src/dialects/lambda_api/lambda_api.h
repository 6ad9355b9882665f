#pragma once
// AWS Lambda's control API (API version 2015-03-31) over Mayfly's functions: what `aws lambda`,
// boto3, the SDKs, SAM and Terraform speak. What `mayfly deploy` made is seen here, and the
// reverse. docs/reference/lambda.md says which operations there are and what differs.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "aws/service.h"
#include "buckets/buckets.h"
#include "dialects/lambda_api/configuration.h"
#include "dialects/lambda_api/names.h"
#include "dialects/lambda_api/settings.h"
#include "dialects/native/package_keeper.h"
#include "engine/deployer.h"
#include "engine/dispatcher.h"
#include "functions/catalogue.h"
#include "functions/packages.h"
#include "identity/access_keys.h"

namespace mayfly::triggers {
class AsyncCalls;
class QueueTriggers;
struct Mapping;
}  // namespace mayfly::triggers

namespace mayfly::dialects::lambda_api {

// Belongs to the engine's loop; outlives the calls that it runs.
class LambdaApi : public aws::Service {
 public:
  struct Parts {
    functions::Catalogue& catalogue;
    functions::Packages& packages;
    engine::Dispatcher& dispatcher;
    engine::Deployer& deployer;
    triggers::AsyncCalls& calls;
    triggers::QueueTriggers& triggers;
    buckets::Buckets& buckets;
    identity::AccessKeys& keys;
    io::BlockingPool& pool;
    const Clock& clock;
    std::shared_ptr<native::PackageKeeper> keeper;
    std::function<void()> changed;  // functions or versions have come or gone
    LambdaSettings settings;
    std::string region, account;
  };
  explicit LambdaApi(Parts parts);

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;
  io::Task<aws::Outcome<io::HttpResponse>> answer(aws::Call call, std::string body) override;

  // Where the gateway is; before the first call. In front of /url/ID.
  void set_gateway_url(std::string url) { gateway_url_ = std::move(url); }

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;
  using Response = io::Task<aws::Outcome<io::HttpResponse>>;

  Answer call_more(aws::Call call);  // lambda_api.cc: what is beside functions

  // functions.cc
  Answer create_function(aws::Call call);
  Answer get_function(aws::Call call);
  Answer list_functions(aws::Call call);
  Answer list_versions(aws::Call call);
  Answer get_configuration(aws::Call call);
  Answer delete_function(aws::Call call);
  // updates.cc
  Answer update_code(aws::Call call);
  Answer update_configuration(aws::Call call);
  Answer publish_version(aws::Call call);
  // Of the archive; "" when input names none.
  io::Task<aws::Outcome<std::string>> take_code(Object code);
  // A zip archive, of which first has two bytes or more if there are as many.
  io::Task<aws::Outcome<std::string>> keep_code(std::string first, io::BodyReaderPtr more);
  // The same, or the tree of an image, which settings then name; they are there until the end.
  io::Task<aws::Outcome<std::string>> take_source(Object code, bool image,
                                                  functions::Settings& settings);
  io::Task<aws::Outcome<std::string>> take_image_source(Object code, functions::Settings& settings);
  // bucket_code.cc
  io::Task<aws::Outcome<std::string>> take_from_bucket(Object code);
  io::Task<aws::Outcome<functions::VersionPtr>> deploy(std::string name,
                                                       functions::Settings settings,
                                                       std::string package, functions::Along along);
  io::Task<Object> describe(functions::VersionPtr version, std::string qualifier);
  io::Task<std::uint64_t> archive_bytes(std::string package);
  // The version that FunctionName and Qualifier of input name.
  aws::Outcome<functions::VersionPtr> version_of(const Object& input, FunctionRef& ref) const;
  aws::Outcome<void> check_revision(const Object& input, const std::string& revision) const;

  // package_link.cc
  std::string package_link(const aws::Call& call, const std::string& package) const;
  Response get_package(aws::Call call);

  // invoke.cc
  Response invoke(aws::Call call, std::string body);
  Response invoke_event(FunctionRef ref, functions::VersionPtr version, aws::Call call,
                        std::string body);
  io::Task<aws::Outcome<engine::Answer>> run(functions::VersionPtr version, aws::Call call,
                                             std::string body, std::string client_context);

  // aliases.cc
  Answer put_alias(aws::Call call);
  Answer get_alias(aws::Call call);
  Answer list_aliases(aws::Call call);
  Answer delete_alias(aws::Call call);
  Object alias_info(const std::string& function, const std::string& name,
                    const functions::Alias& alias) const;

  // belongings.cc: tags, policies, limits, and what is only kept
  Answer concurrency(aws::Call call);
  Answer tags(aws::Call call);
  Answer mapping_tags(aws::Call call, std::string id);
  Answer add_permission(aws::Call call);
  Answer get_policy(aws::Call call);
  Answer remove_permission(aws::Call call);
  Answer kept(aws::Call call);
  Answer account_settings();

  // provisioned.cc
  Answer put_provisioned(aws::Call call);
  Answer get_provisioned(aws::Call call);
  Answer list_provisioned(aws::Call call);
  Answer delete_provisioned(aws::Call call);
  Answer scaling_config(aws::Call call);
  // How many instances are to stand ready may have changed.
  void keep_warm(const std::string& function);
  aws::Outcome<void> check_provisioned(const FunctionRef& ref, const functions::Version& version,
                                       std::int64_t calls) const;
  Object provisioned_info(const std::string& function, const std::string& qualifier,
                          const functions::Provisioned& provisioned) const;

  // mappings.cc
  Answer create_mapping(aws::Call call);
  Answer update_mapping(aws::Call call);
  Answer delete_mapping(aws::Call call);
  Answer get_mapping(aws::Call call);
  Answer list_mappings(aws::Call call);
  Object mapping_info(const triggers::Mapping& mapping, std::string_view state = {}) const;

  // layers.cc
  Answer call_layers(aws::Call call);
  Answer publish_layer(aws::Call call);
  Answer get_layer(aws::Call call);
  Answer list_layers(aws::Call call);
  Answer list_layer_versions(aws::Call call);
  Answer delete_layer(aws::Call call);
  Answer add_layer_permission(aws::Call call);
  Answer get_layer_policy(aws::Call call);
  Answer remove_layer_permission(aws::Call call);
  // The version that LayerName and VersionNumber, or Arn, of input name.
  aws::Outcome<functions::LayerVersionPtr> layer_of(const Object& input) const;
  Object layer_info(const functions::LayerVersion& layer) const;
  // Layers of input, when it names any, into settings.
  aws::Outcome<void> take_layers(const Object& input, functions::Settings& settings) const;

  // urls.cc
  Answer put_url(aws::Call call);
  Answer get_url(aws::Call call);  // and delete
  Answer list_urls(aws::Call call);
  Object url_info(const std::string& function, const std::string& alias,
                  const std::string& text) const;

  // event_invoke.cc
  Answer put_event_invoke(aws::Call call);
  Answer get_event_invoke(aws::Call call);
  Answer list_event_invokes(aws::Call call);
  Answer delete_event_invoke(aws::Call call);
  Object event_invoke_info(const std::string& function, const std::string& qualifier,
                           const functions::AsyncSettings& async, std::int64_t changed_us) const;
  io::Task<Status> keep_event_invoke(FunctionRef ref, std::uint64_t number,
                                     functions::AsyncSettings async);

  Parts parts_;
  Home home_;
  std::string gateway_url_;
  std::set<std::string> creating_;  // names that a CreateFunction is at work on
  std::map<std::string, std::uint64_t> archive_sizes_;
};

}  // namespace mayfly::dialects::lambda_api
