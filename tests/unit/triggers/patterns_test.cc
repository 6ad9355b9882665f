#include "triggers/patterns.h"

#include <gtest/gtest.h>

namespace mayfly::triggers {
namespace {

bool matches(std::string_view pattern, std::string_view event) {
  const auto compiled = Pattern::compile(pattern);
  EXPECT_TRUE(compiled.has_value()) << pattern << ": " << compiled.error().message;
  return compiled.has_value() && compiled->matches_text(event);
}

std::string error_of(std::string_view pattern) {
  const auto compiled = Pattern::compile(pattern);
  if (compiled.has_value()) return "compiles";
  EXPECT_EQ(compiled.error().code, Code::invalid_argument);
  return compiled.error().message;
}

struct Case {
  std::string pattern, event;
  bool match;
};

void check(const std::vector<Case>& cases) {
  for (const auto& c : cases)
    EXPECT_EQ(matches(c.pattern, c.event), c.match) << c.pattern << " on " << c.event;
}

TEST(Patterns, EqualValues) {
  check({
      {R"({"a":["x"]})", R"({"a":"x"})", true},
      {R"({"a":["x"]})", R"({"a":"X"})", false},
      {R"({"a":["x"]})", R"({"b":"x"})", false},
      {R"({"a":["x","y"]})", R"({"a":"y","b":1})", true},
      {R"({"a":["x"],"b":["y"]})", R"({"a":"x","b":"y"})", true},
      {R"({"a":["x"],"b":["y"]})", R"({"a":"x","b":"z"})", false},
      {R"({"a":[1]})", R"({"a":1})", true},
      {R"({"a":[1]})", R"({"a":"1"})", false},
      {R"({"a":["1"]})", R"({"a":1})", false},
      {R"({"a":[1.0]})", R"({"a":1})", true},
      {R"({"a":[true]})", R"({"a":true})", true},
      {R"({"a":[true]})", R"({"a":false})", false},
      {R"({"a":[true]})", R"({"a":"true"})", false},
      {R"({"a":[null]})", R"({"a":null})", true},
      {R"({"a":[null]})", R"({"a":""})", false},
      {R"({"a":[null]})", R"({})", false},
      {R"({"a":[""]})", R"({"a":""})", true},
      {R"({"a":["é"]})", R"({"a":"\u00e9"})", true},
      {R"({"a":["x"]})", R"(["x"])", false},
      {R"({"a":["x"]})", R"(no json)", false},
  });
}

TEST(Patterns, ListsInTheEvent) {
  check({
      {R"({"a":["x"]})", R"({"a":["w","x"]})", true},
      {R"({"a":["x"]})", R"({"a":["w"]})", false},
      {R"({"a":["x"]})", R"({"a":[]})", false},
      {R"({"a":["x"]})", R"({"a":[["x"],"y"]})", true},
      {R"({"a":[{"exists":false}]})", R"({"a":[]})", true},
      // One element has to match all that is said of it.
      {R"({"l":{"k":["a"],"v":[1]}})", R"({"l":[{"k":"a","v":2},{"k":"b","v":1}]})", false},
      {R"({"l":{"k":["a"],"v":[1]}})", R"({"l":[{"k":"b","v":2},{"k":"a","v":1}]})", true},
      {R"({"l":{"k":["a"]}})", R"({"l":["a",[{"k":"a"}]]})", true},
  });
}

TEST(Patterns, NestedObjects) {
  check({
      {R"({"detail":{"state":["running"]}})", R"({"detail":{"state":"running","x":1}})", true},
      {R"({"detail":{"state":["running"]}})", R"({"detail":{"state":"stopped"}})", false},
      {R"({"detail":{"state":["running"]}})", R"({"detail":"running"})", false},
      {R"({"detail":{"state":["running"]}})", R"({"detail":{"state":{"running":1}}})", false},
      {R"({"a":{"b":{"c":[1]}}})", R"({"a":{"b":{"c":1}}})", true},
      {R"({"a":{"b":{"c":[1]}}})", R"({"a":{"b":null}})", false},
  });
}

TEST(Patterns, Texts) {
  check({
      {R"({"a":[{"prefix":"eu-"}]})", R"({"a":"eu-west"})", true},
      {R"({"a":[{"prefix":"eu-"}]})", R"({"a":"us-eu-"})", false},
      {R"({"a":[{"prefix":"eu-"}]})", R"({"a":5})", false},
      {R"({"a":[{"prefix":{"equals-ignore-case":"EU-"}}]})", R"({"a":"eU-west"})", true},
      {R"({"a":[{"prefix":{"equals-ignore-case":"EU-"}}]})", R"({"a":"eU"})", false},
      {R"({"a":[{"suffix":".png"}]})", R"({"a":"x.png"})", true},
      {R"({"a":[{"suffix":".png"}]})", R"({"a":"x.PNG"})", false},
      {R"({"a":[{"suffix":{"equals-ignore-case":".PnG"}}]})", R"({"a":"x.pNg"})", true},
      {R"({"a":[{"suffix":{"equals-ignore-case":".PnG"}}]})", R"({"a":"png"})", false},
      {R"({"a":[{"equals-ignore-case":"ALICE"}]})", R"({"a":"alice"})", true},
      {R"({"a":[{"equals-ignore-case":"ALICE"}]})", R"({"a":"alices"})", false},
      {R"({"a":["b",{"prefix":"c"}]})", R"({"a":"cd"})", true},
  });
}

TEST(Patterns, Wildcards) {
  check({
      {R"({"a":[{"wildcard":"dir/*.png"}]})", R"({"a":"dir/x/y.png"})", true},
      {R"({"a":[{"wildcard":"dir/*.png"}]})", R"({"a":"dir/.png"})", true},
      {R"({"a":[{"wildcard":"dir/*.png"}]})", R"({"a":"dir/x.jpg"})", false},
      {R"({"a":[{"wildcard":"*"}]})", R"({"a":""})", true},
      {R"({"a":[{"wildcard":"*a*b*"}]})", R"({"a":"xxaxxbxx"})", true},
      {R"({"a":[{"wildcard":"*a*b*"}]})", R"({"a":"xxbxxaxx"})", false},
      {R"({"a":[{"wildcard":"ab*ba"}]})", R"({"a":"aba"})", false},
      {R"({"a":[{"wildcard":"ab*ba"}]})", R"({"a":"abba"})", true},
      {R"({"a":[{"wildcard":"a*ab*b"}]})", R"({"a":"aaabb"})", true},
      {R"({"a":[{"wildcard":"plain"}]})", R"({"a":"plain"})", true},
      {R"({"a":[{"wildcard":"plain"}]})", R"({"a":"plainer"})", false},
      {R"({"a":[{"wildcard":"a\\*b"}]})", R"({"a":"a*b"})", true},
      {R"({"a":[{"wildcard":"a\\*b"}]})", R"({"a":"axb"})", false},
      {R"({"a":[{"wildcard":"a\\\\*"}]})", R"({"a":"a\\x"})", true},
  });
}

TEST(Patterns, AnythingBut) {
  check({
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":"y"})", true},
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":"x"})", false},
      {R"({"a":[{"anything-but":"x"}]})", R"({"a":5})", true},
      {R"({"a":[{"anything-but":"x"}]})", R"({})", false},
      {R"({"a":[{"anything-but":["x","y"]}]})", R"({"a":"y"})", false},
      {R"({"a":[{"anything-but":["x","y"]}]})", R"({"a":"z"})", true},
      {R"({"a":[{"anything-but":[1,2]}]})", R"({"a":2.0})", false},
      {R"({"a":[{"anything-but":[1,2]}]})", R"({"a":3})", true},
      {R"({"a":[{"anything-but":["x","y"]}]})", R"({"a":["x","z"]})", true},
      {R"({"a":[{"anything-but":["x","y"]}]})", R"({"a":["x","y"]})", false},
      {R"({"a":[{"anything-but":{"prefix":"init"}}]})", R"({"a":"initial"})", false},
      {R"({"a":[{"anything-but":{"prefix":"init"}}]})", R"({"a":"final"})", true},
      {R"({"a":[{"anything-but":{"prefix":["a","b"]}}]})", R"({"a":"bx"})", false},
      {R"({"a":[{"anything-but":{"suffix":".tmp"}}]})", R"({"a":"x.tmp"})", false},
      {R"({"a":[{"anything-but":{"suffix":[".tmp",".bak"]}}]})", R"({"a":"x.txt"})", true},
      {R"({"a":[{"anything-but":{"equals-ignore-case":["A","b"]}}]})", R"({"a":"B"})", false},
      {R"({"a":[{"anything-but":{"equals-ignore-case":"A"}}]})", R"({"a":"ab"})", true},
      {R"({"a":[{"anything-but":{"wildcard":"*/lib/*"}}]})", R"({"a":"usr/lib/x"})", false},
      {R"({"a":[{"anything-but":{"wildcard":["*/lib/*","*.o"]}}]})", R"({"a":"usr/x.c"})", true},
  });
}

TEST(Patterns, Numbers) {
  check({
      {R"({"a":[{"numeric":["=",5]}]})", R"({"a":5.0})", true},
      {R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":5})", true},
      {R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":0})", false},
      {R"({"a":[{"numeric":[">",0,"<=",5]}]})", R"({"a":5.0001})", false},
      {R"({"a":[{"numeric":["<",10]}]})", R"({"a":-1e3})", true},
      {R"({"a":[{"numeric":[">=",10]}]})", R"({"a":10})", true},
      {R"({"a":[{"numeric":[">=",10]}]})", R"({"a":"11"})", false},
      {R"({"a":[{"numeric":["<",10,">",5]}]})", R"({"a":7})", true},
      // Whole numbers that a double would round.
      {R"({"a":[9007199254740993]})", R"({"a":9007199254740992})", false},
      {R"({"a":[{"numeric":[">",9007199254740992.0]}]})", R"({"a":9007199254740993})", true},
      {R"({"a":[18446744073709551615]})", R"({"a":18446744073709551615})", true},
      {R"({"a":[{"numeric":["<",18446744073709551615]}]})", R"({"a":-1})", true},
      {R"({"a":[{"numeric":["<",1e300]}]})", R"({"a":18446744073709551615})", true},
      {R"({"a":[{"numeric":[">",-1e300]}]})", R"({"a":-9223372036854775808})", true},
  });
}

TEST(Patterns, Networks) {
  check({
      {R"({"a":[{"cidr":"10.0.0.0/24"}]})", R"({"a":"10.0.0.255"})", true},
      {R"({"a":[{"cidr":"10.0.0.0/24"}]})", R"({"a":"10.0.1.0"})", false},
      {R"({"a":[{"cidr":"10.0.0.77/31"}]})", R"({"a":"10.0.0.76"})", true},
      {R"({"a":[{"cidr":"10.0.0.77/31"}]})", R"({"a":"10.0.0.78"})", false},
      {R"({"a":[{"cidr":"0.0.0.0/0"}]})", R"({"a":"203.0.113.9"})", true},
      {R"({"a":[{"cidr":"0.0.0.0/0"}]})", R"({"a":"2001:db8::1"})", false},
      {R"({"a":[{"cidr":"2001:db8::/32"}]})", R"({"a":"2001:db8:5::1"})", true},
      {R"({"a":[{"cidr":"2001:db8::/32"}]})", R"({"a":"2001:db9::1"})", false},
      {R"({"a":[{"cidr":"10.1.2.3"}]})", R"({"a":"10.1.2.3"})", true},
      {R"({"a":[{"cidr":"10.0.0.0/8"}]})", R"({"a":"ten"})", false},
  });
}

TEST(Patterns, Exists) {
  check({
      {R"({"a":[{"exists":true}]})", R"({"a":null})", true},
      {R"({"a":[{"exists":true}]})", R"({"b":1})", false},
      {R"({"a":[{"exists":false}]})", R"({"b":1})", true},
      {R"({"a":[{"exists":false}]})", R"({"a":1})", false},
      {R"({"a":[{"exists":true}]})", R"({"a":{"b":1}})", false},
      {R"({"a":[{"exists":false},"x"]})", R"({"a":"x"})", true},
      {R"({"a":[{"exists":false},"x"]})", R"({"a":"y"})", false},
      {R"({"d":{"a":[{"exists":false}]}})", R"({})", true},
      {R"({"d":{"a":[{"exists":false}]}})", R"({"d":5})", true},
      {R"({"d":{"a":[{"exists":false}],"b":["x"]}})", R"({})", false},
      {R"({"d":{"a":[{"exists":false}]}})", R"({"d":[{"a":1},{"b":1}]})", true},
      {R"({"d":{"a":[{"exists":false}]}})", R"({"d":[{"a":1}]})", false},
  });
}

TEST(Patterns, Or) {
  const std::string pattern =
      R"({"source":["s"],"$or":[{"detail":{"n":[{"numeric":[">",5]}]}},{"detail":{"v":["x"]}}]})";
  check({
      {pattern, R"({"source":"s","detail":{"n":6}})", true},
      {pattern, R"({"source":"s","detail":{"v":"x"}})", true},
      {pattern, R"({"source":"s","detail":{"v":"y","n":5}})", false},
      {pattern, R"({"source":"t","detail":{"v":"x"}})", false},
      {R"({"d":{"$or":[{"a":[1]},{"b":[2],"$or":[{"c":[3]},{"e":[4]}]}]}})",
       R"({"d":{"b":2,"e":4}})", true},
      {R"({"d":{"$or":[{"a":[1]},{"b":[2],"$or":[{"c":[3]},{"e":[4]}]}]}})", R"({"d":{"b":2}})",
       false},
      // A list of conditions makes it a field of that name.
      {R"({"$or":["x",{"prefix":"y"}]})", R"({"$or":"yes"})", true},
  });
}

TEST(Patterns, ErrorsNameThePlace) {
  EXPECT_EQ(error_of("[]"), "the pattern: must be a JSON object.");
  EXPECT_EQ(error_of("{}"), "the pattern: is an empty object, which says nothing.");
  EXPECT_TRUE(error_of("{").starts_with("the pattern: is not valid JSON"));
  EXPECT_EQ(error_of(R"({"a":"x"})"),
            "a: must be an object or a list of conditions; write [value] for one value.");
  EXPECT_EQ(error_of(R"({"a":{"b":[]}})"), "a.b: has an empty list, which nothing matches.");
  EXPECT_EQ(error_of(R"({"a":{"b":[["x"]]}})"), "a.b: a list of conditions holds no lists.");
  EXPECT_TRUE(error_of(R"({"a":[{"prefx":"x"}]})").starts_with("a: unknown condition \"prefx\""));
  EXPECT_TRUE(error_of(R"({"a":[{"prefix":"x","suffix":"y"}]})").starts_with("a: a condition is"));
  EXPECT_TRUE(error_of(R"({"a":[{}]})").starts_with("a: a condition is"));
  EXPECT_TRUE(error_of(R"({"$or":[{"a":[1]},{"b":[{"exists":1}]}]})").starts_with("$or.b: "));
  for (const char* bad : {R"({"a":[{"prefix":5}]})",
                          R"({"a":[{"wildcard":"a**b"}]})",
                          R"({"a":[{"wildcard":"\\a"}]})",
                          R"({"a":[{"wildcard":"a\\"}]})",
                          R"({"a":[{"numeric":[]}]})",
                          R"({"a":[{"numeric":["=","5"]}]})",
                          R"({"a":[{"numeric":["~",5]}]})",
                          R"({"a":[{"numeric":[">",5,">",6]}]})",
                          R"({"a":[{"numeric":["=",5,"<",6]}]})",
                          R"({"a":[{"numeric":[">",5,"<",4]}]})",
                          R"({"a":[{"cidr":"10.0.0.0/33"}]})",
                          R"({"a":[{"cidr":"10.0.0/8"}]})",
                          R"({"a":[{"cidr":"::/129"}]})",
                          R"({"a":[{"cidr":"10.0.0.0/"}]})",
                          R"({"a":[{"anything-but":[]}]})",
                          R"({"a":[{"anything-but":[["x"]]}]})",
                          R"({"a":[{"anything-but":{"numeric":["=",1]}}]})",
                          R"({"a":[{"anything-but":null}]})",
                          R"({"a":[{"anything-but":{"prefix":[]}}]})",
                          R"({"a":[{"exists":"yes"}]})",
                          R"({"a":[{"suffix":{"prefix":"x"}}]})"})
    EXPECT_TRUE(error_of(bad).starts_with("a: ")) << bad << ": " << error_of(bad);
}

TEST(Patterns, Limits) {
  std::string deep = "[1]";
  for (std::size_t i = 0; i < Pattern::kDepthMax + 1; ++i) deep = "{\"a\":" + deep + "}";
  EXPECT_EQ(error_of(deep), "compiles");
  EXPECT_NE(error_of("{\"a\":" + deep + "}").find("deeper than 16"), std::string::npos);
  EXPECT_NE(error_of("{\"a\":[\"" + std::string(Pattern::kBytesMax, 'x') + "\"]}").find("longer"),
            std::string::npos);
  const auto small = Pattern::compile(R"({"a":["x"]})", 5);
  EXPECT_TRUE(small.has_error());
}

TEST(Patterns, ManyStarsOnALongTextAreQuick) {
  std::string stars = "*";
  for (int i = 0; i < 3000; ++i) stars += "aab*";
  const auto compiled = Pattern::compile(R"({"a":[{"wildcard":")" + stars + R"("}]})");
  ASSERT_TRUE(compiled.has_value());
  const std::string event = R"({"a":")" + std::string(1 << 20, 'a') + R"("})";
  // The work is linear; a matcher that goes back would not end.
  EXPECT_FALSE(compiled->matches_text(event));
}

}  // namespace
}  // namespace mayfly::triggers
