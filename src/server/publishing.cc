#include "server/publishing.h"

#include "triggers/fanout_calls.h"

namespace mayfly::server {
namespace {

// Schedules of rules; the dialect of EventBridge Scheduler does not show them.
constexpr std::string_view kRuleGroup = dialects::scheduler::kRuleGroup;

std::function<bool(const triggers::Target&)> takes_http(functions::Catalogue& catalogue) {
  return [catalogue = &catalogue](const triggers::Target& target) {
    const auto version = catalogue->find(target.name, target.qualifier);
    return version && functions::takes_http(version->model);
  };
}

io::Task<Status> set_schedule(triggers::Schedules* schedules, triggers::Rule rule,
                              std::string rule_arn) {
  const std::string group(kRuleGroup);
  const bool known = schedules->find(group, rule.name).has_value();
  if (rule.schedule.empty()) {
    if (!known) co_return ok();
    io::Task<Status> removing = schedules->remove(group, rule.name);
    Status removed = co_await std::move(removing);
    co_return removed;
  }
  triggers::Schedule schedule;
  schedule.group = group;
  schedule.name = rule.name;
  schedule.expression = rule.schedule;
  schedule.target = "bus:" + rule.bus;
  schedule.input = triggers::scheduled_event(rule_arn);
  schedule.enabled = rule.enabled;
  auto writing =
      known ? schedules->update(std::move(schedule)) : schedules->create(std::move(schedule));
  const auto written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  co_return ok();
}

triggers::Topics::Parts topic_parts(Publishing::Parts& parts,
                                    std::shared_ptr<std::string> api_url) {
  return {parts.store,
          parts.queues,
          parts.clock,
          triggers::add_calls_to(parts.calls.calls()),
          takes_http(parts.catalogue),
          [api_url] { return *api_url; },
          parts.region,
          parts.account,
          parts.settings.topics};
}

triggers::EventBuses::Parts bus_parts(Publishing::Parts& parts) {
  const std::string start = "arn:aws:events:" + parts.region + ":" + parts.account + ":rule/";
  return {parts.store,
          parts.queues,
          parts.clock,
          triggers::add_calls_to(parts.calls.calls()),
          takes_http(parts.catalogue),
          [schedules = &parts.calls.schedules(), start](triggers::Rule rule) {
            std::string arn = start + rule.name;  // only the default bus has schedules
            return set_schedule(schedules, std::move(rule), std::move(arn));
          },
          parts.region,
          parts.account,
          parts.settings.events};
}

}  // namespace

Publishing::Publishing(Parts parts)
    : topics_(topic_parts(parts, api_url_)),
      buses_(bus_parts(parts)),
      bucket_events_(parts.queues, triggers::add_calls_to(parts.calls.calls()), parts.account),
      queues_(parts.queues),
      catalogue_(parts.catalogue),
      sns_({topics_, parts.region, parts.account}),
      eventbridge_({buses_, parts.region, parts.account}),
      scheduler_({parts.calls.schedules(), parts.store, parts.queues, parts.clock, parts.region,
                  parts.account}) {
  using Kind = triggers::Target::Kind;
  parts.targets.register_kind(Kind::topic,
                              [this](triggers::Target target, triggers::Delivery delivery) {
                                return topics_.deliver(std::move(target), std::move(delivery));
                              });
  parts.targets.register_kind(Kind::bus,
                              [this](triggers::Target target, triggers::Delivery delivery) {
                                return buses_.deliver(std::move(target), std::move(delivery));
                              });
}

Status Publishing::open() {
  MAYFLY_TRY(topics_.open());
  MAYFLY_TRY(buses_.open());
  return scheduler_.open();
}

void Publishing::add_services(aws::Endpoint& endpoint) {
  endpoint.add(sns_);
  endpoint.add(eventbridge_);
  endpoint.add(scheduler_);
}

std::function<io::Task<Status>(store::Transaction, std::vector<buckets::Happening>)>
Publishing::announce() {
  return [events = &bucket_events_](store::Transaction transaction,
                                    std::vector<buckets::Happening> happenings) {
    return events->commit(std::move(transaction), std::move(happenings));
  };
}

std::function<Status(const std::string& target)> Publishing::target_checks() {
  return [this](const std::string& text) -> Status {
    using Kind = triggers::Target::Kind;
    auto target = triggers::parse_target(text);
    if (target.has_error()) return target.error();
    bool there = false;
    if (target->kind == Kind::function)
      there = catalogue_.find(target->name, target->qualifier) != nullptr;
    else if (target->kind == Kind::queue)
      there = queues_.find(target->name) != nullptr;
    else if (target->kind == Kind::topic)
      there = topics_.find(target->name) != nullptr;
    else
      return invalid("Buckets tell functions, queues and topics; this is none: " + text);
    if (there) return ok();
    return Error{Code::not_found, "There is no " + std::string(triggers::kind_name(target->kind)) +
                                      " \"" + target->name + "\"."};
  };
}

}  // namespace mayfly::server
