#pragma once
// Runs one task on a loop of its own.

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <utility>

#include "io/body.h"

namespace mayfly::identity::testing {

template <class T>
T run(io::Task<T> task) {
  boost::asio::io_context loop;
  std::optional<T> result;
  boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed, T value) {
    EXPECT_FALSE(failed);
    result = std::move(value);
  });
  loop.run();
  return std::move(*result);
}

}  // namespace mayfly::identity::testing
