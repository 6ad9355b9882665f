#pragma once
// The Extensions API (2020-01-01), as extensions in one sandbox see it: they register, and wait for
// events; and what mayfly-supervisor (runtimes/supervisor), which starts the external ones, says of
// them. Source of statuses, types and texts: aws-lambda-runtime-interface-emulator,
// internal/lambda. On one loop only.
//
// An extension goes through  Started -> Registered -> Ready <-> Running -> Exited:  started is an
// external one that has not registered yet, ready one that waits for its next event.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "io/http.h"

namespace mayfly::dialects::lambda {

class TelemetryHub;

struct ExtensionFacts {
  std::string function, version, handler, account, arn;
  std::vector<std::string> external;  // names of the programs in /opt/extensions, in order
};

class ExtensionsApi : public std::enable_shared_from_this<ExtensionsApi> {
 public:
  struct Hooks {
    std::function<void()> changed;  // look at the state again; not from inside a call of the engine
    // Output of an external extension, in pieces; an empty one: its last.
    std::function<void(std::string_view name, std::string_view text)> wrote;
  };
  // telemetry: may be null, then its APIs are not there.
  ExtensionsApi(boost::asio::any_io_executor executor, ExtensionFacts facts,
                std::shared_ptr<TelemetryHub> telemetry);
  ~ExtensionsApi();
  void listen(Hooks hooks) { hooks_ = std::move(hooks); }

  // Of a request's target: whether it is for here.
  static bool takes(std::string_view path);
  static io::Task<io::HttpResponse> serve(std::shared_ptr<ExtensionsApi> self,
                                          io::HttpRequest request);

  // ---- the engine's side
  bool any() const { return !extensions_.empty(); }
  // Every one that registered waits for its first event; external ones have registered.
  bool initialised() const;
  // Nothing works on the last invocation any more.
  bool at_rest() const;
  void close_registration() { open_ = false; }  // the runtime is ready
  // All are ready: the Telemetry API tells of them, and takes no more subscriptions.
  void announce();
  void invoke(const std::string& request_id, std::int64_t deadline_ms, const std::string& trace_id);
  // SPINDOWN, TIMEOUT or FAILURE; the first one holds. False: nobody is there to be told.
  bool shutdown(std::string_view reason, std::int64_t deadline_ms);
  // What went wrong with an extension: "Extension.Crash" and a sentence; type empty: nothing.
  struct Trouble {
    std::string type, message;
  };
  const Trouble& trouble() const { return trouble_; }
  // The sandbox is gone, or nobody is interested any more: who waits is told.
  void end();

 private:
  struct Extension;
  using ExtensionPtr = std::shared_ptr<Extension>;
  using Response = io::Task<io::HttpResponse>;

  static Response route(std::shared_ptr<ExtensionsApi> self, io::HttpRequest request);
  static Response next(std::shared_ptr<ExtensionsApi> self, io::HttpRequest request);
  static Response supervisor(std::shared_ptr<ExtensionsApi> self, io::HttpRequest request);
  static Response wait_for_registrations(std::shared_ptr<ExtensionsApi> self);
  static Response wait_for_trouble(std::shared_ptr<ExtensionsApi> self);
  io::HttpResponse register_one(const io::HttpRequest& request);
  io::HttpResponse report_error(const io::HttpRequest& request, bool in_init);
  io::HttpResponse subscribe(const io::HttpRequest& request);
  io::HttpResponse registered(Extension& extension, const io::HttpRequest& request) const;
  io::HttpResponse runtime_ended();
  // Null: refused, and answer says why.
  ExtensionPtr by_header(const io::HttpRequest& request, io::HttpResponse& answer) const;
  ExtensionPtr find(std::string_view name) const;
  void exited(std::string_view name, std::string_view how);
  // The engine hears of it when the supervisor has passed on what was written before.
  void fail(std::string type, std::string message);
  void heard_out();
  void changed();

  const ExtensionFacts facts_;
  const std::shared_ptr<TelemetryHub> telemetry_;
  Hooks hooks_;
  std::vector<ExtensionPtr> extensions_;
  std::vector<std::function<void()>> starters_;  // wake the supervisor's GET start, GET trouble
  bool open_ = true;                             // for registrations
  bool over_ = false;
  bool supervised_ = false;     // a supervisor has asked: there is one who can say more
  std::string shutdown_event_;  // JSON; set: it ends
  Trouble coming_, trouble_;
  boost::asio::steady_timer patience_;  // with the supervisor
};

}  // namespace mayfly::dialects::lambda
