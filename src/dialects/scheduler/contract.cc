#include "dialects/scheduler/contract.h"

#include "aws/tables.h"

namespace mayfly::dialects::scheduler {
namespace {

using aws::in_path;
using aws::in_query;
using aws::kDocument;
using aws::Kind;
using aws::kInteger;
using aws::kString;
using aws::kTimestamp;
using aws::required;
using aws::Shape;

AWS_SHAPE(Tag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kTags{Kind::list, {}, &kTag};

// What Create and Update take beside the name; the same comes back from Get.
#define SCHEDULE_MEMBERS                                                                           \
  {"ActionAfterCompletion", &kString}, {"Description", &kString}, {"EndDate", &kTimestamp},        \
      required("FlexibleTimeWindow", kDocument), {"GroupName", &kString}, {"KmsKeyArn", &kString}, \
      required("ScheduleExpression", kString), {"ScheduleExpressionTimezone", &kString},           \
      {"StartDate", &kTimestamp}, {"State", &kString}, required("Target", kDocument), {            \
    "ClientToken", &kString                                                                        \
  }
AWS_SHAPE(PutSchedule, {in_path("Name"), SCHEDULE_MEMBERS});
AWS_SHAPE(ScheduleArn, {{"ScheduleArn", &kString}});
AWS_SHAPE(OneSchedule, {in_path("Name"), in_query("GroupName", kString, "groupName"),
                        in_query("ClientToken", kString, "clientToken")});
AWS_SHAPE(ScheduleOut, {{"ActionAfterCompletion", &kString},
                        {"Arn", &kString},
                        {"CreationDate", &kTimestamp},
                        {"Description", &kString},
                        {"EndDate", &kTimestamp},
                        {"FlexibleTimeWindow", &kDocument},
                        {"GroupName", &kString},
                        {"KmsKeyArn", &kString},
                        {"LastModificationDate", &kTimestamp},
                        {"Name", &kString},
                        {"ScheduleExpression", &kString},
                        {"ScheduleExpressionTimezone", &kString},
                        {"StartDate", &kTimestamp},
                        {"State", &kString},
                        {"Target", &kDocument}});
AWS_SHAPE(ListSchedules,
          {in_query("GroupName", kString, "ScheduleGroup"), in_query("NamePrefix"),
           in_query("State"), in_query("NextToken"), in_query("MaxResults", kInteger)});
AWS_SHAPE(Summary, {{"Arn", &kString},
                    {"CreationDate", &kTimestamp},
                    {"GroupName", &kString},
                    {"LastModificationDate", &kTimestamp},
                    {"Name", &kString},
                    {"State", &kString},
                    {"Target", &kDocument}});
constexpr Shape kSummaries{Kind::list, {}, &kSummary};
AWS_SHAPE(ListSchedulesOut, {{"NextToken", &kString}, {"Schedules", &kSummaries}});

AWS_SHAPE(CreateGroup, {in_path("Name"), {"ClientToken", &kString}, {"Tags", &kTags}});
AWS_SHAPE(GroupArn, {{"ScheduleGroupArn", &kString}});
AWS_SHAPE(OneGroup, {in_path("Name"), in_query("ClientToken", kString, "clientToken")});
AWS_SHAPE(GroupOut, {{"Arn", &kString},
                     {"CreationDate", &kTimestamp},
                     {"LastModificationDate", &kTimestamp},
                     {"Name", &kString},
                     {"State", &kString}});
constexpr Shape kGroups{Kind::list, {}, &kGroupOut};
AWS_SHAPE(ListGroups,
          {in_query("NamePrefix"), in_query("NextToken"), in_query("MaxResults", kInteger)});
AWS_SHAPE(ListGroupsOut, {{"NextToken", &kString}, {"ScheduleGroups", &kGroups}});
AWS_SHAPE(OnlyResource, {in_path("ResourceArn")});
AWS_SHAPE(TagResource, {in_path("ResourceArn"), required("Tags", kTags)});
AWS_SHAPE(UntagResource, {in_path("ResourceArn"), in_query("TagKeys", aws::kStrings)});
AWS_SHAPE(TagsOut, {{"Tags", &kTags}});
#undef SCHEDULE_MEMBERS

constexpr aws::Operation rest(std::string_view name, Op op, std::string_view method,
                              std::string_view path, const Shape& input,
                              const Shape& output = aws::kEmpty) {
  return {name, &input, &output, static_cast<int>(op), method, path, 200};
}

constexpr aws::Operation kOperations[] = {
    rest("CreateSchedule", Op::create_schedule, "POST", "/schedules/{Name}", kPutSchedule,
         kScheduleArn),
    rest("UpdateSchedule", Op::update_schedule, "PUT", "/schedules/{Name}", kPutSchedule,
         kScheduleArn),
    rest("GetSchedule", Op::get_schedule, "GET", "/schedules/{Name}", kOneSchedule, kScheduleOut),
    rest("DeleteSchedule", Op::delete_schedule, "DELETE", "/schedules/{Name}", kOneSchedule),
    rest("ListSchedules", Op::list_schedules, "GET", "/schedules", kListSchedules,
         kListSchedulesOut),
    rest("CreateScheduleGroup", Op::create_group, "POST", "/schedule-groups/{Name}", kCreateGroup,
         kGroupArn),
    rest("GetScheduleGroup", Op::get_group, "GET", "/schedule-groups/{Name}", kOneGroup, kGroupOut),
    rest("DeleteScheduleGroup", Op::delete_group, "DELETE", "/schedule-groups/{Name}", kOneGroup),
    rest("ListScheduleGroups", Op::list_groups, "GET", "/schedule-groups", kListGroups,
         kListGroupsOut),
    rest("ListTagsForResource", Op::list_tags, "GET", "/tags/{ResourceArn}", kOnlyResource,
         kTagsOut),
    rest("TagResource", Op::tag, "POST", "/tags/{ResourceArn}", kTagResource),
    rest("UntagResource", Op::untag, "DELETE", "/tags/{ResourceArn}", kUntagResource),
};

constexpr aws::Contract contract() {
  aws::Contract made;
  made.name = "scheduler";
  made.api_version = "2021-06-30";
  made.operations = kOperations;
  made.rest_json = true;
  return made;
}

constexpr aws::Contract kContract = contract();

}  // namespace

const aws::Contract& scheduler_contract() {
  return kContract;
}

}  // namespace mayfly::dialects::scheduler
