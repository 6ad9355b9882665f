#pragma once
// Internal: what every command of the CLI gets, and how it reports.

#include <boost/json/value.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"

namespace mayfly::cli {

struct Context {
  FindOptions find;
  bool json = false;
  std::string version;  // of this program
  std::unique_ptr<Client> client;

  // Finds the server at the first call.
  Result<Client*> connect();
  bool colour() const { return !json && colours_on(1); }
};

// Prints the sentence on standard error; the exit code that belongs to it.
int fail(const Error& error);
// The same for an answer of the server; with --json its JSON goes to standard output.
int fail(const Context& context, const Response& response);
int usage_error(const std::string& sentence);

// One request whose successful answer is JSON; else reports and sets exit_code.
std::optional<boost::json::value> fetch_json(Context& context, const std::string& method,
                                             const std::string& target, int& exit_code,
                                             std::string body = {});
// --json: the value as the server sent it. Returns kOk.
int print_json(const boost::json::value& value);

// The user's error as its language prints it; "" when detail is none.
std::string format_trace(const boost::json::value& detail);

std::string percent_encode(std::string_view text);  // one path segment or query value

// Tolerant look-ups in answers: what is missing is "" or 0.
std::string text_of(const boost::json::value& object, const char* key);
std::int64_t number_of(const boost::json::value& object, const char* key);
double decimal_of(const boost::json::value& object, const char* key);
bool flag_of(const boost::json::value& object, const char* key);
const boost::json::array& list_of(const boost::json::value& object, const char* key);
const boost::json::value& value_of(const boost::json::value& object, const char* key);

std::int64_t now_us();

}  // namespace mayfly::cli
