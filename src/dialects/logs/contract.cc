#include "dialects/logs/contract.h"

namespace mayfly::dialects::logs {
namespace {

using aws::kBoolean;
using aws::Kind;
using aws::kInteger;
using aws::kString;
using aws::kStrings;
using aws::Member;
using aws::Shape;

#define LOGS_SHAPE(name, ...)                        \
  constexpr Member k##name##Members[] = __VA_ARGS__; \
  constexpr Shape k##name {                          \
    Kind::structure, k##name##Members                \
  }
#define GROUP                      \
  {"logGroupName", &kString}, {    \
    "logGroupIdentifier", &kString \
  }
#define PAGE                 \
  {"nextToken", &kString}, { \
    "limit", &kInteger       \
  }

LOGS_SHAPE(Groups, {{"logGroupNamePrefix", &kString}, {"logGroupNamePattern", &kString}, PAGE});
LOGS_SHAPE(Streams, {GROUP,
                     {"logStreamNamePrefix", &kString},
                     {"orderBy", &kString},
                     {"descending", &kBoolean},
                     PAGE});
LOGS_SHAPE(Events, {GROUP,
                    {"logStreamName", &kString},
                    {"startTime", &kInteger},
                    {"endTime", &kInteger},
                    {"startFromHead", &kBoolean},
                    PAGE});
LOGS_SHAPE(Filter, {GROUP,
                    {"logStreamNames", &kStrings},
                    {"logStreamNamePrefix", &kString},
                    {"startTime", &kInteger},
                    {"endTime", &kInteger},
                    {"filterPattern", &kString},
                    {"interleaved", &kBoolean},
                    PAGE});
#undef PAGE
#undef GROUP
#undef LOGS_SHAPE

constexpr aws::Operation operation(std::string_view name, Op op, const Shape& input) {
  return {name, &input, &aws::kDocument, static_cast<int>(op)};
}

constexpr aws::Operation kOperations[] = {
    operation("DescribeLogGroups", Op::describe_groups, kGroups),
    operation("DescribeLogStreams", Op::describe_streams, kStreams),
    operation("GetLogEvents", Op::get_events, kEvents),
    operation("FilterLogEvents", Op::filter_events, kFilter),
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
