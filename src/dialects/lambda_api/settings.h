#pragma once
// Settings lambda.*: limits of the control API.

#include <cstddef>
#include <cstdint>
#include <string>

namespace mayfly::dialects::lambda_api {

struct LambdaSettings {
  std::size_t payload_bytes_max = 6u << 20;        // of an invocation that is waited for
  std::size_t event_payload_bytes_max = 1u << 20;  // of one that is not
  std::size_t env_bytes_max = 4096;
  std::uint32_t concurrency_max = 1000;  // as GetAccountSettings says it
  std::string url_base;  // in front of /url/ID in function URLs; empty: the gateway's address
};

}  // namespace mayfly::dialects::lambda_api
