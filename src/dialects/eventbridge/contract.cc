#include "dialects/eventbridge/contract.h"

#include "aws/tables.h"

namespace mayfly::dialects::eventbridge {
namespace {

using aws::kBoolean;
using aws::kDocument;
using aws::Kind;
using aws::kInteger;
using aws::kString;
using aws::kTimestamp;
using aws::operation;
using aws::required;
using aws::Shape;

AWS_SHAPE(Tag, {{"Key", &kString}, {"Value", &kString}});
constexpr Shape kTags{Kind::list, {}, &kTag};
AWS_SHAPE(Failure, {{"TargetId", &kString}, {"ErrorCode", &kString}, {"ErrorMessage", &kString}});
constexpr Shape kFailures{Kind::list, {}, &kFailure};
AWS_SHAPE(FailedOut, {{"FailedEntryCount", &kInteger}, {"FailedEntries", &kFailures}});

AWS_SHAPE(CreateBus, {required("Name", kString),
                      {"EventSourceName", &kString},
                      {"Description", &kString},
                      {"KmsKeyIdentifier", &kString},
                      {"DeadLetterConfig", &kDocument},
                      {"LogConfig", &kDocument},
                      {"Tags", &kTags}});
AWS_SHAPE(CreateBusOut, {{"EventBusArn", &kString}, {"Description", &kString}});
AWS_SHAPE(UpdateBus, {{"Name", &kString},
                      {"Description", &kString},
                      {"KmsKeyIdentifier", &kString},
                      {"DeadLetterConfig", &kDocument},
                      {"LogConfig", &kDocument}});
AWS_SHAPE(UpdateBusOut, {{"Arn", &kString}, {"Name", &kString}, {"Description", &kString}});
AWS_SHAPE(DeleteBus, {required("Name", kString)});
AWS_SHAPE(DescribeBus, {{"Name", &kString}});
AWS_SHAPE(BusInfo, {{"Name", &kString},
                    {"Arn", &kString},
                    {"Description", &kString},
                    {"Policy", &kString},
                    {"CreationTime", &kTimestamp},
                    {"LastModifiedTime", &kTimestamp}});
constexpr Shape kBuses{Kind::list, {}, &kBusInfo};
AWS_SHAPE(ListBuses, {{"NamePrefix", &kString}, {"NextToken", &kString}, {"Limit", &kInteger}});
AWS_SHAPE(ListBusesOut, {{"EventBuses", &kBuses}, {"NextToken", &kString}});

AWS_SHAPE(RuleName, {required("Name", kString), {"EventBusName", &kString}, {"Force", &kBoolean}});
AWS_SHAPE(RuleInfo, {{"Name", &kString},
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
AWS_SHAPE(ListRules, {{"NamePrefix", &kString},
                      {"EventBusName", &kString},
                      {"NextToken", &kString},
                      {"Limit", &kInteger}});
AWS_SHAPE(ListRulesOut, {{"Rules", &kRules}, {"NextToken", &kString}});
AWS_SHAPE(PutRule, {required("Name", kString),
                    {"ScheduleExpression", &kString},
                    {"EventPattern", &kString},
                    {"State", &kString},
                    {"Description", &kString},
                    {"RoleArn", &kString},
                    {"Tags", &kTags},
                    {"EventBusName", &kString}});
AWS_SHAPE(PutRuleOut, {{"RuleArn", &kString}});
AWS_SHAPE(RuleNamesByTarget, {required("TargetArn", kString),
                              {"EventBusName", &kString},
                              {"NextToken", &kString},
                              {"Limit", &kInteger}});
AWS_SHAPE(RuleNamesOut, {{"RuleNames", &aws::kStrings}, {"NextToken", &kString}});

// Targets travel as they are: what this server does not use is kept for the client.
constexpr Shape kTargets{Kind::list, {}, &kDocument};
AWS_SHAPE(PutTargets,
          {required("Rule", kString), {"EventBusName", &kString}, required("Targets", kTargets)});
AWS_SHAPE(RemoveTargets, {required("Rule", kString),
                          {"EventBusName", &kString},
                          required("Ids", aws::kStrings),
                          {"Force", &kBoolean}});
AWS_SHAPE(ListTargets, {required("Rule", kString),
                        {"EventBusName", &kString},
                        {"NextToken", &kString},
                        {"Limit", &kInteger}});
AWS_SHAPE(ListTargetsOut, {{"Targets", &kTargets}, {"NextToken", &kString}});

AWS_SHAPE(EventEntry, {{"Time", &kTimestamp},
                       {"Source", &kString},
                       {"Resources", &aws::kStrings},
                       {"DetailType", &kString},
                       {"Detail", &kString},
                       {"EventBusName", &kString},
                       {"TraceHeader", &kString}});
constexpr Shape kEntries{Kind::list, {}, &kEventEntry};
AWS_SHAPE(PutEvents, {required("Entries", kEntries), {"EndpointId", &kString}});
AWS_SHAPE(PutResult, {{"EventId", &kString}, {"ErrorCode", &kString}, {"ErrorMessage", &kString}});
constexpr Shape kResults{Kind::list, {}, &kPutResult};
AWS_SHAPE(PutEventsOut, {{"FailedEntryCount", &kInteger}, {"Entries", &kResults}});
AWS_SHAPE(TestPattern, {required("EventPattern", kString), required("Event", kString)});
AWS_SHAPE(TestPatternOut, {{"Result", &kBoolean}});

AWS_SHAPE(OnlyResource, {required("ResourceARN", kString)});
AWS_SHAPE(TagResource, {required("ResourceARN", kString), required("Tags", kTags)});
AWS_SHAPE(UntagResource, {required("ResourceARN", kString), required("TagKeys", aws::kStrings)});
AWS_SHAPE(TagsOut, {{"Tags", &kTags}});

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
