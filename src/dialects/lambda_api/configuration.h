#pragma once
// Between Lambda's FunctionConfiguration and Mayfly's settings. What Mayfly has no use for is kept
// with the settings as it came, and given back. Pure.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>

#include "aws/service.h"
#include "dialects/lambda_api/names.h"
#include "functions/runtimes.h"
#include "functions/types.h"

namespace mayfly::dialects::lambda_api {

struct ConfigurationLimits {
  std::size_t env_bytes_max = 4096;  // setting lambda.env_bytes_max
  std::uint32_t memory_mb_max = 10'240;
  std::uint32_t timeout_ms_max = 900'000;
};

// Takes what the input of CreateFunction or UpdateFunctionConfiguration names into settings; what
// it does not name stays.
aws::Outcome<void> take_configuration(const boost::json::object& input,
                                      const functions::RuntimeTable& runtimes,
                                      const ConfigurationLimits& limits,
                                      functions::Settings& settings);

// SourceKMSKeyArn of code: kept and given back; code that names none has none.
aws::Outcome<void> take_source_key(const boost::json::object& code, functions::Settings& settings);
std::string source_key(const functions::Settings& settings);

// What a new function has that nobody asked otherwise for: Lambda's defaults.
functions::Settings new_settings();

// How the layers of settings.layers are shown: [{"Arn","CodeSize"}].
void keep_layers(functions::Settings& settings, boost::json::array layers);

struct CodeFacts {
  std::uint64_t bytes = 0;  // of the archive
};
// qualifier: by which the version was asked for; an alias shows in the ARN.
boost::json::object configuration_of(const functions::Version& version, const Home& home,
                                     const CodeFacts& code, const std::string& qualifier = {});

// "$LATEST" or the number.
std::string version_text(const functions::Version& version);
// Base64 of the SHA-256 that names a package in hex.
std::string code_sha256(const std::string& package);
// What CodeSha256 is: that, or in hex the digest of an image.
std::string code_digest(const functions::Version& version);
// 2026-09-01T10:00:00.000+0000
std::string lambda_time(std::int64_t epoch_us);

}  // namespace mayfly::dialects::lambda_api
