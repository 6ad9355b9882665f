#pragma once
// What the dialects share about requests and answers of functions.

#include <string>

#include "gateway/gateway.h"

namespace mayfly::dialects {

// X-Amzn-Trace-Id or traceparent (W3C), whichever is there; empty when none is.
std::string trace_of(const wire::Headers& headers);

// The answer of a function that speaks HTTP, taken out of it; one that breaks its contract becomes
// a 502.
io::HttpResponse http_answer(engine::Answer& answer);

// 502: names the function and what is wrong with its answer; its record says so, too.
io::HttpResponse bad_answer(engine::Answer& answer, const Error& problem);

}  // namespace mayfly::dialects
