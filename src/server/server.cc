#include "server/server.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/log.h"
#include "buckets/buckets.h"
#include "dialects/connections/connections.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/urls.h"
#include "dialects/logs/logs.h"
#include "dialects/native/api.h"
#include "dialects/s3/s3.h"
#include "engine/deployer.h"
#include "engine/reserved.h"
#include "gateway/gateway.h"
#include "gateway/quotas.h"
#include "gateway/websockets.h"
#include "io/http_server.h"
#include "io/polling_loop.h"
#include "os/allocator.h"
#include "os/capabilities.h"
#include "os/time_slice.h"
#include "sandbox/sandbox.h"
#include "server/adapters.h"
#include "server/aws.h"
#include "server/data_dir.h"
#include "server/events.h"
#include "server/layout.h"
#include "server/publishing.h"
#include "server/side_loops.h"
#include "store/store.h"

namespace mayfly::server {
namespace {

namespace asio = boost::asio;

constexpr double kMemoryShare = 0.8;  // of the machine, for instances: EngineSettings' own default
// What one thread makes and another one frees collects in their caches: up to 32 MB without this.
constexpr std::uint64_t kAllocatorCacheBytes = 8u << 20;
constexpr unsigned kLoopsMax = 4;  // unless the setting server.loops says more

// What must happen while there is one thread: limits and signals are inherited by all that follow.
void prepare_process() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  std::signal(SIGPIPE, SIG_IGN);
}

void watch_memory(telemetry::Metrics& metrics) {
  if (!os::allocator_use()) return;
  const char* name = "mayfly_server_memory_bytes";
  const char* help =
      "Memory of the server's own allocations: in use, and freed but kept for the next ones.";
  auto& in_use = metrics.gauge(name, help, {{"state", "in_use"}});
  auto& thread_caches = metrics.gauge(name, help, {{"state", "thread_caches"}});
  auto& free_lists = metrics.gauge(name, help, {{"state", "free_lists"}});
  auto& free_pages = metrics.gauge(name, help, {{"state", "free_pages"}});
  metrics.before_exposition([&in_use, &thread_caches, &free_lists, &free_pages] {
    const auto use = os::allocator_use();
    if (!use) return;
    in_use.set(static_cast<double>(use->in_use));
    thread_caches.set(static_cast<double>(use->thread_caches));
    free_lists.set(static_cast<double>(use->free_lists));
    free_pages.set(static_cast<double>(use->free_pages));
  });
}

// SIGTERM and SIGINT arrive through a descriptor from now on, in every thread to come.
os::Fd take_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return os::Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// An address that clients on this machine can use.
std::string local_url(std::string bound) {
  if (bound.starts_with("0.0.0.0:")) bound.replace(0, 7, "127.0.0.1");
  if (bound.starts_with("[::]:")) bound.replace(0, 4, "[::1]");
  return "http://" + bound;
}

std::uint64_t memory_for_instances(std::uint64_t setting) {
  if (setting != 0) return setting;
  const double total =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return static_cast<std::uint64_t>(total * kMemoryShare);
}

unsigned side_loops(const Settings& settings) {
  if (settings.loops != 0) return settings.loops - 1;
  return std::clamp(std::thread::hardware_concurrency(), 1u, kLoopsMax) - 1;
}

// Members in the order in which they are built; destroyed in reverse.
class Server {
 public:
  Server(Settings settings, std::string version)
      : settings_(std::move(settings)), version_(std::move(version)) {}
  ~Server() {  // the last jobs of the pools use the parts below
    pool_.reset();
    files_pool_.reset();
  }

  Status start();
  void run() { io::run_polling(loop_, std::chrono::microseconds(settings_.poll_us)); }
  void finish();

 private:
  Status start_spawners();
  Status start_state();
  engine::EngineSettings engine_settings() const;
  Status start_engine();
  Status start_buckets();
  Status start_ports();
  gateway::DoorParts doors();
  void start_side_loops();
  Status announce(const std::string& gateway, const std::string& api);
  void watch_signals();
  void on_signal();
  io::Task<void> stop();

