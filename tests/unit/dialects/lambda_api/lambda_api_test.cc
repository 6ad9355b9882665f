#include <gtest/gtest.h>

#include <boost/crc.hpp>
#include <boost/json.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "aws/rest.h"
#include "dialects/lambda_api/configuration.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/event_stream.h"
#include "dialects/lambda_api/names.h"
#include "dialects/lambda_api/policies.h"

namespace mayfly::dialects::lambda_api {
namespace {

namespace json = boost::json;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" `");
  const auto last = text.find_last_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

TEST(LambdaContract, IsTheTableOfTheReference) {
  std::ifstream in(std::string(MAYFLY_SOURCE_DIR) + "/docs/reference/lambda.md");
  std::map<std::string, std::string> rows;  // name -> "POST /path 201 yes"
  std::string line;
  while (std::getline(in, line)) {
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string cell; std::getline(parts, cell, '|');) cells.push_back(cell);
    if (cells.size() < 5) continue;
    const std::string request = trimmed(cells[2]);
    const auto blank = request.find(" `");
    if (blank == std::string::npos) continue;
    rows[trimmed(cells[1])] = request.substr(0, blank) + " " + trimmed(request.substr(blank)) +
                              " " + trimmed(cells[3]) + " " + trimmed(cells[4]);
  }
  std::map<std::string, std::string> wanted;
  for (const auto& operation : lambda_contract().operations) {
    if (static_cast<Op>(operation.tag) == Op::get_package) continue;
    std::ostringstream row;
    row << operation.method << " " << operation.path << " " << operation.status << " "
        << (static_cast<Op>(operation.tag) == Op::not_served ? "no" : "yes");
    wanted[std::string(operation.name)] = row.str();
  }
  EXPECT_GT(wanted.size(), 80u);
  EXPECT_EQ(rows, wanted);
}

// Each member of an input by its path, as "A", "B.C" and "D.*" for what is any JSON.
void add_members(const aws::Shape& shape, const std::string& at, std::set<std::string>& out) {
  const aws::Shape* inner = &shape;
  while (inner->kind == aws::Kind::list) {
    if (inner->element == nullptr) break;
    inner = inner->element;
  }
  if (inner->kind == aws::Kind::structure) {
    for (const auto& member : inner->members)
      add_members(*member.shape, (at.empty() ? "" : at + ".") + std::string(member.name), out);
    if (!at.empty()) out.insert(at);
  } else if (!at.empty()) {
    out.insert(inner->kind == aws::Kind::document ? at + ".*" : at);
  }
}

// tests/client/test_lambda_members.py holds the list against botocore's model, so that no member
// that a client can send is dropped in silence.
TEST(LambdaContract, MembersAreTheListThatClientsAreHeldAgainst) {
  std::ostringstream wanted;
  for (const auto& operation : lambda_contract().operations) {
    const Op op = static_cast<Op>(operation.tag);
    if (op == Op::get_package || op == Op::not_served) continue;
    std::set<std::string> members;
    add_members(*operation.input, "", members);
    wanted << operation.name;
    for (const auto& member : members) wanted << ' ' << member;
    wanted << '\n';
  }
  std::ifstream in(std::string(MAYFLY_SOURCE_DIR) + "/tests/support/lambda_members.txt");
  std::ostringstream there;
  there << in.rdbuf();
  EXPECT_EQ(there.str(), wanted.str()) << "tests/support/lambda_members.txt must hold exactly:\n"
                                       << wanted.str();
}

