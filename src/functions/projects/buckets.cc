// What of a project lies in buckets of this server or is made of images that it has: code in S3,
// buckets as resources, container images.

#include <fmt/format.h>

#include "functions/image_config.h"
#include "functions/projects/cloud_resources.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::string_view kScheme = "s3://";

std::string member_text(const Value& map, std::string_view name) {
  const Value* found = map.find(name);
  return found == nullptr || found->is_null() ? std::string() : filled_text_of(*found);
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

}  // namespace

bool is_in_bucket(std::string_view path) {
  return path.starts_with(kScheme);
}

std::string code_place(const Value& value) {
  if (value.is_scalar()) {
    std::string path = filled_text_of(value);
    if (!is_in_bucket(path)) return path;
    const auto slash = path.find('/', kScheme.size());
    if (slash == std::string::npos || slash == kScheme.size() || slash + 1 == path.size())
      wrong(value, "must be s3://BUCKET/KEY.");
    return path;
  }
  if (!value.is_map())
    wrong(value, "must be a folder or zip of the project, s3://BUCKET/KEY, or {Bucket, Key}.");
  std::string bucket, key, version;
  for (const char* prefix : {"", "S3"}) {
    const std::string lead(prefix);
    if (bucket.empty()) bucket = member_text(value, lead + "Bucket");
    if (key.empty()) key = member_text(value, lead + "Key");
  }
  for (const char* name : {"Version", "S3ObjectVersion"})
    if (version.empty()) version = member_text(value, name);
  if (bucket.empty() || key.empty()) wrong(value, "code in S3 wants both its bucket and its key.");
  if (!version.empty() && version != "null")
    wrong(value, "buckets keep no versions here: leave the version of the object out.");
  return std::string(kScheme) + bucket + "/" + key;
}

ImageProgram image_program_of(const Value& config, Report& report, bool upper) {
  Section s(config, report);
  ImageProgram program;
  const auto list = [&](const char* key, std::vector<std::string>& into) {
    s.take(key, [&](const Value& v) {
      into = texts_of(v);
      report.used(v);
    });
  };
  list(upper ? "EntryPoint" : "entryPoint", program.entrypoint);
  list(upper ? "Command" : "command", program.command);
  program.workdir = s.text(upper ? "WorkingDirectory" : "workingDirectory");
  s.finish({{"uri", ""}, {"name", ""}});
  return program;
}

void set_image(const Value& at, const std::string& uri, Settings& settings) {
  demand(at, [&] {
    const auto name = parse_image_name(uri);
    return name.has_error() ? Status(name.error()) : ok();
  }());
  settings.image.uri = uri;
}

Manifest::BucketEvent bucket_event_of(const Value& rules, Manifest::BucketEvent event,
                                      Report& report) {
  if (!rules.is_list()) wrong(rules, "must be a list of rules: prefix and suffix.");
  for (const auto& rule : rules.items) {
    const Value* name = rule.is_map() ? rule.find("Name") : nullptr;
    const Value* value = rule.is_map() ? rule.find("Value") : nullptr;
    for (const bool prefix : {true, false}) {  // serverless.yml: {prefix: uploads/}
      const Value* own = rule.is_map() ? rule.find(prefix ? "prefix" : "suffix") : nullptr;
      if (own == nullptr && name != nullptr && value != nullptr &&
          lower_case(text_of(*name)) == (prefix ? "prefix" : "suffix"))
        own = value;
      if (own != nullptr) (prefix ? event.prefix : event.suffix) = text_of(*own);
    }
    report.used(rule);
  }
  return event;
}

void read_bucket_resource(Builder& b, const std::string& logical, const Value& at,
                          const Value& properties) {
  Section s(properties, b.report());
  const std::string name = *b.intrinsics().resource(logical)->ref;
  s.text("BucketName");
  s.finish({{"Tags", "mayfly deploy sets no tags of buckets: `aws s3api put-bucket-tagging` does"},
            {"VersioningConfiguration", "buckets keep no versions here"},
            {"BucketEncryption", "buckets are not encrypted here"},
            {"PublicAccessBlockConfiguration", "nothing in a bucket is public here"},
            {"OwnershipControls", "all buckets belong to one account"},
            {"AccessControl", "all buckets belong to one account"},
            {"LifecycleConfiguration", "objects stay until somebody removes them"},
            {"NotificationConfiguration", "it is made of the S3 events of functions"},
            {"CorsConfiguration", "every request to a bucket is signed, and none comes from pages"},
            {"WebsiteConfiguration", "static folders of mayfly.yaml are served by the gateway"},
            {"LoggingConfiguration", "accesses are not logged"}});
  b.add_bucket(at, name);
}

}  // namespace mayfly::functions::projects
