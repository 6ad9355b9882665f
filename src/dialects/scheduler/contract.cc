#include "dialects/scheduler/contract.h"

namespace mayfly::dialects::scheduler {
namespace {

using aws::kDocument;
using aws::Kind;
using aws::kInteger;
using aws::kString;
using aws::kTimestamp;
using aws::Member;
using aws::Place;
using aws::Shape;

constexpr Member wanted(std::string_view name, const Shape& shape) {
  return {name, &shape, {}, Place::body, true};
}
constexpr Member in_path(std::string_view name) {
  return {name, &kString, {}, Place::path, true};
}
constexpr Member in_query(std::string_view name, std::string_view wire,
                          const Shape& shape = kString) {
  return {name, &shape, wire, Place::query};
}

#define SHAPE(name, ...)                             \
  constexpr Member k##name##Members[] = __VA_ARGS__; \
  constexpr Shape k##name {                          \
    Kind::structure, k##name##Members                \
  }

SHAPE(Tag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kTags{Kind::list, {}, &kTag};

// What Create and Update take beside the name; the same comes back from Get.
#define SCHEDULE_MEMBERS                                                                         \
  {"ActionAfterCompletion", &kString}, {"Description", &kString}, {"EndDate", &kTimestamp},      \
      wanted("FlexibleTimeWindow", kDocument), {"GroupName", &kString}, {"KmsKeyArn", &kString}, \
      wanted("ScheduleExpression", kString), {"ScheduleExpressionTimezone", &kString},           \
      {"StartDate", &kTimestamp}, {"State", &kString}, wanted("Target", kDocument), {            \
    "ClientToken", &kString                                                                      \
  }
SHAPE(PutSchedule, {in_path("Name"), SCHEDULE_MEMBERS});
SHAPE(ScheduleArn, {{"ScheduleArn", &kString}});
SHAPE(OneSchedule, {in_path("Name"), in_query("GroupName", "groupName"),
                    in_query("ClientToken", "clientToken")});
SHAPE(ScheduleOut, {{"ActionAfterCompletion", &kString},
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
SHAPE(ListSchedules, {in_query("GroupName", "ScheduleGroup"), in_query("NamePrefix", "NamePrefix"),
                      in_query("State", "State"), in_query("NextToken", "NextToken"),
                      in_query("MaxResults", "MaxResults", kInteger)});
SHAPE(Summary, {{"Arn", &kString},
                {"CreationDate", &kTimestamp},
                {"GroupName", &kString},
                {"LastModificationDate", &kTimestamp},
                {"Name", &kString},
                {"State", &kString},
                {"Target", &kDocument}});
constexpr Shape kSummaries{Kind::list, {}, &kSummary};
SHAPE(ListSchedulesOut, {{"NextToken", &kString}, {"Schedules", &kSummaries}});

SHAPE(CreateGroup, {in_path("Name"), {"ClientToken", &kString}, {"Tags", &kTags}});
SHAPE(GroupArn, {{"ScheduleGroupArn", &kString}});
SHAPE(OneGroup, {in_path("Name"), in_query("ClientToken", "clientToken")});
SHAPE(GroupOut, {{"Arn", &kString},
                 {"CreationDate", &kTimestamp},
                 {"LastModificationDate", &kTimestamp},
                 {"Name", &kString},
                 {"State", &kString}});
constexpr Shape kGroups{Kind::list, {}, &kGroupOut};
SHAPE(ListGroups, {in_query("NamePrefix", "NamePrefix"), in_query("NextToken", "NextToken"),
                   in_query("MaxResults", "MaxResults", kInteger)});
SHAPE(ListGroupsOut, {{"NextToken", &kString}, {"ScheduleGroups", &kGroups}});
SHAPE(OnlyResource, {in_path("ResourceArn")});
SHAPE(TagResource, {in_path("ResourceArn"), wanted("Tags", kTags)});
SHAPE(UntagResource, {in_path("ResourceArn"), in_query("TagKeys", "TagKeys", aws::kStrings)});
SHAPE(TagsOut, {{"Tags", &kTags}});
#undef SCHEDULE_MEMBERS
#undef SHAPE

constexpr aws::Operation operation(std::string_view name, Op op, std::string_view method,
                                   std::string_view path, const Shape& input,
                                   const Shape& output = aws::kEmpty) {
  return {name, &input, &output, static_cast<int>(op), method, path, 200};
}

constexpr aws::Operation kOperations[] = {
    operation("CreateSchedule", Op::create_schedule, "POST", "/schedules/{Name}", kPutSchedule,
              kScheduleArn),
    operation("UpdateSchedule", Op::update_schedule, "PUT", "/schedules/{Name}", kPutSchedule,
              kScheduleArn),
    operation("GetSchedule", Op::get_schedule, "GET", "/schedules/{Name}", kOneSchedule,
              kScheduleOut),
    operation("DeleteSchedule", Op::delete_schedule, "DELETE", "/schedules/{Name}", kOneSchedule),
    operation("ListSchedules", Op::list_schedules, "GET", "/schedules", kListSchedules,
              kListSchedulesOut),
    operation("CreateScheduleGroup", Op::create_group, "POST", "/schedule-groups/{Name}",
              kCreateGroup, kGroupArn),
    operation("GetScheduleGroup", Op::get_group, "GET", "/schedule-groups/{Name}", kOneGroup,
              kGroupOut),
    operation("DeleteScheduleGroup", Op::delete_group, "DELETE", "/schedule-groups/{Name}",
              kOneGroup),
    operation("ListScheduleGroups", Op::list_groups, "GET", "/schedule-groups", kListGroups,
              kListGroupsOut),
    operation("ListTagsForResource", Op::list_tags, "GET", "/tags/{ResourceArn}", kOnlyResource,
              kTagsOut),
    operation("TagResource", Op::tag, "POST", "/tags/{ResourceArn}", kTagResource),
    operation("UntagResource", Op::untag, "DELETE", "/tags/{ResourceArn}", kUntagResource),
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