  Settings settings_;
  std::string version_;
  Layout layout_;
  std::unique_ptr<DataDir> data_;
  std::unique_ptr<sandbox::Spawner> spawner_;
  std::vector<std::unique_ptr<sandbox::Spawner>> side_spawners_;
  asio::io_context loop_{1};
  asio::posix::stream_descriptor signals_{loop_};
  int signals_seen_ = 0;
  SystemClock clock_;
  SteadyTime started_ = clock_.steady_now();
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<telemetry::Telemetry> telemetry_;
  std::unique_ptr<telemetry::Metrics> metrics_;
  std::unique_ptr<io::BlockingPool> pool_;
  std::unique_ptr<sandbox::Sandboxes> sandboxes_;
  std::unique_ptr<functions::Packages> packages_;
  std::unique_ptr<functions::ImageTrees> images_;
  std::unique_ptr<functions::Catalogue> catalogue_;
  std::unique_ptr<engine::Reserved> reserved_;
  std::unique_ptr<Adapters> adapters_;
  std::unique_ptr<Events> events_;
  std::unique_ptr<Publishing> publishing_;  // the buckets tell it of changes
  std::unique_ptr<io::BlockingPool> files_pool_;
  std::unique_ptr<buckets::Buckets> buckets_;
  std::unique_ptr<Aws> aws_;
  std::unique_ptr<dialects::s3::S3> s3_;
  std::unique_ptr<Inside> inside_;
  std::unique_ptr<engine::Dispatcher> dispatcher_;
  std::unique_ptr<engine::Deployer> deployer_;
  std::unique_ptr<dialects::lambda_api::UrlBook> urls_;
  std::unique_ptr<gateway::Quotas> quotas_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<dialects::native::Api> api_;
  std::unique_ptr<dialects::lambda_api::LambdaApi> lambda_;
  std::unique_ptr<dialects::logs::Groups> log_groups_;
  std::unique_ptr<dialects::logs::Logs> logs_;
  std::unique_ptr<dialects::connections::Connections> connections_;
  std::unique_ptr<io::HttpServer> gateway_port_;
  std::unique_ptr<io::HttpServer> api_port_;
  std::unique_ptr<SideLoops> side_loops_;
};

Status Server::start() {
  prepare_process();
  auto layout = find_layout(settings_, own_program());
  if (layout.has_error()) return layout.error();
  layout_ = *layout;
  auto data = DataDir::open(settings_.data_dir.empty() ? default_data_dir() : settings_.data_dir);
  if (data.has_error()) return data.error();
  data_ = std::make_unique<DataDir>(std::move(*data));
  data_->withdraw();  // of a server that was killed

  MAYFLY_TRY(start_spawners());
  // From here on only the spawner holds privilege. No thread has been started yet; these are for
  // low ports, and for files that npm and pip left without permission for their owner.
  MAYFLY_TRY(os::keep_capabilities({CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE, CAP_FOWNER}));

  os::Fd signals = take_signals();
  if (!signals) return errno_error("signalfd", errno);
  signals_.assign(signals.release());
  MAYFLY_TRY(start_state());
  // Behind the threads that store and telemetry have for work that can wait.
  ignore(os::set_time_slice(0, os::kPlatformSlice), "it is slower then beside busy functions");
  MAYFLY_TRY(start_engine());
  MAYFLY_TRY(start_ports());
  watch_signals();
  return ok();
}

Status Server::start_spawners() {
  auto spawner =
      sandbox::Spawner::start({layout_.spawner, data_->sub("spawner"), settings_.network_nat});
  if (spawner.has_error()) return spawner.error();
  spawner_ = std::move(*spawner);
  const unsigned wanted = side_loops(settings_);
  for (unsigned i = 1;; ++i) {
    const std::string name = "spawner-" + std::to_string(i);
    // Beyond those that are wanted: cleans up after one of a server that had more.
    if (i > wanted && !data_->has(name)) return ok();
    auto side = sandbox::Spawner::start({layout_.spawner, data_->sub(name), settings_.network_nat});
    if (side.has_error()) return side.error();
    if (i <= wanted) {
      side_spawners_.push_back(std::move(*side));
      continue;
    }
    side->reset();
    std::error_code ignored;  // then the next start does the same
    std::filesystem::remove_all(data_->sub(name), ignored);
  }
}

Status Server::start_state() {
  functions::RuntimeTable runtimes = functions::RuntimeTable::discover(settings_.runtimes);
  auto store = store::open_rocksdb(data_->sub("store"));
  if (store.has_error()) return store.error();
  store_ = std::move(*store);
  telemetry_ = telemetry::make_telemetry(*store_, clock_, settings_.prices, settings_.telemetry);
  metrics_ = telemetry::make_metrics();
  watch_memory(*metrics_);
  pool_ = std::make_unique<io::BlockingPool>(settings_.blocking_threads);
  sandboxes_ = spawner_->client(loop_.get_executor());
  packages_ =
      std::make_unique<functions::Packages>(data_->sub("packages"), settings_.packages, *pool_);
  MAYFLY_TRY(packages_->open());
  images_ = std::make_unique<functions::ImageTrees>(data_->sub("images"), settings_.images, *pool_);
  MAYFLY_TRY(images_->open());
  catalogue_ = std::make_unique<functions::Catalogue>(functions::Catalogue::Parts{
      *store_, *packages_, *pool_, clock_, std::move(runtimes), settings_.functions,
      sandboxes_.get(), layout_.runtimes_dir, images_.get()});
  return catalogue_->load();
}

engine::EngineSettings Server::engine_settings() const {
  engine::EngineSettings engine = settings_.engine;
  engine.runtimes_dir = layout_.runtimes_dir;
  engine.runtime_lib = layout_.runtime_lib;
  return engine;
}

Status Server::start_engine() {
  for (const auto& missing : sandboxes_->abilities().missing) log::warn("{}", missing);
  const engine::EngineSettings engine = engine_settings();
  adapters_ = make_adapters(engine, settings_.http.body_bytes_max);
  auto events = Events::make({loop_, *store_, *pool_, *catalogue_, clock_, *metrics_, engine,
                              settings_.queues, settings_.calls, data_->path()});
  if (events.has_error()) return events.error();
  events_ = std::move(*events);
  reserved_ = std::make_unique<engine::Reserved>(*catalogue_);
  auto secret = data_->services_secret();
  if (secret.has_error()) return secret.error();
  inside_ = std::make_unique<Inside>(Inside::Parts{loop_, settings_.http, settings_.inside,
                                                   settings_.aws.body_bytes_max, std::move(*secret),
                                                   engine.account});
  dispatcher_ = std::make_unique<engine::Dispatcher>(engine::Dispatcher::Parts{
      loop_, *sandboxes_, *telemetry_, *metrics_, clock_, adapters_->protocols(),
      catalogue_->runtimes(), engine, &events_->services(),
      [reserved = reserved_.get()](const functions::Version& version) {
        return reserved->enter(version);
      },
      [catalogue = catalogue_.get()](const functions::Version& version) {
        return functions::provisioned_calls(catalogue->belongings(version.function),
                                            version.number);
      },
      inside_.get()});
  for (const auto& latest : catalogue_->list()) {
    if (latest->settings.instances_min > 0) dispatcher_->keep(latest);
    if (catalogue_->belongings(latest->function).provisioned.empty()) continue;
    for (const auto& version : catalogue_->versions(latest->function)) dispatcher_->keep(version);
  }
  deployer_ = std::make_unique<engine::Deployer>(
      engine::Deployer::Parts{loop_, *catalogue_, *dispatcher_, *telemetry_, *pool_,
                              [events = events_.get()] { events->review(); }});
  MAYFLY_TRY(events_->attach(*dispatcher_, *reserved_));
  aws_ = std::make_unique<Aws>(Aws::Parts{events_->queues(), events_->moves(), *store_, *pool_,
                                          clock_, settings_.aws, engine.region, engine.account});
  MAYFLY_TRY(aws_->open());
  inside_->serve(aws_->endpoint());
  publishing_ = std::make_unique<Publishing>(
      Publishing::Parts{*store_, events_->queues(), clock_, *catalogue_, events_->calls(),
                        events_->targets(), settings_.publishing, engine.region, engine.account});
  MAYFLY_TRY(publishing_->open());
  publishing_->add_services(aws_->endpoint());
  return start_buckets();
}

Status Server::start_buckets() {
  files_pool_ = std::make_unique<io::BlockingPool>(settings_.buckets_threads);
  buckets_ = std::make_unique<buckets::Buckets>(buckets::Buckets::Parts{
      loop_.get_executor(), *store_, events_->committer(), *files_pool_, clock_, settings_.buckets,
      data_->sub("buckets"), publishing_->announce()});
  MAYFLY_TRY(buckets_->open());
  s3_ = std::make_unique<dialects::s3::S3>(dialects::s3::S3::Parts{
      *buckets_, aws_->keys(), clock_, settings_.aws.body_bytes_max, settings_.engine.region,
      settings_.engine.account, publishing_->target_checks()});
  aws_->endpoint().add(*s3_);
  return ok();
}

gateway::DoorParts Server::doors() {
  gateway::DoorParts doors;
  urls_ = std::make_unique<dialects::lambda_api::UrlBook>(*catalogue_);
  doors.find_url = [urls = urls_.get()](std::string_view id) { return urls->find(id); };
  doors.url_reply_bytes_max = settings_.lambda.payload_bytes_max;
  doors.check_signature = [aws = aws_.get()](const wire::RequestHead& head, std::string_view body,
                                             std::string_view service) {
    return aws->check_signature(head, body, service);
  };
  doors.clock = &clock_;
  doors.authorizers = &adapters_->authorizers();
  quotas_ = std::make_unique<gateway::Quotas>(gateway::Quotas::Parts{*store_, *pool_, clock_});
  doors.quotas = quotas_.get();
  doors.sockets = &adapters_->sockets();
  doors.socket_settings = settings_.websockets;
  doors.fetch = [webhooks = &events_->calls().webhooks()](std::string url) {
    return webhooks->get(std::move(url), identity::kKeySetBytesMax);
  };
  return doors;
}

Status Server::start_ports() {
  gateway_ = std::make_unique<gateway::Gateway>(gateway::GatewayParts{
      *catalogue_, *dispatcher_, *metrics_, adapters_->event_dialect(), adapters_->http_dialect(),
      [calls = &events_->calls().calls()](triggers::NewCall&& call) {
        return calls->accept(std::move(call));
      },
      settings_.calls.calls.payload_bytes_max, doors()});
  auto key = data_->api_key();
  if (key.has_error()) return key.error();
  api_ = std::make_unique<dialects::native::Api>(
      dialects::native::ApiParts{loop_,
                                 *catalogue_,
                                 *packages_,
                                 *dispatcher_,
                                 *deployer_,
                                 *telemetry_,
                                 *metrics_,
                                 *pool_,
                                 *sandboxes_,
                                 *key,
                                 data_->sub("api.key"),
                                 &events_->triggers(),
                                 &events_->state(),
                                 &events_->calls().calls(),
                                 &events_->calls().schedules(),
                                 &events_->queues(),
                                 &publishing_->topics(),
                                 &publishing_->buses(),
                                 &aws_->keys(),
                                 buckets_.get(),
                                 publishing_->target_checks()});
  lambda_ =
      std::make_unique<dialects::lambda_api::LambdaApi>(dialects::lambda_api::LambdaApi::Parts{
          *catalogue_, *packages_, *dispatcher_, *deployer_, events_->calls().calls(),
          events_->triggers(), *buckets_, aws_->keys(), *pool_, clock_, api_->package_keeper(),
          [events = events_.get()] { events->review(); }, settings_.lambda, settings_.engine.region,
          settings_.engine.account});
  aws_->endpoint().add(*lambda_);
  log_groups_ =
      std::make_unique<dialects::logs::Groups>(dialects::logs::Groups::Parts{*store_, *pool_});
  MAYFLY_TRY(log_groups_->load());
  logs_ = std::make_unique<dialects::logs::Logs>(
      dialects::logs::Logs::Parts{*catalogue_, *telemetry_, *pool_, *log_groups_,
                                  settings_.engine.region, settings_.engine.account});
  aws_->endpoint().add(*logs_);
  connections_ = std::make_unique<dialects::connections::Connections>(
      gateway_->sockets(), settings_.engine.region, settings_.engine.account);
  aws_->endpoint().add(*connections_);

  io::HttpServerOptions options = settings_.http;
  options.name = "gateway";
  gateway_port_ = std::make_unique<io::HttpServer>(
      loop_, options, [gateway = gateway_.get()](io::HttpRequest&& request) {
        return gateway->handle(std::move(request));
      });
  options.name = "api";
  // Whatever comes in here has a limit of its own: packages, objects, the bodies of each service.
  options.body_bytes_max = SIZE_MAX;
  api_port_ = std::make_unique<io::HttpServer>(
      loop_, options, [api = api_.get(), aws = &aws_->endpoint()](io::HttpRequest&& request) {
        return aws::Endpoint::takes(request.head) ? aws->handle(std::move(request))
                                                  : api->handle(std::move(request));
      });

  auto gateway_bound = gateway_port_->listen(settings_.gateway_address);
  if (gateway_bound.has_error()) return gateway_bound.error();  // names the flag
  auto api_bound = api_port_->listen(settings_.api_address);
  if (api_bound.has_error()) return api_bound.error();
  start_side_loops();
  events_->start();
  return announce(local_url(*gateway_bound), local_url(*api_bound));
}

void Server::start_side_loops() {
  std::vector<sandbox::Spawner*> spawners;
  for (const auto& each : side_spawners_) spawners.push_back(each.get());
  auto& serving = metrics_->gauge("mayfly_loops_serving", "Event loops that answer calls.", {});
  serving.set(1);
  if (spawners.empty()) return;
  SpreadSettings spread;
  spread.busy = settings_.loops_busy_percent / 100.0;
  if (settings_.loops_busy_percent == 0) spread.idle = 0;
  io::HttpServerOptions http = settings_.http;
  http.name = "gateway";
  side_loops_ = std::make_unique<SideLoops>(
      SideLoops::Parts{loop_, *catalogue_, *dispatcher_, *gateway_port_, clock_, serving, spread,
                       SideLoop::Parts{loop_,
                                       *spawner_,
                                       *telemetry_,
                                       *metrics_,
                                       clock_,
                                       catalogue_->runtimes(),
                                       engine_settings(),
                                       std::move(http),
                                       settings_.poll_us,
                                       events_->services(),
                                       *inside_,
                                       {}},
                       std::move(spawners)});
}

Status Server::announce(const std::string& gateway, const std::string& api) {
  dialects::native::ServerFacts facts;
  facts.version = version_;
  facts.api_url = api;
  facts.gateway_url = gateway;
  facts.data_dir = data_->path();
  facts.pid = ::getpid();
  facts.region = settings_.engine.region;
  facts.account = settings_.engine.account;
  facts.started = started_;
  facts.memory_bytes_max = memory_for_instances(settings_.engine.memory_bytes_max);
  facts.instances_max = settings_.engine.instances_max;
  facts.body_bytes_max = settings_.http.body_bytes_max;
  facts.url_base = settings_.lambda.url_base.empty() ? gateway : settings_.lambda.url_base;
  lambda_->set_gateway_url(facts.url_base);
  api_->set_facts(std::move(facts));
  aws_->endpoint().set_default_url(api);
  publishing_->set_api_url(api);

  MAYFLY_TRY(data_->publish({api, gateway, ::getpid(), data_->path(), version_}));
  if (auto pointer = write_pointer(default_data_dir(), data_->path()); pointer.has_error())
    log::warn("the CLI will need --data {}: {}", data_->path(), pointer.error().describe());
  std::printf("ready gateway=%s api=%s data=%s\n", gateway.c_str(), api.c_str(),
              data_->path().c_str());
  std::fflush(stdout);
  return ok();
}

void Server::watch_signals() {
  signals_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& failed) {
                        if (!failed) on_signal();
                      });
}

