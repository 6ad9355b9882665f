#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/base64.h"
#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

Result<std::string> payload_of(const std::string& data) {
  std::ostringstream bytes;
  if (data == "-") {
    bytes << std::cin.rdbuf();
    return bytes.str();
  }
  if (data.empty() || data[0] != '@') return data;
  const std::string path = data.substr(1);
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::not_found, "Cannot read the payload file " + path};
  bytes << in.rdbuf();
  return bytes.str();
}

void pretty(const json::value& value, int depth, std::string& out) {
  const std::string indent(static_cast<std::size_t>(depth) * 2 + 2, ' ');
  const std::string closing(static_cast<std::size_t>(depth) * 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    const char* between = "";
    for (const auto& member : value.get_object()) {
      out += between + indent + json::serialize(json::string(member.key())) + ": ";
      pretty(member.value(), depth + 1, out);
      between = ",\n";
    }
    out += "\n" + closing + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    const char* between = "";
    for (const auto& item : value.get_array()) {
      out += between + indent;
      pretty(item, depth + 1, out);
      between = ",\n";
    }
    out += "\n" + closing + "]";
  } else {
    out += json::serialize(value);
  }
}

bool is_json(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return wire::equal_ignoring_case(type, "application/json") || type.ends_with("+json");
}

// On a terminal JSON is laid out; anything else, and everything into a pipe, stays as it came.
void print_result(const Context& context, const InvokeOptions& options, const Response& response) {
  const std::string& body = response.body;
  if (options.raw) {
    write_out(body);
    return;
  }
  std::string text = body;
  if (context.colour() && is_json(response.headers.find("Content-Type").value_or(""))) {
    boost::system::error_code failed;
    const json::value value = json::parse(body, failed);
    if (!failed) {
      text.clear();
      pretty(value, 0, text);
    }
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  write_out(text);
}

}  // namespace

namespace {

int invoke_async(Context& context, const InvokeOptions& options, const std::string& path,
                 std::string payload) {
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  std::vector<std::pair<std::string, std::string>> headers;
  const auto add = [&headers](const char* name, const std::string& value) {
    if (!value.empty()) headers.emplace_back(name, value);
  };
  add("Idempotency-Key", options.idempotency_key);
  add("X-Callback-Url", options.callback_url);
  auto response = (*client)->request("POST", path + "/invoke?async=1", std::move(payload),
                                     "application/json", headers);
  if (response.has_error()) return fail(response.error());
  if (response->status != 202) return fail(context, *response);
  boost::system::error_code failed;
  const json::value value = json::parse(response->body, failed);
  write_out(context.json ? response->body : text_of(value, "call_id") + "\n");
  return kOk;
}

}  // namespace

int invoke(Context& context, const InvokeOptions& options) {
  auto payload = payload_of(options.data);
  if (payload.has_error()) return fail(payload.error());
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());

  std::string name = options.name;
  if (!options.qualifier.empty()) name += ":" + options.qualifier;
  if (options.async)
    return invoke_async(context, options, "/v1/functions/" + percent_encode(name),
                        std::move(*payload));
  const std::string target =
      "/v1/functions/" + percent_encode(name) + "/invoke" + (options.log ? "?log=1" : "");
  boost::system::error_code no_json;
  json::parse(*payload, no_json);
  auto response = (*client)->request("POST", target, std::move(*payload),
                                     no_json ? "application/octet-stream" : "application/json");
  if (response.has_error()) return fail(response.error());

  const auto& headers = response->headers;
  if (const auto tail = headers.find("X-Mayfly-Log-Tail"); options.log && tail) {
    std::string text = decode_base64(*tail).value_or("");
    if (!text.empty() && text.back() != '\n') text += '\n';
    write_err(printable(text));
  }
  if (options.log) {
    const auto id = headers.find("X-Mayfly-Request-Id");
    const auto cold = headers.find("X-Mayfly-Cold");
    const auto took = headers.find("X-Mayfly-Duration-Us");
    if (id && took)
      write_err(paint(fmt::format("request {}  {}{}\n", *id,
                                  human_us(std::strtoull(std::string(*took).c_str(), nullptr, 10)),
                                  cold && *cold == "1" ? "  cold start" : ""),
                      Colour::dim, colours_on(2)));
  }
  if (headers.contains("X-Mayfly-Error")) return fail(context, *response);
  if (!headers.contains("X-Mayfly-Cold")) {  // never got there
    const int code = fail(context, *response);
    if (no_json && response->status == 400)
      write_err("--data takes JSON, @FILE, or - for standard input; a text is JSON in quotes.\n");
    return code;
  }
  print_result(context, options, *response);
  if (response->status < 400) return kOk;
  write_err(fmt::format("mayfly: The function answered with HTTP status {}.\n", response->status));
  return kFunctionFailed;
}

}  // namespace mayfly::cli
