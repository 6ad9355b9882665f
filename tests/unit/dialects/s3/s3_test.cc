#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "dialects/s3/attributes.h"
#include "dialects/s3/operations.h"
#include "dialects/s3/request.h"

namespace mayfly::dialects::s3 {
namespace {

std::string cell_text(const std::string& text) {
  const auto first = text.find_first_not_of(" `");
  const auto last = text.find_last_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::string_view path_of(Level level) {
  return level == Level::service ? "/" : level == Level::bucket ? "/{Bucket}" : "/{Bucket}/{Key+}";
}

TEST(S3Operations, AreTheTableOfTheReference) {
  std::ifstream in(std::string(MAYFLY_SOURCE_DIR) + "/docs/reference/s3.md");
  std::map<std::string, std::string> rows;  // name -> "GET /{Bucket}?acl no"
  std::string line;
  while (std::getline(in, line)) {
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string cell; std::getline(parts, cell, '|');) cells.push_back(cell);
    if (cells.size() < 4) continue;
    const std::string request = cell_text(cells[2]);
    const auto blank = request.find(" `/");
    if (blank == std::string::npos) continue;
    rows[cell_text(cells[1])] = request.substr(0, blank) + " " + cell_text(request.substr(blank)) +
                                " " + cell_text(cells[3]);
  }
  std::map<std::string, std::string> wanted;
  for (const auto& operation : operations()) {
    std::ostringstream row;
    row << operation.method << " " << path_of(operation.level);
    if (!operation.needs.empty()) row << "?" << operation.needs;
    row << " " << (operation.op == Op::none ? "no" : "yes");
    wanted[std::string(operation.name)] = row.str();
  }
  EXPECT_GT(wanted.size(), 90u);
  EXPECT_EQ(rows, wanted);
}

TEST(S3Operations, AreToldByMethodPathQueryAndFields) {
  const auto name = [](std::string_view method, Level level, Parameters parameters,
                       bool copy = false) {
    wire::Headers headers;
    if (copy) headers.add("X-Amz-Copy-Source", "a/b");
    const Operation* found = find_operation(method, level, parameters, headers);
    return found ? std::string(found->name) : std::string("none");
  };
  EXPECT_EQ(name("GET", Level::service, {}), "ListBuckets");
  EXPECT_EQ(name("GET", Level::bucket, {}), "ListObjects");
  EXPECT_EQ(name("GET", Level::bucket, {{"list-type", "2"}, {"prefix", "x"}}), "ListObjectsV2");
  EXPECT_EQ(name("GET", Level::bucket, {{"list-type", "1"}}), "ListObjects");
  EXPECT_EQ(name("GET", Level::bucket, {{"uploads", ""}}), "ListMultipartUploads");
  EXPECT_EQ(name("GET", Level::bucket, {{"acl", ""}}), "GetBucketAcl");
  EXPECT_EQ(name("PUT", Level::object, {}), "PutObject");
  EXPECT_EQ(name("PUT", Level::object, {}, true), "CopyObject");
  EXPECT_EQ(name("PUT", Level::object, {{"uploadId", "x"}, {"partNumber", "1"}}), "UploadPart");
  EXPECT_EQ(name("PUT", Level::object, {{"uploadId", "x"}, {"partNumber", "1"}}, true),
            "UploadPartCopy");
  EXPECT_EQ(name("GET", Level::object, {{"uploadId", "x"}}), "ListParts");
  EXPECT_EQ(name("DELETE", Level::object, {{"uploadId", "x"}}), "AbortMultipartUpload");
  EXPECT_EQ(name("POST", Level::object, {{"uploads", ""}}), "CreateMultipartUpload");
  EXPECT_EQ(name("POST", Level::object, {{"uploadId", "x"}}), "CompleteMultipartUpload");
  EXPECT_EQ(name("POST", Level::bucket, {{"delete", ""}}), "DeleteObjects");
  EXPECT_EQ(name("GET", Level::object, {{"unknown", "x"}}), "GetObject");
  EXPECT_EQ(name("POST", Level::bucket, {}), "none");
  EXPECT_EQ(name("PATCH", Level::object, {}), "none");
}

TEST(S3Address, OfPathAndHost) {
  const auto told = [](std::string_view host, std::string_view path) {
    const auto address = parse_address(host, path);
    return address.has_value() ? address->bucket + "|" + address->key : address.error().code;
  };
  EXPECT_EQ(told("127.0.0.1:8081", "/"), "|");
  EXPECT_EQ(told("127.0.0.1:8081", "/b"), "b|");
  EXPECT_EQ(told("127.0.0.1:8081", "/b/"), "b|");
  EXPECT_EQ(told("127.0.0.1:8081", "/b/k//%2Fl%20m/"), "b|k///l m/");
  EXPECT_EQ(told("localhost:8081", "/b/k"), "b|k");
  EXPECT_EQ(told("b.localhost:8081", "/k/l"), "b|k/l");
  EXPECT_EQ(told("a.b.localhost", "/"), "a.b|");
  EXPECT_EQ(told("[::1]:8081", "/b/k"), "b|k");
  EXPECT_EQ(told("h", "/b/%zz"), "InvalidURI");
  EXPECT_EQ(told("h", "/b/%00"), "InvalidURI");
  EXPECT_EQ(told("h", "/b/%ff"), "InvalidURI");
  EXPECT_EQ(told("h", "/b/" + std::string(1025, 'k')), "KeyTooLongError");
}

TEST(S3Address, OfCopySources) {
  const auto told = [](std::string_view text) {
    const auto address = parse_copy_source(text);
    return address.has_value() ? address->bucket + "|" + address->key : address.error().code;
  };
  EXPECT_EQ(told("b/k%20l/m"), "b|k l/m");
  EXPECT_EQ(told("/b/k?versionId=null"), "b|k");
  EXPECT_EQ(told("b/k?versionId=1"), "NoSuchVersion");
  for (const std::string bad : {"", "b", "/b/", "/"})
    EXPECT_EQ(told(bad), "InvalidArgument") << bad;
}

TEST(S3Ranges, AreOfTheObjectOrRefused) {
  const auto told = [](std::string_view field, std::uint64_t size) -> std::string {
    const auto range = parse_range(field, size);
    if (range.has_error()) return range.error().code;
    if (!*range) return "whole";
    return std::to_string((*range)->first) + "+" + std::to_string((*range)->size);
  };
  EXPECT_EQ(told("bytes=0-0", 10), "0+1");
  EXPECT_EQ(told("bytes=2-100", 10), "2+8");
  EXPECT_EQ(told("bytes=9-", 10), "9+1");
  EXPECT_EQ(told("bytes=-3", 10), "7+3");
  EXPECT_EQ(told("bytes=-30", 10), "0+10");
  EXPECT_EQ(told("bytes=0-18446744073709551615", 10), "0+10");
  EXPECT_EQ(told("bytes=10-", 10), "InvalidRange");
  EXPECT_EQ(told("bytes=-0", 10), "InvalidRange");
  EXPECT_EQ(told("bytes=0-", 0), "InvalidRange");
  for (const auto field :
       {"bytes=5-2", "bytes=a-b", "bytes=1-2,4-5", "bytes=-", "lines=1-2", "bytes=+1-2"})
    EXPECT_EQ(told(field, 10), "whole") << field;
}

TEST(S3Storage, ClassesAreLabels) {
  EXPECT_EQ(*check_storage("STANDARD"), "");
  for (const char* name : {"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR",
                           "REDUCED_REDUNDANCY", "GLACIER", "DEEP_ARCHIVE"}) {
    buckets::Attributes attributes;
    attributes.storage = *check_storage(name);
    EXPECT_EQ(storage_name(attributes), name);
    const bool archived = std::string(name) == "GLACIER" || std::string(name) == "DEEP_ARCHIVE";
    EXPECT_EQ(check_readable(attributes, 10).has_error(), archived) << name;
    attributes.restored_until_us = 11;
    EXPECT_TRUE(check_readable(attributes, 10).has_value()) << name;
  }
  EXPECT_EQ(storage_name({}), "STANDARD");
  for (const char* wrong : {"", "standard", "OUTPOSTS", "SNOW"})
    EXPECT_EQ(check_storage(wrong).error().code, "InvalidStorageClass") << wrong;
}

TEST(S3Tags, AreChecked) {
  EXPECT_TRUE(check_tags("a=1&b=2").has_value());
  EXPECT_TRUE(check_tags("").has_value());
  for (const std::string bad : {"a=1&a=2", "=1", "%zz=1"})
    EXPECT_TRUE(check_tags(bad).has_error()) << bad;
  std::string many;
  for (int i = 0; i < 11; ++i) many += "k" + std::to_string(i) + "=v&";
  EXPECT_EQ(check_tags(many).error().code, "BadRequest");
  EXPECT_EQ(check_tags("k=" + std::string(257, 'v')).error().code, "InvalidTag");
}

}  // namespace
}  // namespace mayfly::dialects::s3
