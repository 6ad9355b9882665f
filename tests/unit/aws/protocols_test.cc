// The vectors of aws-protocols, as the server sees them: what a client sends for its params is read
// as those params, and what is answered for a result is what the client expects.

#include <gtest/gtest.h>

#include <set>

#include "aws/json_body.h"
#include "aws/model.h"
#include "aws/query.h"
#include "aws/rest.h"
#include "aws/vectors.h"
#include "aws/xml_tree.h"

namespace mayfly::aws {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::canonical;
using testing::Model;
using testing::text_at;

const json::object kNone;

const json::object& object_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && value->is_object() ? value->get_object() : kNone;
}

// Client tests that have no mirror image at a server, each with its reason.
const std::set<std::string> kSkipped{
    // The client's generator of tokens is replaced by the test.
    "QueryProtocolIdempotencyTokenAutoFill", "RestJsonQueryIdempotencyTokenAutoFill",
    // gzip is the client's affair; the body that is compared is not given.
    "SDKAppliedContentEncoding_awsQuery", "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery",
    "SDKAppliedContentEncoding_awsJson1_0", "SDKAppliedContentEncoding_awsJson1_1",
    "SDKAppliedContentEncoding_restJson1", "SDKAppendedGzipAfterProvidedEncoding_restJson1",
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0",
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1",
    // botocore itself does not pass these (protocol-tests-ignore-list.json).
    "QueryFlattenedListArgWithXmlName", "QueryXmlLists", "MediaTypeHeaderInputBase64",
    "MediaTypeHeaderOutputBase64", "RestJsonNullAndEmptyHeaders", "RestJsonQueryPrecedence",
    "DocumentTypeAsPayloadInputString", "DocumentTypeAsPayloadInput",
    "RestJsonHttpPayloadWithUnsetUnion",
    // What the client leaves out cannot be known to the server: params hold an empty list, an
    // empty map or empty fields.
    "QueryEmptyQueryMaps", "RestJsonOmitsEmptyListQueryValues", "RestJsonHttpPrefixEmptyHeaders",
    "RestJsonHttpWithEmptyStructurePayload", "RestJsonHttpWithEmptyBlobPayload",
    "RestJsonHttpPrefixHeadersAreNotPresent", "RestJsonHttpWithHeadersButNoPayload",
    // The path of an endpoint that the client was given.
    "RestJsonHostWithPath",
    // Its map of all parameters has those of other members too.
    "RestJsonAllQueryStringTypes", "RestJsonQueryStringMap", "RestJsonQueryStringEscaping",
    "RestJsonSupportsNaNFloatQueryValues", "RestJsonSupportsInfinityFloatQueryValues",
    "RestJsonSupportsNegativeInfinityFloatQueryValues", "RestJsonZeroAndFalseQueryValues",
    "RestJsonQueryParamsStringListMap",
    // Forms that a client must understand and this server does not write: offsets.
    "AwsQueryDateTimeWithNegativeOffset", "AwsQueryDateTimeWithPositiveOffset",
    // A media type that is base64 of JSON in a field: no service here has one.
    "RestJsonMediaType"};

struct Case {
  const json::object& suite;
  const json::object& one;
  std::string id;
};

void each_case(const std::string& file, const std::function<void(const Case&)>& check) {
  const fs::path path = testing::vectors("aws-protocols") / file;
  if (!fs::exists(path)) GTEST_SKIP() << "no test vectors at " << path;
  const json::value all = json::parse(testing::read_text(path));
  int seen = 0;
  for (const auto& suite : all.get_array())
    for (const auto& one : suite.get_object().at("cases").get_array()) {
      const Case c{suite.get_object(), one.get_object(), text_at(one.get_object(), "id")};
      if (kSkipped.contains(c.id)) continue;
      SCOPED_TRACE(file + " " + c.id);
      ++seen;
      check(c);
    }
  EXPECT_GT(seen, 0);
  std::printf("%s: %d cases\n", file.c_str(), seen);
}

