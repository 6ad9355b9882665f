#pragma once
// What services write the tables of their contract with. The macro defines kNAME, a structure, in
// the namespace where it stands; a constexpr table cannot point at a temporary.

#include "aws/service.h"
#include "aws/shape.h"

namespace mayfly::aws {

#define AWS_SHAPE(name, ...)                                        \
  constexpr ::mayfly::aws::Member k##name##Members[] = __VA_ARGS__; \
  constexpr ::mayfly::aws::Shape k##name {                          \
    ::mayfly::aws::Kind::structure, k##name##Members                \
  }

// A member that every request has.
constexpr Member required(std::string_view name, const Shape& shape = kString) {
  return {name, &shape, {}, Place::body, true};
}
// rest-json: of the path, of the query.
constexpr Member in_path(std::string_view name) {
  return {name, &kString, {}, Place::path, true};
}
constexpr Member in_query(std::string_view name, const Shape& shape = kString,
                          std::string_view wire = {}) {
  return {name, &shape, wire, Place::query};
}

// op: the service's own, for its switch. Not of rest-json.
template <class Op>
constexpr Operation operation(std::string_view name, Op op, const Shape& input,
                              const Shape& output = kEmpty) {
  return {name, &input, &output, static_cast<int>(op)};
}

}  // namespace mayfly::aws
