#pragma once
// The native way to speak with an instance: frames over a unix stream socket at its fd 3. Serves
// the models event and http, and versions of the language runtimes whose model is not known yet.

#include <memory>
#include <string>

#include "engine/instance_protocol.h"

namespace mayfly::engine {

struct FrameSettings {
  std::string runtimes_dir;  // host path of runtimes/
  std::string region = "us-east-1", account = "000000000000";
  std::uint64_t event_bytes_max = 64u << 20;
  std::string runtime_lib;  // host path; empty: no zygotes
};

std::unique_ptr<ProtocolFactory> make_frame_factory(FrameSettings settings);

// Speaks frames over any connected unix stream socket. clone: the program is ready, and will not
// say so; an init_error frame fails the calls that it has.
std::unique_ptr<InstanceProtocol> make_frame_protocol(boost::asio::any_io_executor executor,
                                                      os::Fd channel, LogSink log, std::string arn,
                                                      std::uint64_t event_bytes_max,
                                                      bool clone = false);

// "arn:aws:lambda:REGION:ACCOUNT:function:NAME", with ":N" for a published version.
std::string function_arn(const std::string& region, const std::string& account,
                         const functions::Version& version);

}  // namespace mayfly::engine
