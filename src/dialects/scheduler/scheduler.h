#pragma once
// Amazon EventBridge Scheduler (API version 2021-06-30) over schedules: what `aws scheduler`, boto3
// and the SDKs speak. Groups are kept here: schedules know only their names.
// docs/reference/topics.md says what differs.

#include <map>
#include <string>

#include "aws/service.h"
#include "triggers/schedules.h"

namespace mayfly::dialects::scheduler {

// Schedules of event rules live in this group, which is not shown.
inline constexpr std::string_view kRuleGroup = "events.rules";

// Belongs to the loop of the schedules; outlives the calls that it runs.
class Scheduler : public aws::Service {
 public:
  struct Parts {
    triggers::Schedules& schedules;
    store::Store& store;
    queues::QueueEngine& queues;  // commits
    const Clock& clock;
    std::string region, account;
  };
  explicit Scheduler(Parts parts) : parts_(std::move(parts)) {}

  Status open();  // reads the groups; blocks

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;
  struct Group {
    std::string name;
    std::map<std::string, std::string> tags;
    WallTime created{}, modified{};
  };

  // schedules.cc
  Answer put_schedule(aws::Call call);
  Answer delete_schedule(aws::Call call);
  aws::Outcome<Object> get_schedule(const aws::Call& call) const;
  aws::Outcome<Object> list_schedules(const aws::Call& call) const;
  // groups.cc
  Answer create_group(aws::Call call);
  Answer delete_group(aws::Call call);
  Answer change_tags(aws::Call call);
  aws::Outcome<Object> get_group(const aws::Call& call) const;
  aws::Outcome<Object> list_groups(const aws::Call& call) const;
  aws::Outcome<Object> list_tags(const aws::Call& call) const;
  io::Task<Status> write(Group group);
  Object group_info(const Group& group) const;
  aws::Outcome<std::string> group_in(const std::string& arn) const;

  std::string arn_of(const triggers::Schedule& schedule) const;
  static std::string encode(const Group& group);

  Parts parts_;
  std::map<std::string, Group> groups_;  // by name; default is always there
};

aws::Fault validation(std::string message);
aws::Fault schedule_fault(const Error& error);

}  // namespace mayfly::dialects::scheduler
