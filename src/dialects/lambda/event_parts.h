#pragma once
// Internal: what the two payload formats of API Gateway share.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialects/lambda/http_event.h"

namespace mayfly::dialects::lambda {

// Names and values of a query, decoded, in their order.
std::vector<std::pair<std::string, std::string>> query_pairs(std::string_view query);

// {"name":"value",...} behind "key":
void append_pairs(std::string& out, std::string_view key,
                  const std::vector<std::pair<std::string, std::string>>& pairs);
// ,"stageVariables":{...}; the stage of match has some.
bool has_variables(const gateway::RouteMatch& match);
void append_variables(std::string& out, const gateway::RouteMatch& match);

// 20/Nov/2026:19:00:00 +0000, the same for a whole second.
const std::string& log_time(std::int64_t seconds);

// Of Host, without the port.
std::string_view host_name(const wire::RequestHead& head);

// A body is handed over as text when it says that it is text, and is. With media types of its own
// an API decides by them alone.
bool body_is_text(const wire::Headers& headers, std::string_view body,
                  const gateway::RouteMatch& match);
// "image/*" takes "image/png; q=1"; "*/*" takes all.
bool is_binary_type(const std::vector<std::string>& types, std::string_view content_type);

// ,"body":...,"isBase64Encoded":...; absent: what stands for a body that is not there.
void append_body(std::string& out, const wire::RequestHead& head, std::string_view body,
                 const gateway::RouteMatch& match, std::string_view absent);

// "authorizer":{...} of requestContext, in the form of the payload; with a comma behind it, nothing
// without an identity.
void append_authorizer(std::string& out, const gateway::RouteMatch& match,
                       functions::EventForm form, const EventSettings& settings);

// Claims as API Gateway writes them: every value is a text.
std::string claims_as_texts(std::string_view claims);

}  // namespace mayfly::dialects::lambda
