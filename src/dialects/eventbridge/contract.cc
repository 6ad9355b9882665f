#include "dialects/eventbridge/contract.h"

namespace mayfly::dialects::eventbridge {
namespace {

using aws::kBoolean;
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

#define SHAPE(name, ...)                             \
  constexpr Member k##name##Members[] = __VA_ARGS__; \
  constexpr Shape k##name {                          \
    Kind::structure, k##name##Members                \
  }

SHAPE(Tag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kTags{Kind::list, {}, &kTag};
SHAPE(Failure, {{"TargetId", &kString}, {"ErrorCode", &kString}, {"ErrorMessage", &kString}});
constexpr Shape kFailures{Kind::list, {}, &kFailure};
SHAPE(FailedOut, {{"FailedEntryCount", &kInteger}, {"FailedEntries", &kFailures}});

SHAPE(CreateBus, {wanted("Name", kString),
                  {"EventSourceName", &kString},
                  {"Description", &kString},
                  {"KmsKeyIdentifier", &kString},
                  {"DeadLetterConfig", &kDocument},
                  {"LogConfig", &kDocument},
                  {"Tags", &kTags}});
SHAPE(CreateBusOut, {{"EventBusArn", &kString}, {"Description", &kString}});
SHAPE(UpdateBus, {{"Name", &kString},
                  {"Description", &kString},
                  {"KmsKeyIdentifier", &kString},
                  {"DeadLetterConfig", &kDocument},
                  {"LogConfig", &kDocument}});
SHAPE(UpdateBusOut, {{"Arn", &kString}, {"Name", &kString}, {"Description", &kString}});
SHAPE(DeleteBus, {wanted("Name", kString)});
SHAPE(DescribeBus, {{"Name", &kString}});
SHAPE(BusInfo, {{"Name", &kString},
                {"Arn", &kString},
                {"Description", &kString},
                {"Policy", &kString},
                {"CreationTime", &kTimestamp},
                {"LastModifiedTime", &kTimestamp}});
constexpr Shape kBuses{Kind::list, {}, &kBusInfo};
SHAPE(ListBuses, {{"NamePrefix", &kString}, {"NextToken", &kString}, {"Limit", &kInteger}});
SHAPE(ListBusesOut, {{"EventBuses", &kBuses}, {"NextToken", &kString}});

SHAPE(RuleName, {wanted("Name", kString), {"EventBusName", &kString}, {"Force", &kBoolean}});
SHAPE(RuleInfo, {{"Name", &kString},
                 {"Arn", &kString},
                 {"EventPattern", &kString},
                 {"ScheduleExpression", &kString},
                 {"State", &kString},
                 {"Description", &kString},
                 {"RoleArn", &kString},
                 {"ManagedBy", &kString},
                 {"EventBusName", &kString},
                 {"CreatedBy", &kString}});
constexpr Shape kRules{Kind::list, {}, &kRuleInfo};
SHAPE(ListRules, {{"NamePrefix", &kString},
                  {"EventBusName", &kString},
                  {"NextToken", &kString},
                  {"Limit", &kInteger}});
SHAPE(ListRulesOut, {{"Rules", &kRules}, {"NextToken", &kString}});
SHAPE(PutRule, {wanted("Name", kString),
                {"ScheduleExpression", &kString},
                {"EventPattern", &kString},
                {"State", &kString},
                {"Description", &kString},
                {"RoleArn", &kString},
                {"Tags", &kTags},
                {"EventBusName", &kString}});
SHAPE(PutRuleOut, {{"RuleArn", &kString}});
SHAPE(RuleNamesByTarget, {wanted("TargetArn", kString),
                          {"EventBusName", &kString},
                          {"NextToken", &kString},
                          {"Limit", &kInteger}});
SHAPE(RuleNamesOut, {{"RuleNames", &aws::kStrings}, {"NextToken", &kString}});

// Targets travel as they are: what this server does not use is kept for the client.
constexpr Shape kTargets{Kind::list, {}, &kDocument};
SHAPE(PutTargets,
      {wanted("Rule", kString), {"EventBusName", &kString}, wanted("Targets", kTargets)});
SHAPE(RemoveTargets, {wanted("Rule", kString),
                      {"EventBusName", &kString},
                      wanted("Ids", aws::kStrings),
                      {"Force", &kBoolean}});
SHAPE(ListTargets, {wanted("Rule", kString),
                    {"EventBusName", &kString},
                    {"NextToken", &kString},
                    {"Limit", &kInteger}});
SHAPE(ListTargetsOut, {{"Targets", &kTargets}, {"NextToken", &kString}});

SHAPE(EventEntry, {{"Time", &kTimestamp},
                   {"Source", &kString},
                   {"Resources", &aws::kStrings},
                   {"DetailType", &kString},
                   {"Detail", &kString},
                   {"EventBusName", &kString},
                   {"TraceHeader", &kString}});
constexpr Shape kEntries{Kind::list, {}, &kEventEntry};
SHAPE(PutEvents, {wanted("Entries", kEntries), {"EndpointId", &kString}});
SHAPE(PutResult, {{"EventId", &kString}, {"ErrorCode", &kString}, {"ErrorMessage", &kString}});
constexpr Shape kResults{Kind::list, {}, &kPutResult};
SHAPE(PutEventsOut, {{"FailedEntryCount", &kInteger}, {"Entries", &kResults}});
SHAPE(TestPattern, {wanted("EventPattern", kString), wanted("Event", kString)});
SHAPE(TestPatternOut, {{"Result", &kBoolean}});

SHAPE(OnlyResource, {wanted("ResourceARN", kString)});
SHAPE(TagResource, {wanted("ResourceARN", kString), wanted("Tags", kTags)});
SHAPE(UntagResource, {wanted("ResourceARN", kString), wanted("TagKeys", aws::kStrings)});
SHAPE(TagsOut, {{"Tags", &kTags}});
#undef SHAPE

constexpr aws::Operation operation(std::string_view name, Op op, const Shape& input,
                                   const Shape& output = aws::kEmpty) {
  return {name, &input, &output, static_cast<int>(op)};
}

constexpr aws::Operation kOperations[] = {
    operation("CreateEventBus", Op::create_bus, kCreateBus, kCreateBusOut),
    operation("DeleteEventBus", Op::delete_bus, kDeleteBus),
    operation("DeleteRule", Op::delete_rule, kRuleName),
    operation("DescribeEventBus", Op::describe_bus, kDescribeBus, kBusInfo),
    operation("DescribeRule", Op::describe_rule, kRuleName, kRuleInfo),
    operation("DisableRule", Op::disable_rule, kRuleName),
    operation("EnableRule", Op::enable_rule, kRuleName),
    operation("ListEventBuses", Op::list_buses, kListBuses, kListBusesOut),
    operation("ListRuleNamesByTarget", Op::list_rule_names_by_target, kRuleNamesByTarget,
              kRuleNamesOut),
    operation("ListRules", Op::list_rules, kListRules, kListRulesOut),
    operation("ListTagsForResource", Op::list_tags, kOnlyResource, kTagsOut),
    operation("ListTargetsByRule", Op::list_targets, kListTargets, kListTargetsOut),
    operation("PutEvents", Op::put_events, kPutEvents, kPutEventsOut),
    operation("PutRule", Op::put_rule, kPutRule, kPutRuleOut),
    operation("PutTargets", Op::put_targets, kPutTargets, kFailedOut),
    operation("RemoveTargets", Op::remove_targets, kRemoveTargets, kFailedOut),
    operation("TagResource", Op::tag, kTagResource),
    operation("TestEventPattern", Op::test_pattern, kTestPattern, kTestPatternOut),
    operation("UntagResource", Op::untag, kUntagResource),
    operation("UpdateEventBus", Op::update_bus, kUpdateBus, kUpdateBusOut),
};

constexpr aws::Contract contract() {
  aws::Contract made;
  made.name = "events";
  made.api_version = "2015-10-07";
  made.operations = kOperations;
  made.target_prefix = "AWSEvents";
  made.json_version = "1.1";
  return made;
}

constexpr aws::Contract kContract = contract();

}  // namespace

const aws::Contract& events_contract() {
  return kContract;
}

}  // namespace mayfly::dialects::eventbridge
