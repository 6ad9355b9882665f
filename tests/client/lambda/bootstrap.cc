// A function in C++ with AWS's own library for it (aws-lambda-cpp).
#include <aws/lambda-runtime/runtime.h>

#include <string>

using aws::lambda_runtime::invocation_request;
using aws::lambda_runtime::invocation_response;

static invocation_response handle(const invocation_request& request) {
  if (request.payload.find("fail") != std::string::npos)
    return invocation_response::failure("asked to fail", "Asked", "");
  const bool left = request.get_time_remaining().count() > 1000;
  return invocation_response::success(
      "{\"id\":\"" + request.request_id + "\",\"arn\":\"" + request.function_arn +
          "\",\"left\":" + (left ? "true" : "false") + ",\"event\":" + request.payload + "}",
      "application/json");
}

int main() {
  aws::lambda_runtime::run_handler(handle);
}
