#include "dialects/adapters/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly::dialects::adapters {
namespace {

using ::testing::ElementsAre;

TEST(ProgramArgv, ChoosesTheInterpreter) {
  EXPECT_THAT(argv_for("/t/a",
                       "\x7f"
                       "ELF\x02",
                       true),
              ElementsAre("/t/a"));
  EXPECT_THAT(argv_for("/t/a.sh", "#!/bin/bash -e\necho", true), ElementsAre("/t/a.sh"));
  EXPECT_THAT(argv_for("/t/a.sh", "#!/usr/bin/env bash -e\r\necho", false),
              ElementsAre("/usr/bin/env", "bash -e", "/t/a.sh"));
  EXPECT_THAT(argv_for("/t/a.sh", "echo hi\n", true), ElementsAre("/bin/sh", "/t/a.sh"));
}

}  // namespace
}  // namespace mayfly::dialects::adapters
