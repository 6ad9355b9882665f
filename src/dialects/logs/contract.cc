#include "dialects/logs/contract.h"

#include "aws/tables.h"

namespace mayfly::dialects::logs {
namespace {

using aws::kBoolean;
using aws::kInteger;
using aws::kString;
using aws::kStrings;
using aws::operation;
using aws::Shape;

#define GROUP                      \
  {"logGroupName", &kString}, {    \
    "logGroupIdentifier", &kString \
  }
#define PAGE                 \
  {"nextToken", &kString}, { \
    "limit", &kInteger       \
  }

AWS_SHAPE(Groups, {{"logGroupNamePrefix", &kString}, {"logGroupNamePattern", &kString}, PAGE});
AWS_SHAPE(Streams, {GROUP,
                    {"logStreamNamePrefix", &kString},
                    {"orderBy", &kString},
                    {"descending", &kBoolean},
                    PAGE});
AWS_SHAPE(Events, {GROUP,
                   {"logStreamName", &kString},
                   {"startTime", &kInteger},
                   {"endTime", &kInteger},
                   {"startFromHead", &kBoolean},
                   PAGE});
AWS_SHAPE(Filter, {GROUP,
                   {"logStreamNames", &kStrings},
                   {"logStreamNamePrefix", &kString},
                   {"startTime", &kInteger},
                   {"endTime", &kInteger},
                   {"filterPattern", &kString},
                   {"interleaved", &kBoolean},
                   PAGE});
AWS_SHAPE(CreateGroup, {aws::required("logGroupName", kString),
                        {"kmsKeyId", &kString},
                        {"tags", &aws::kStringMap},
                        {"logGroupClass", &kString}});
AWS_SHAPE(OnlyGroup, {aws::required("logGroupName", kString)});
AWS_SHAPE(Retention,
          {aws::required("logGroupName", kString), aws::required("retentionInDays", kInteger)});
AWS_SHAPE(OnlyResource, {aws::required("resourceArn", kString)});
AWS_SHAPE(TagGroup, {{"resourceArn", &kString},
                     {"logGroupName", &kString},
                     aws::required("tags", aws::kStringMap)});
AWS_SHAPE(UntagResource,
          {aws::required("resourceArn", kString), aws::required("tagKeys", kStrings)});
AWS_SHAPE(UntagGroup, {aws::required("logGroupName", kString), aws::required("tags", kStrings)});
#undef PAGE
#undef GROUP

constexpr aws::Operation kOperations[] = {
    operation("CreateLogGroup", Op::create_group, kCreateGroup),
    operation("DeleteLogGroup", Op::remove_group, kOnlyGroup),
    operation("DeleteRetentionPolicy", Op::remove_retention, kOnlyGroup),
    operation("ListTagsForResource", Op::list_tags, kOnlyResource, aws::kDocument),
    operation("ListTagsLogGroup", Op::list_tags, kOnlyGroup, aws::kDocument),
    operation("PutRetentionPolicy", Op::put_retention, kRetention),
    operation("TagLogGroup", Op::tag, kTagGroup),
    operation("TagResource", Op::tag, kTagGroup),
    operation("UntagLogGroup", Op::untag, kUntagGroup),
    operation("UntagResource", Op::untag, kUntagResource),
    operation("DescribeLogGroups", Op::describe_groups, kGroups, aws::kDocument),
    operation("DescribeLogStreams", Op::describe_streams, kStreams, aws::kDocument),
    operation("GetLogEvents", Op::get_events, kEvents, aws::kDocument),
    operation("FilterLogEvents", Op::filter_events, kFilter, aws::kDocument),
};

constexpr aws::Contract make_contract() {
  aws::Contract made;
  made.name = "logs";
  made.api_version = "2014-03-28";
  made.operations = kOperations;
  made.target_prefix = "Logs_20140328";
  made.json_version = "1.1";
  return made;
}

constexpr aws::Contract kContract = make_contract();

}  // namespace

const aws::Contract& logs_contract() {
  return kContract;
}

}  // namespace mayfly::dialects::logs
