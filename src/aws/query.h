#pragma once
// The query protocol: Action=...&Name.1=... in a form, XML back. The older protocol of SQS, the
// only one of SNS. Pure; every byte of a form is hostile.

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/service.h"
#include "aws/shape.h"

namespace mayfly::aws {

// The parameters of a form, decoded and sorted by name.
class Form {
 public:
  // MalformedQueryString: a broken escape, bytes that are not UTF-8, too many parameters.
  static Outcome<Form> parse(std::string_view text);

  std::optional<std::string_view> find(std::string_view name) const;

  // Reads what shape (a structure) names. MalformedInput where a value does not fit.
  Outcome<boost::json::object> read(const Shape& shape, boost::json::storage_ptr memory = {}) const;

  static constexpr std::size_t kParametersMax = 20'000;
  static constexpr int kDepthMax = 32;

 private:
  friend class FormReader;
  std::vector<std::pair<std::string, std::string>> parameters_;
};

// <NAMEResponse><NAMEResult>...</NAMEResult><ResponseMetadata>...; output by its shape.
std::string render_xml(const Operation& operation, std::string_view xml_namespace,
                       const boost::json::object& output, std::string_view request_id);
// <ErrorResponse><Error>...
std::string render_xml_fault(const Fault& fault, std::string_view xml_namespace,
                             std::string_view request_id);

}  // namespace mayfly::aws
