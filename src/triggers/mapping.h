#pragma once
// An event source mapping: which function handles the messages of which queue, and how. Plain
// values and their JSON, shared by the store, the API and the CLI. Names and limits are Lambda's.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::triggers {

inline constexpr std::uint32_t kInvocationsOfPoller = 10;

struct Mapping {
  std::string id;     // a UUID
  std::string queue;  // name
  std::string function, qualifier;
  std::uint32_t batch = 10;       // messages of an invocation: 1 to 10,000; fifo: to 10
  std::uint32_t window_s = 0;     // how long to wait for a full batch: 0 to 300
  std::uint32_t concurrency = 0;  // invocations at once; 0: no limit of its own
  // Provisioned mode: so many pollers, each of which has kInvocationsOfPoller invocations at once.
  // Both or neither (functions/pollers.h has the bounds); 0: none.
  std::uint32_t minimum_pollers = 0, maximum_pollers = 0;
  std::uint32_t attempts = 0;        // then a message is given up; 0: as its queue says
  std::vector<std::string> filters;  // patterns (patterns.h), one of which must match
  std::string on_failure;            // target of messages that are given up; may be empty
  bool partial = true;               // batchItemFailures in the answer count
  bool enabled = true;
  // Of Lambda's API: kept and given back.
  std::map<std::string, std::string> tags;
  std::vector<std::string> metrics;  // "EventCount"
  std::string kms_key;               // ARN
  std::int64_t created_us = 0, modified_us = 0;

  std::string qualified() const;  // "charge" or "charge:3"
  std::string pair() const;       // "clicks:charge": a second name of the mapping
  // Invocations that may be under way: never more, and never held back below that while there are
  // messages and the function has room.
  std::uint32_t most_at_once() const;
  std::uint32_t least_at_once() const;
  bool operator==(const Mapping&) const = default;
};

// Lambda's bounds of tags.
Status check_tags(const std::map<std::string, std::string>& tags);
// The form of a key's ARN; empty is none.
Status check_kms_key(const std::string& arn);
// Bounds, names, patterns, tags and target. The errors name the key. Pure.
Status check_mapping(const Mapping& mapping);

std::string mapping_to_json(const Mapping& mapping);
// The members that mapping_from_json takes.
const std::vector<std::string_view>& mapping_keys();
// Strict. base: what keys that are missing stand for. id and times are not read.
Result<Mapping> mapping_from_json(std::string_view json, Mapping base);
// As it is kept: with id and times.
std::string encode_mapping(const Mapping& mapping);
Result<Mapping> decode_mapping(std::string_view bytes);

}  // namespace mayfly::triggers
