#include "cli/glob.h"

#include <gtest/gtest.h>

namespace mayfly::cli {
namespace {

TEST(Glob, Matches) {
  EXPECT_TRUE(glob_matches("src/*.js", "src/a.js"));
  EXPECT_FALSE(glob_matches("src/*.js", "src/a/b.js"));
  EXPECT_TRUE(glob_matches("src/**", "src/a/b.js"));
  EXPECT_TRUE(glob_matches("**/*.md", "a.md"));
  EXPECT_TRUE(glob_matches("**/*.md", "a/b/c.md"));
  EXPECT_TRUE(glob_matches("./a/**/z.{js,py}", "a/z.py"));
  EXPECT_FALSE(glob_matches("a/**/z.{js,py}", "a/z.rb"));
  EXPECT_TRUE(glob_matches(".env*", ".env.local"));
  EXPECT_FALSE(glob_matches("node_modules", "node_modules/x/y.js"));
  EXPECT_TRUE(glob_matches("[ab]?.js", "ax.js"));
  EXPECT_FALSE(glob_matches("{a", "b"));
  // Many stars cost no more than a few.
  std::string pattern, path;
  for (int i = 0; i < 200; ++i) pattern += "**/a/", path += "a/";
  EXPECT_FALSE(glob_matches(pattern + "b", path + "c"));
}

TEST(Glob, TheLastThatMatchesDecides) {
  const PathSelection selection({"!**", "src/**", "!src/test/**", "./src/test/keep.js"});
  EXPECT_FALSE(selection.takes("README.md"));
  EXPECT_TRUE(selection.takes("src/a.js"));
  EXPECT_FALSE(selection.takes("src/test/a.js"));
  EXPECT_TRUE(selection.takes("src/test/keep.js"));
  EXPECT_TRUE(PathSelection({"!x"}).takes("y"));
}

}  // namespace
}  // namespace mayfly::cli
