#pragma once
// The engine's end of one frame channel (wire/frames.h): streams, windows and batching. Reads take
// up to 256 KB at once into a buffer that all instances of a thread share, so that an idle instance
// holds none; writes gather what one turn of the loop produced,
// or portions of it (policy/portions.h). On one loop only.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/instance_protocol.h"
#include "engine/park.h"
#include "engine/policy/portions.h"
#include "os/fd.h"
#include "wire/frames.h"

namespace mayfly::engine {

class FrameConnection : public std::enable_shared_from_this<FrameConnection> {
 public:
  struct Options {
    std::uint64_t event_bytes_max = 64u << 20;  // of an event's result
    bool clone = false;                         // no ready frame comes: it is ready
  };
  FrameConnection(boost::asio::any_io_executor executor, os::Fd channel, LogSink log,
                  Options options);
  ~FrameConnection();

  void listen(InstanceEvents events) { events_ = std::move(events); }
  void open();  // begins to read

  io::Task<InstanceProtocol::Started> wait_ready();
  io::Task<InstanceProtocol::Called> call(Invocation& invocation, std::string meta);
  InstanceProtocol::Abort abort(const std::string& request_id);
  void ended();
  bool open_for_calls() const { return !closed_; }
  void shutdown();
  // No more callbacks; everything that waits is told.
  void close();

 private:
  struct Stream;
  class Reader;

  // Streams live in a dense table; stream id n is at n - 1. A slot is used again once the instance
  // has ended its side and the reader of the answer is gone.
  Stream& claim();
  void release(Stream& stream);
  Stream* find(std::uint32_t id);

  void send_request(Stream& stream, Invocation& invocation, std::string_view meta);
  void send_rest(Stream& stream);
  static io::Task<void> pump(std::shared_ptr<FrameConnection> self, std::uint32_t id,
                             std::uint64_t serial, io::BodyReaderPtr more);
  void stop_sending(Stream& stream);
  void abort_stream(Stream& stream, telemetry::Party party, const Error& error);

  void wait_readable();
  void on_readable();
  void take_bytes(std::string_view bytes);
  std::size_t consume(std::string_view bytes);
  bool handle(const wire::Frame& frame);
  bool handle_ready(const wire::Frame& frame);
  void hooks_failed(const wire::Frame& frame);
  bool handle_reply(Stream& stream, const wire::Frame& frame);
  bool handle_data(Stream& stream, const wire::Frame& frame);
  void handle_error(Stream& stream, const wire::Frame& frame);
  void handle_log(const wire::Frame& frame);
  bool handle_effects(Stream& stream, const wire::Frame& frame);
  bool handle_ask(Stream& stream, const wire::Frame& frame);
  void answer_ask(std::uint32_t id, std::uint64_t serial, std::uint32_t question,
                  const Result<std::string>& answer);
  bool handle_window(const wire::Frame& frame);
  bool take_credit(Stream& stream, std::size_t bytes);
  void remote_end(Stream& stream);
  void wake(Park& park);
  void run_woken();

  void send_cancel(Stream& stream);
  std::shared_ptr<Failure> too_large() const;
  InstanceProtocol::Called answer_of(Stream& stream);
  io::Task<Result<std::string>> read_body(std::uint32_t id);
  void drop_reader(std::uint32_t id);

  void schedule_flush();
  void flush();
  void broken(std::string why);
  void fail_all();

  boost::asio::any_io_executor executor_;
  boost::asio::local::stream_protocol::socket socket_;
  LogSink log_;
  Options options_;
  InstanceEvents events_;

  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::uint32_t> free_;
  std::size_t questions_open_ = 0;
  std::uint64_t serial_ = 0;  // tells uses of one stream id apart

  std::string partial_;  // a frame that a read cut
  std::string out_;
  std::size_t out_at_ = 0;
  std::uint64_t sent_ = 0;  // bytes since the beginning
  policy::Portions portions_;
  bool flush_scheduled_ = false, write_waiting_ = false;
  bool closed_ = false;
  std::string breach_;
  std::shared_ptr<Failure> hooks_failure_;  // of a clone that could not go on where it was cloned

  Park ready_park_;
  bool ready_seen_ = false;
  InstanceProtocol::Started started_;
  std::vector<Park::Handler> woken_;
  bool consuming_ = false;
};

// Reads {"model",...} of a ready frame; an error names what is wrong with it. Pure.
Result<Ready> parse_ready(std::string_view json);

}  // namespace mayfly::engine