void expect_input(const Case& c, const Operation& operation, const Outcome<json::object>& read) {
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const json::value wanted =
      canonical(*operation.input, object_at(c.one, "params"), /*of_vectors=*/true);
  EXPECT_EQ(json::serialize(canonical(*operation.input, json::value(*read), false)),
            json::serialize(wanted));
}

TEST(QueryProtocol, Inputs) {
  each_case("input/query.json", [](const Case& c) {
    Model model(object_at(c.suite, "shapes"));
    const Operation& operation = model.operation(object_at(c.one, "given"));
    const auto form = Form::parse(text_at(object_at(c.one, "serialized"), "body"));
    ASSERT_TRUE(form.has_value());
    EXPECT_EQ(form->find("Action"), operation.name);
    expect_input(c, operation, form->read(*operation.input));
  });
}

void json_inputs(const std::string& file) {
  each_case(file, [](const Case& c) {
    Model model(object_at(c.suite, "shapes"));
    const Operation& operation = model.operation(object_at(c.one, "given"));
    expect_input(c, operation,
                 read_json(*operation.input, text_at(object_at(c.one, "serialized"), "body")));
  });
}

TEST(JsonProtocols, Inputs) {
  json_inputs("input/json.json");
  json_inputs("input/json_1_0.json");
  json_inputs("input/json_1_0-query-compatible.json");
}

TEST(RestJson, Inputs) {
  each_case("input/rest-json.json", [](const Case& c) {
    Model model(object_at(c.suite, "shapes"));
    const Operation& operation = model.operation(object_at(c.one, "given"));
    const json::object& serialized = object_at(c.one, "serialized");
    wire::RequestHead head;
    head.method = text_at(serialized, "method");
    head.target = text_at(serialized, "uri");
    for (const auto& field : object_at(serialized, "headers"))
      head.headers.add(field.key(), field.value().get_string());
    Contract contract;
    contract.operations = {&operation, 1};
    const auto match = match_rest(contract, head.method, head.path(), head.query());
    ASSERT_TRUE(match.has_value()) << head.target;
    expect_input(c, operation, read_rest(*match, head, text_at(serialized, "body")));
  });
}

// The result of the case as a service would give it.
json::object result_of(const Case& c, const Operation& operation) {
  const json::value value =
      canonical(*operation.output, object_at(c.one, "result"), /*of_vectors=*/true);
  return value.get_object();
}

Fault fault_of_case(const Case& c) {
  Fault fault;
  fault.code = text_at(c.one, "errorCode");
  fault.message = text_at(c.one, "errorMessage");
  fault.status = object_at(c.one, "response").at("status_code").to_number<int>();
  for (const auto& member : object_at(c.one, "error"))
    if (member.key() != "message" && member.key() != "Message")
      fault.detail[member.key()] = member.value();
  return fault;
}

TEST(QueryProtocol, Outputs) {
  each_case("output/query.json", [](const Case& c) {
    Model model(object_at(c.suite, "shapes"));
    const Operation& operation = model.operation(object_at(c.one, "given"));
    const std::string wanted = text_at(object_at(c.one, "response"), "body");
    if (c.one.contains("errorCode")) {
      const Fault fault = fault_of_case(c);
      const auto ours = testing::parse_xml(render_xml_fault(fault, "urn:test", "foo-id"));
      const auto theirs = testing::parse_xml(wanted);
      ASSERT_TRUE(ours && theirs);
      for (const char* name : {"Type", "Code", "Message"}) {
        const auto* node = theirs->path({"Error", name});
        if (node) {
          EXPECT_EQ(ours->path({"Error", name})->text, node->text);
        }
      }
      EXPECT_EQ(ours->path({"RequestId"})->text, "foo-id");
      return;
    }
    if (wanted.empty()) return;  // nothing is expected of it
    auto ours =
        testing::parse_xml(render_xml(operation, "urn:test", result_of(c, operation), "foo-id"));
    const auto theirs = testing::parse_xml(wanted);
    ASSERT_TRUE(ours && theirs);
    ASSERT_TRUE(ours->path({"ResponseMetadata", "RequestId"}));
    ours->drop("ResponseMetadata");
    EXPECT_EQ(ours->sorted_text(), theirs->sorted_text());
  });
}

