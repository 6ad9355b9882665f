#pragma once
// One event for one version, and what came of it. The engine does not look into payloads: what they
// mean belongs to the dialects.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "functions/types.h"
#include "io/body.h"
#include "telemetry/record.h"
#include "telemetry/report_lines.h"

namespace mayfly::engine {

enum class PayloadKind {
  event,  // body is one JSON value (any bytes for a raw invoke), complete
  http,   // head is wire::encode_request_head(); body may be streamed through more
};

class Settlement;

struct Invocation {
  std::string request_id;  // new_uuid() when empty
  functions::VersionPtr version;
  std::string source = "http";  // as in telemetry::Record
  bool background = false;      // nobody waits for the answer: it yields the CPU to calls that are
  std::uint32_t attempt = 1;    // of a call that is tried several times
  SteadyTime arrived;           // when the first byte was here; default: now
  std::string trace_id;         // W3C traceparent or X-Amzn-Trace-Id; may be empty
  std::string client_context;   // JSON, may be empty (Lambda's ClientContext)
  PayloadKind kind = PayloadKind::event;
  std::string head;
  std::string body;
  io::BodyReaderPtr more;
  bool want_log_tail = false;  // fill Reply::log_tail with the last 4 KB, and report
  // What is to happen, in one transaction with what the function stages, when it ends well; may be
  // null. See engine/function_services.h.
  std::shared_ptr<Settlement> settlement;
};

// Why an invocation has no proper answer. Everything a caller needs for an honest error.
struct Failure {
  telemetry::Outcome outcome = telemetry::Outcome::platform_error;
  telemetry::Party party = telemetry::Party::platform;
  telemetry::Phase phase = telemetry::Phase::none;
  Code code = Code::internal;
  std::string message;           // a sentence; names the setting where there is one
  bool quotes_function = false;  // message holds words of the user's code: not for the public
  std::string error_json;  // {"errorType","errorMessage","stackTrace"} of the user's code, if any
  // How a program ended that should not have: "exit status 3", "signal: killed"; else empty.
  std::string exit;
  std::uint32_t retry_after_s = 0;  // with refused
  std::string log_tail;
};

struct Reply {
  PayloadKind kind = PayloadKind::event;
  std::string head;  // http: as the instance sent it; decode with wire::decode_response_head
  std::string body;
  // null when body is complete, as it always is with kind event; an error from read(): cut off
  io::BodyReaderPtr more;
  std::string log_tail;
  std::string effects;  // what the function staged, JSON; done by the dispatcher before its answer
};

class Call;

// What is still open of an invocation when its answer is there: what the caller was told. Its
// record is written once this is let go of and a streamed body has ended. An empty one does
// nothing.
class Receipt {
 public:
  Receipt() = default;
  explicit Receipt(std::shared_ptr<Call> call);
  Receipt(Receipt&&) noexcept = default;
  Receipt& operator=(Receipt&& other) noexcept;
  ~Receipt();

  // The answer breaks the contract of its dialect: that is how the invocation failed. Before
  // answered().
  void rejected(const Failure& failure);
  // The status of the HTTP answer that the caller gets. Lets go.
  void answered(int http_status);

 private:
  void let_go();
  std::shared_ptr<Call> call_;
};

struct Answer {
  std::string request_id;
  std::string function;  // name, for what is said about its answer
  std::string instance;
  bool cold = false;
  // Phases so far; run_us is final only when the reply was complete.
  std::uint64_t queue_us = 0, start_us = 0, init_us = 0, run_us = 0;
  std::shared_ptr<Failure> failure;  // null: reply holds
  Reply reply;
  telemetry::CallReport report;  // of a call whose log_tail was wanted; its lines: report_lines.h
  Receipt receipt;
};

// Dispatcher::invoke(), of whichever.
using Invoke = std::function<io::Task<Answer>(Invocation&&)>;

}  // namespace mayfly::engine