TEST(LambdaContract, PathsFindTheirOperation) {
  const auto name = [](std::string_view method, std::string_view path,
                       std::string_view query = {}) {
    const auto match = aws::match_rest(lambda_contract(), method, path, query);
    return match ? std::string(match->operation->name) : std::string("none");
  };
  EXPECT_EQ(name("GET", "/2015-03-31/functions/"), "ListFunctions");
  EXPECT_EQ(name("GET", "/2015-03-31/functions"), "ListFunctions");
  EXPECT_EQ(name("GET", "/2015-03-31/functions/a"), "GetFunction");
  EXPECT_EQ(name("POST", "/2015-03-31/functions/a/invocations"), "Invoke");
  EXPECT_EQ(name("POST", "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations/"), "Invoke");
  EXPECT_EQ(name("GET", "/2018-10-31/layers"), "ListLayers");
  EXPECT_EQ(name("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=x"), "GetLayerVersionByArn");
  EXPECT_EQ(name("GET", "/2019-09-30/functions/a/provisioned-concurrency", "List=ALL"),
            "ListProvisionedConcurrencyConfigs");
  EXPECT_EQ(name("GET", "/2019-09-30/functions/a/provisioned-concurrency", "Qualifier=1"),
            "GetProvisionedConcurrencyConfig");
  EXPECT_EQ(name("PUT", "/2015-03-31/functions/a"), "none");
  for (const auto& operation : lambda_contract().operations) {
    std::string path(operation.path);
    for (auto at = path.find('{'); at != std::string::npos; at = path.find('{'))
      path.replace(at, path.find('}') - at + 1, "x");
    const auto mark = path.find('?');
    const std::string query = mark == std::string::npos ? "" : path.substr(mark + 1);
    EXPECT_EQ(name(operation.method, path.substr(0, mark), query), operation.name);
  }
}

