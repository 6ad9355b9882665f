#pragma once
// Programs that read a request from standard input and write the answer to standard output: one
// process for each call. docs/internals/programs.md.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/instance_protocol.h"

namespace mayfly::dialects::adapters {

// Serves versions of model stdio.
std::unique_ptr<engine::ProtocolFactory> make_stdio_factory();

// The program's ends of the pipes; invalid ones count as closed.
std::unique_ptr<engine::InstanceProtocol> make_stdio_protocol(boost::asio::any_io_executor executor,
                                                              os::Fd to_stdin, os::Fd from_stdout,
                                                              engine::LogSink log);

// What the program is told about the request: Http_Method, Http_Path, Http_Query, a Http_NAME for
// each header field (Content-Type: Http_Content_Type), MAYFLY_REQUEST_ID.
Status set_request_env(const engine::Invocation& invocation, std::vector<std::string>& env);

// application/json, text/plain or application/octet-stream. whole: output is all there is.
std::string content_type_of(std::string_view output, bool whole);

}  // namespace mayfly::dialects::adapters
