#pragma once
// A YAML document as the readers of projects want it: plain values that know where they stand
// (file, line, path), with custom tags kept, so that what variables make of them can still say
// where it came from. Values copy; a Place is shared and constant.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mayfly::functions::projects {

// Hostile documents: nodes count as often as aliases repeat them.
constexpr std::size_t kDocumentBytesMax = 1u << 20;
constexpr std::size_t kNodesMax = 50'000;
constexpr int kDepthMax = 50;
constexpr std::size_t kTextBytesMax = 1u << 20;  // of one text that variables make

struct Place;
using PlacePtr = std::shared_ptr<const Place>;

// Where a value stands: "Resources.Hello.Properties.Timeout" in line 12 of template.yaml.
struct Place {
  PlacePtr parent;  // null: the top of a file
  std::string name;
  std::shared_ptr<const std::string> file;
  int line = 0;

  std::string path() const;  // "" at the top
};

struct Value {
  enum class Kind : std::uint8_t { null, scalar, list, map, unknown };
  using Member = std::pair<std::string, Value>;

  // Out of line: where a pair with Value is needed, Value must be whole.
  Value();
  ~Value();
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;

  Kind kind = Kind::null;
  bool quoted = false;  // a scalar that is a text whatever it looks like
  std::string text;     // of scalars; of unknown: why nobody can say what it is
  std::string tag;      // "!Ref" ...; empty when there is none
  std::vector<Value> items;
  std::vector<Member> members;
  PlacePtr place;

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }
  bool is_unknown() const { return kind == Kind::unknown; }
  const Value* find(std::string_view key) const;  // null: not there
  Value* find(std::string_view key);
  int line() const { return place ? place->line : 0; }

  static Value scalar(std::string text, PlacePtr place);
  static Value unknown(std::string why, PlacePtr place);
};

// Thrown within the readers of projects only; they turn it into an Error that names file, line and
// path.
struct Wrong {
  PlacePtr place;
  std::string message;
};
[[noreturn]] void wrong(const Value& at, std::string message);
Error to_error(const Wrong& problem);

// Counts what resolving makes: a small document must not become a large one.
class Budget {
 public:
  void spend(const Value& at, std::size_t nodes, std::size_t bytes = 0);
  // One whole value, with all that is in it.
  void spend_copy(const Value& at, const Value& copied);

 private:
  std::size_t nodes_ = 0, bytes_ = 0;
};

// The document of a file (YAML or JSON); merges (<<) are done. Throws Wrong.
Value load_document(std::string_view text, const std::string& file);

// What a value says. They throw Wrong.
std::string text_of(const Value& value);         // a scalar
std::string filled_text_of(const Value& value);  // and not ""
bool boolean_of(const Value& value);
std::int64_t whole_of(const Value& value, std::int64_t min, std::int64_t max);
std::vector<std::string> texts_of(const Value& value);  // one text is a list of one
// Plain scalars become numbers, booleans and null where they look like it.
std::string json_of(const Value& value);
// A text as it is, else its JSON: for what may be either (patterns, inputs).
std::string json_text_of(const Value& value);

}  // namespace mayfly::functions::projects