TEST(LambdaNames, AllForms) {
  const auto parsed = [](std::string_view text, std::string_view qualifier = {}) {
    const auto ref = parse_function(text, qualifier);
    return ref.has_value() ? ref->name + "|" + ref->qualifier : ref.error().code;
  };
  EXPECT_EQ(parsed("hello"), "hello|");
  EXPECT_EQ(parsed("hello:3"), "hello|3");
  EXPECT_EQ(parsed("hello:$LATEST"), "hello|$LATEST");
  EXPECT_EQ(parsed("hello", "live"), "hello|live");
  EXPECT_EQ(parsed("hello:live", "live"), "hello|live");
  EXPECT_EQ(parsed("hello:live", "3"), "InvalidParameterValueException");
  EXPECT_EQ(parsed("123456789012:function:hello"), "hello|");
  EXPECT_EQ(parsed("123456789012:function:hello:7"), "hello|7");
  EXPECT_EQ(parsed("function:hello"), "hello|");
  EXPECT_EQ(parsed("arn:aws:lambda:eu-west-1:123456789012:function:hello"), "hello|");
  EXPECT_EQ(parsed("arn:aws-cn:lambda:eu-west-1:123456789012:function:hello:live"), "hello|live");
  for (const std::string_view bad :
       {"", ":", "hello:", "a b", "a/b", "arn:aws:lambda", "arn:aws:sqs:r:1:function:x",
        "arn:aws:lambda:r:1:layer:x", "a:b:c", "a:b:c:d:e:f:g:h:i"})
    EXPECT_EQ(parsed(bad), "ValidationException") << bad;
  EXPECT_EQ(parsed(std::string(65, 'a')), "ValidationException");
  EXPECT_EQ(parsed("hello", "no way"), "ValidationException");
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

TEST(LambdaEventStream, FramesHaveTheirChecksums) {
  const std::string frame = encode_event({{":event-type", "PayloadChunk"}}, "hello");
  ASSERT_EQ(number_at(frame, 0), frame.size());
  const std::uint32_t headers = number_at(frame, 4);
  EXPECT_EQ(headers, 1 + 11 + 1 + 2 + 12u);
  EXPECT_EQ(frame.size(), 16 + headers + 5);
  const auto crc = [](const std::string& bytes) {
    boost::crc_32_type sum;
    sum.process_bytes(bytes.data(), bytes.size());
    return sum.checksum();
  };
  EXPECT_EQ(number_at(frame, 8), crc(frame.substr(0, 8)));
  EXPECT_EQ(number_at(frame, frame.size() - 4), crc(frame.substr(0, frame.size() - 4)));
  EXPECT_EQ(frame.substr(12 + headers, 5), "hello");
}

const functions::RuntimeTable& found_runtimes() {
  static const functions::RuntimeTable table = functions::RuntimeTable::discover({});
  return table;
}

std::string refusal(const json::object& input, functions::Settings settings = new_settings()) {
  const auto taken = take_configuration(input, found_runtimes(), {}, settings);
  return taken.has_value() ? "ok" : taken.error().code + ": " + taken.error().message;
}

TEST(LambdaConfiguration, WhatIsNotServedIsRefused) {
  for (const char* member : {"CapacityProviderConfig", "DurableConfig", "TenancyConfig"})
    EXPECT_EQ(refusal({{member, json::object{{"a", "b"}}}}),
              std::string("InvalidParameterValueException: ") + member +
                  " is not served by this server: " +
                  (member == std::string("DurableConfig") ? "it has no durable functions."
                   : member == std::string("TenancyConfig")
                       ? "it does not keep the tenants of a function apart."
                       : "it has no capacity providers."));
  EXPECT_TRUE(refusal({{"PublishTo", "LATEST_PUBLISHED"}}).starts_with("InvalidParameterValue"));
  EXPECT_TRUE(refusal({{"CodeSigningConfigArn", "arn:aws:lambda:r:1:code-signing-config:csc-1"}})
                  .starts_with("InvalidParameterValue"));
  EXPECT_EQ(refusal({{"CodeSigningConfigArn", ""}}), "ok");
  EXPECT_TRUE(refusal({{"KMSKeyArn", "alias/mine"}}).starts_with("ValidationException"));
  EXPECT_EQ(refusal({{"KMSKeyArn", "arn:aws:kms:us-east-1:1:key/a"}}), "ok");
}

TEST(LambdaConfiguration, TheKeyOfTheCodeGoesWithTheCode) {
  functions::Settings settings = new_settings();
  ASSERT_TRUE(
      take_configuration({{"KMSKeyArn", "arn:aws:kms:r:1:key/f"}}, found_runtimes(), {}, settings)
          .has_value());
  ASSERT_TRUE(
      take_source_key({{"SourceKMSKeyArn", "arn:aws:kms:r:1:key/a"}}, settings).has_value());
  EXPECT_EQ(source_key(settings), "arn:aws:kms:r:1:key/a");
  EXPECT_TRUE(take_source_key({{"SourceKMSKeyArn", "a"}}, settings).has_error());
  ASSERT_TRUE(take_configuration({{"KMSKeyArn", ""}}, found_runtimes(), {}, settings).has_value());
  EXPECT_EQ(source_key(settings), "arn:aws:kms:r:1:key/a");
  functions::Version version;
  version.settings = settings;
  EXPECT_FALSE(configuration_of(version, {"us-east-1", "1"}, {}).contains("KMSKeyArn"));
  ASSERT_TRUE(take_source_key({}, settings).has_value());
  EXPECT_EQ(source_key(settings), "");
}

TEST(LambdaConfiguration, WhatIsTakenComesBack) {
  functions::Settings settings = new_settings();
  const json::object input{
      {"Runtime", "provided.al2"},
      {"Handler", "app.handler"},
      {"Role", "arn:aws:iam::000000000000:role/r"},
      {"Timeout", 7},
      {"MemorySize", 256},
      {"Environment", {{"Variables", {{"A", "1"}}}}},
      {"TracingConfig", {{"Mode", "Active"}}},
      {"DeadLetterConfig", {{"TargetArn", "arn:aws:sqs:us-east-1:000000000000:dead"}}},
      {"VpcConfig", {{"SubnetIds", json::array{"subnet-1"}}}},
      {"EphemeralStorage", {{"Size", 1024}}}};
  const auto taken = take_configuration(input, found_runtimes(), {}, settings);
  ASSERT_TRUE(taken.has_value()) << taken.error().message;
  EXPECT_EQ(settings.runtime, "provided");
  EXPECT_EQ(settings.timeout_ms, 7000u);
  EXPECT_EQ(settings.async.dead_letter, "queue:dead");
  functions::Version version;
  version.function = "f";
  version.number = 2;
  version.package = std::string(64, '0');
  version.settings = settings;
  version.created_us = 1'788'256'800'000'000;
  const Home home{"us-east-1", "000000000000"};
  const json::object out = configuration_of(version, home, {99});
  for (const std::string_view member :
       {"Runtime", "Handler", "Role", "Timeout", "MemorySize", "Environment", "TracingConfig",
        "DeadLetterConfig", "VpcConfig", "EphemeralStorage"})
    EXPECT_EQ(json::serialize(out.at(member)), json::serialize(input.at(member))) << member;
  EXPECT_EQ(out.at("FunctionArn"), "arn:aws:lambda:us-east-1:000000000000:function:f:2");
  EXPECT_EQ(out.at("Version"), "2");
  EXPECT_EQ(out.at("CodeSize").to_number<int>(), 99);
  EXPECT_EQ(out.at("CodeSha256"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
  EXPECT_EQ(out.at("LastModified"), "2026-09-01T10:00:00.000+0000");
  EXPECT_EQ(out.at("State"), "Active");
  EXPECT_EQ(out.at("LastUpdateStatus"), "Successful");
}

TEST(LambdaConfiguration, Refusals) {
  EXPECT_TRUE(refusal({{"Timeout", 901}}).starts_with("ValidationException: 1 validation error"));
  EXPECT_TRUE(refusal({{"Timeout", 0}}).starts_with("ValidationException"));
  EXPECT_TRUE(refusal({{"MemorySize", 64}}).starts_with("ValidationException"));
  EXPECT_TRUE(refusal({{"MemorySize", 10'241}}).starts_with("ValidationException"));
  EXPECT_TRUE(refusal({{"Role", "role"}}).starts_with("ValidationException"));
  EXPECT_TRUE(refusal({{"Architectures", json::array{"mips"}}}).starts_with("ValidationException"));
  EXPECT_TRUE(refusal({{"Runtime", "cobol85"}}).starts_with("InvalidParameterValueException"));
  EXPECT_TRUE(refusal({{"DeadLetterConfig", {{"TargetArn", "nowhere"}}}})
                  .starts_with("InvalidParameterValueException"));
  const std::string reserved = refusal({{"Environment", {{"Variables", {{"AWS_REGION", "x"}}}}}});
  EXPECT_NE(reserved.find("Reserved keys used in this request: AWS_REGION"), std::string::npos);
  const std::string large =
      refusal({{"Environment", {{"Variables", {{"A", std::string(4096, 'x')}}}}}});
  EXPECT_NE(large.find("lambda.env_bytes_max"), std::string::npos) << large;
  EXPECT_EQ(refusal({{"VpcConfig", json::object()}, {"Description", "d"}}), "ok");
  EXPECT_TRUE(refusal({{"VpcConfig", {{"SubnetIds", json::array{std::string(70'000, 'x')}}}}})
                  .starts_with("InvalidParameterValueException"));
}

TEST(LambdaConfiguration, LogsHaveAFormatAndLevels) {
  functions::Settings settings = new_settings();
  const auto take = [&](json::object logging) {
    const auto taken =
        take_configuration({{"LoggingConfig", std::move(logging)}}, found_runtimes(), {}, settings);
    return taken.has_value() ? std::string("ok") : taken.error().code + taken.error().message;
  };
  const auto given = [&] {
    functions::Version version;
    version.function = "f";
    version.settings = settings;
    return json::serialize(
        configuration_of(version, {"us-east-1", "000000000000"}, {}).at("LoggingConfig"));
  };
  EXPECT_EQ(given(), R"({"LogFormat":"Text","LogGroup":"/aws/lambda/f"})");
  EXPECT_NE(take({{"ApplicationLogLevel", "WARN"}}).find("only when LogFormat is JSON"),
            std::string::npos);
  EXPECT_NE(take({{"LogFormat", "XML"}}).find("enum value set: [JSON, Text]"), std::string::npos);
  EXPECT_NE(take({{"LogFormat", "JSON"}, {"SystemLogLevel", "ERROR"}}).find("[DEBUG, INFO, WARN]"),
            std::string::npos);
  EXPECT_EQ(settings.logs, functions::LogSettings());
  EXPECT_EQ(take({{"LogFormat", "JSON"}, {"LogGroup", "/own"}}), "ok");
  EXPECT_TRUE(functions::logs_json(settings));
  EXPECT_EQ(given(), R"({"LogFormat":"JSON","LogGroup":"/own","ApplicationLogLevel":"INFO",)"
                     R"("SystemLogLevel":"INFO"})");
  EXPECT_EQ(take({{"SystemLogLevel", "WARN"}}), "ok");
  EXPECT_EQ(settings.logs.system_level, "WARN");
  EXPECT_EQ(take({{"LogFormat", "Text"}}), "ok");
  EXPECT_EQ(settings.logs, functions::LogSettings());
}

TEST(LambdaLayers, Names) {
  const auto name = [](std::string_view text, std::string_view version = {}) {
    const auto ref = parse_layer(text, version);
    return ref.has_error() ? ref.error().code : ref->name + "#" + std::to_string(ref->version);
  };
  EXPECT_EQ(name("tools"), "tools#0");
  EXPECT_EQ(name("tools", "3"), "tools#3");
  EXPECT_EQ(name("arn:aws:lambda:eu-west-1:123456789012:layer:tools"), "tools#0");
  EXPECT_EQ(name("arn:aws:lambda:eu-west-1:123456789012:layer:tools:12"), "tools#12");
  EXPECT_EQ(name("arn:aws-cn:lambda:cn-north-1:1:layer:tools:12", "12"), "tools#12");
  for (const char* wrong :
       {"", "a b", "arn:aws:lambda:r:1:function:tools", "tools:x", "tools:0",
        "arn:aws:lambda:r:1:layer:tools:1:2", "tools:99999999999999999999999999"})
    EXPECT_EQ(name(wrong), "ValidationException") << wrong;
  EXPECT_EQ(name("tools:1", "2"), "ValidationException");
  EXPECT_EQ(name("tools", "-1"), "ValidationException");
  EXPECT_EQ(name(std::string(3000, 'a')), "ValidationException");
  const Home home{"r-1", "123"};
  EXPECT_EQ(home.layer_arn("tools"), "arn:aws:lambda:r-1:123:layer:tools");
  EXPECT_EQ(home.layer_arn("tools", 7), "arn:aws:lambda:r-1:123:layer:tools:7");
}

TEST(LambdaLayers, AreShownAsTheyWereGiven) {
  functions::Version version;
  version.function = "hello";
  version.settings = new_settings();
  version.settings.layers = {std::string(64, 'a')};
  keep_layers(version.settings, {json::object{{"Arn", "arn:x"}, {"CodeSize", 5}}});
  const Home home{"r-1", "123"};
  EXPECT_EQ(json::serialize(configuration_of(version, home, {}).at("Layers")),
            R"([{"Arn":"arn:x","CodeSize":5}])");
  version.settings.layers.push_back(std::string(64, 'b'));  // by another way in
  EXPECT_EQ(configuration_of(version, home, {}).at("Layers").as_array().size(), 2u);
  version.settings.layers.clear();
  EXPECT_FALSE(configuration_of(version, home, {}).contains("Layers"));
}

TEST(LambdaPolicies, StatementsComeAndGo) {
  const auto statement = [](const char* id) { return json::object{{"Sid", id}}; };
  auto kept = with_statement("", statement("a"));
  ASSERT_TRUE(kept.has_value());
  const auto first = policy_of(*kept);
  EXPECT_EQ(with_statement(*kept, statement("a")).error().code, Code::conflict);
  kept = with_statement(*kept, statement("b"));
  EXPECT_NE(policy_of(*kept).at("RevisionId"), first.at("RevisionId"));
  EXPECT_EQ(statements_of(policy_of(*kept)).size(), 2u);
  EXPECT_EQ(without_statement(*kept, "c").error().code, Code::not_found);
  kept = without_statement(*kept, "a");
  EXPECT_EQ(statements_of(policy_of(*kept)).size(), 1u);
  EXPECT_EQ(*without_statement(*kept, "b"), "");
  EXPECT_EQ(with_statement("", statement(std::string(30'000, 'x').c_str())).error().code,
            Code::too_large);
  EXPECT_TRUE(policy_of("no json").empty());
}

}  // namespace
}  // namespace mayfly::dialects::lambda_api