// Both texts mean the same to a client: unknown members and nulls apart.
void expect_same_json(const Shape& shape, const std::string& ours, const std::string& theirs) {
  auto a = read_json(shape, ours), b = read_json(shape, theirs);
  ASSERT_TRUE(a.has_value()) << ours;
  ASSERT_TRUE(b.has_value()) << theirs << " " << b.error().message;
  EXPECT_EQ(json::serialize(canonical(shape, json::value(*a), false)),
            json::serialize(canonical(shape, json::value(*b), false)))
      << ours << "\n"
      << theirs;
}

void expect_json_fault(const Case& c) {
  const Fault fault = fault_of_case(c);
  const json::value ours = json::parse(write_json_fault(fault, "aws.protocoltests#"));
  std::string type = text_at(ours.get_object(), "__type");
  EXPECT_EQ(type.substr(type.find('#') + 1), fault.code);
  for (const auto& member : fault.detail)
    EXPECT_EQ(ours.get_object().at(member.key()), member.value());
  EXPECT_EQ(text_at(ours.get_object(), "message"), fault.message);
}

void json_outputs(const std::string& file) {
  each_case(file, [](const Case& c) {
    if (c.one.contains("errorCode")) return expect_json_fault(c);
    Model model(object_at(c.suite, "shapes"));
    const Operation& operation = model.operation(object_at(c.one, "given"));
    expect_same_json(*operation.output, write_json(*operation.output, result_of(c, operation)),
                     text_at(object_at(c.one, "response"), "body"));
  });
}

TEST(JsonProtocols, Outputs) {
  json_outputs("output/json.json");
  json_outputs("output/json_1_0.json");
  json_outputs("output/json_1_0-query-compatible.json");
}

bool has_payload(const Shape& shape) {
  for (const auto& member : shape.members)
    if (member.place == Place::payload) return true;
  return false;
}

TEST(RestJson, Outputs) {
  each_case("output/rest-json.json", [](const Case& c) {
    if (c.one.contains("errorCode")) return expect_json_fault(c);
    Model model(object_at(c.suite, "shapes"));
    const Operation& operation = model.operation(object_at(c.one, "given"));
    const json::object& response = object_at(c.one, "response");
    json::object result = result_of(c, operation);
    for (const auto& member : operation.output->members)  // a payload is its own bytes
      if (member.place == Place::payload && member.shape->kind == Kind::blob &&
          object_at(c.one, "result").contains(member.name))
        result[member.name] = object_at(c.one, "result").at(member.name);
    const RestAnswer ours = write_rest(operation, result);
    EXPECT_EQ(ours.head.status, response.at("status_code").to_number<int>());
    for (const auto& field : object_at(response, "headers")) {
      if (field.key() == "Content-Type" || field.key() == "content-type") continue;
      const auto found = ours.head.headers.find(field.key());
      ASSERT_TRUE(found.has_value()) << field.key();
      EXPECT_EQ(*found, std::string_view(field.value().get_string()));
    }
    const std::string body = text_at(response, "body");
    if (has_payload(*operation.output)) {
      boost::system::error_code failed;
      const json::value theirs = json::parse(body, failed);
      if (failed) {
        EXPECT_EQ(ours.body, body);
      } else {
        EXPECT_EQ(json::parse(ours.body), theirs);
      }
    } else {
      expect_same_json(*operation.output, ours.body, body);
    }
  });
}

}  // namespace
}  // namespace mayfly::aws