void Server::on_signal() {
  signalfd_siginfo info{};
  const ssize_t got = ::read(signals_.native_handle(), &info, sizeof info);
  if (got == static_cast<ssize_t>(sizeof info) && ++signals_seen_ > 1)
    std::_Exit(128 + static_cast<int>(info.ssi_signo));  // the spawner ends with its socket
  if (signals_seen_ == 1) {
    log::info(
        "stopping: running invocations have {} ms to finish (setting "
        "server.drain_timeout_ms); a second signal stops at once",
        settings_.drain_timeout_ms);
    asio::co_spawn(loop_, stop(), [this](std::exception_ptr failed) {
      if (failed) log::error("the drain broke off");
      loop_.stop();
    });
  }
  watch_signals();
}

io::Task<void> Server::stop() {
  const SteadyTime deadline = clock_.steady_now() + milliseconds(settings_.drain_timeout_ms);
  const auto left = [this, deadline] {
    const auto time = std::chrono::duration_cast<milliseconds>(deadline - clock_.steady_now());
    return std::max(milliseconds(0), time);
  };
  api_->close_streams();
  gateway_->sockets().stop();
  gateway_port_->stop_accepting();
  if (side_loops_) co_await side_loops_->stop(left());
  co_await gateway_port_->stop(left());
  co_await api_port_->stop(left());
  events_->quiesce();
  co_await events_->calls().stop(left());
  co_await dispatcher_->stop(left());
  co_await events_->stop();
}

void Server::finish() {
  telemetry_->flush();
  data_->withdraw();
  log::info("stopped");
}

}  // namespace

int serve(Settings settings, const std::string& version) {
  os::limit_allocator_caches(kAllocatorCacheBytes);
  const std::string& level = settings.log_level;
  log::set_level(level == "debug"   ? log::Level::debug
                 : level == "warn"  ? log::Level::warn
                 : level == "error" ? log::Level::error
                                    : log::Level::info);
  Server server(std::move(settings), version);
  if (auto started = server.start(); started.has_error()) {
    std::string text = started.error().describe();
    if (!text.ends_with('.')) text += '.';
    std::fprintf(stderr, "mayfly: %s\n", text.c_str());
    return 1;
  }
  server.run();
  server.finish();
  return 0;
}

}  // namespace mayfly::server
