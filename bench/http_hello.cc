// The HTTP server alone, answering a constant JSON: what the gateway's socket handling costs.
//   ninja -C build bench_http_hello && build/bench_http_hello 127.0.0.1:0
// prints the address, then serves until SIGINT or SIGTERM. Measure with
//   wrk -t1 -c32 -d5 http://ADDRESS/   beside nginx with  return 200 '{"hello":"world"}';
// in the same run.
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "io/http_server.h"

namespace {

mayfly::io::Task<mayfly::io::HttpResponse> hello(mayfly::io::HttpRequest) {
  co_return mayfly::io::json_response(200, R"({"hello":"world"})");
}

}  // namespace

int main(int argc, char** argv) {
  boost::asio::io_context loop(1);
  mayfly::io::HttpServer server(loop, {}, hello);
  const auto bound = server.listen(argc > 1 ? argv[1] : "127.0.0.1:0");
  if (!bound) {
    std::fprintf(stderr, "%s\n", bound.error().describe().c_str());
    return 1;
  }
  std::printf("%s\n", bound->c_str());
  std::fflush(stdout);
  boost::asio::signal_set signals(loop, SIGINT, SIGTERM);
  signals.async_wait([&loop](boost::system::error_code, int) { loop.stop(); });
  loop.run();
  return 0;
}
