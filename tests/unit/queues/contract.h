#pragma once
// What the contract's tests share: short words for what engines are asked.

#include "queues/fixture.h"

namespace mayfly::queues::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

inline QueueInfo queue(std::string name) {
  QueueInfo info;
  info.name = std::move(name);
  info.settings.fifo = info.name.ends_with(".fifo");
  return info;
}
inline NewMessage message(std::string body) {
  NewMessage made;
  made.body = std::move(body);
  return made;
}
inline NewMessage grouped(std::string group, std::string body, std::string id = {}) {
  NewMessage made = message(std::move(body));
  made.group = std::move(group);
  made.deduplication_id = id.empty() ? made.group + "/" + made.body : std::move(id);
  return made;
}
inline std::vector<std::string> bodies(const std::vector<Message>& messages) {
  std::vector<std::string> out;
  for (const auto& message : messages) out.push_back(message.body);
  return out;
}

// Env: an engine with a clock, as Embedded of fixture.h.
template <class Env>
class EngineContract : public ::testing::Test {
 protected:
  Env env;
  QueueEngine& engine() { return *env.engine; }

  void create(QueueInfo info) {
    const auto status = env.run(engine().create(std::move(info)));
    ASSERT_TRUE(status.has_value()) << status.error().describe();
  }
  std::vector<Result<Sent>> send_all(const std::string& to, std::vector<NewMessage> messages) {
    return env.run(engine().send(to, std::move(messages)));
  }
  Sent send(const std::string& to, NewMessage one) {
    std::vector<NewMessage> messages;
    messages.push_back(std::move(one));
    auto sent = send_all(to, std::move(messages));
    EXPECT_TRUE(sent.at(0).has_value()) << sent[0].error().describe();
    return sent[0].has_value() ? *sent[0] : Sent();
  }
  Error send_error(const std::string& to, NewMessage one) {
    std::vector<NewMessage> messages;
    messages.push_back(std::move(one));
    auto sent = send_all(to, std::move(messages));
    EXPECT_TRUE(sent.at(0).has_error());
    return sent[0].has_error() ? sent[0].error() : Error();
  }
  static ReceiveOptions up_to(std::uint32_t max) {
    ReceiveOptions options;
    options.max = max;
    return options;
  }
  std::vector<Message> receive(const std::string& from, std::uint32_t max = 10) {
    return receive(from, up_to(max));
  }
  std::vector<Message> receive(const std::string& from, ReceiveOptions options) {
    auto got = env.run(engine().receive(from, std::move(options)));
    EXPECT_TRUE(got.has_value()) << got.error().describe();
    return got.has_value() ? std::move(*got) : std::vector<Message>();
  }
  Status settle(const std::string& of, const std::string& receipt) {
    return env.run(engine().settle(of, {receipt})).at(0);
  }
  Status hide(const std::string& of, const std::string& receipt, std::uint32_t seconds) {
    return env.run(engine().change_visibility(of, {{receipt, seconds}})).at(0);
  }
  Counts counts(const std::string& of) {
    auto got = engine().counts(of);
    EXPECT_TRUE(got.has_value());
    return got.has_value() ? *got : Counts();
  }
  std::vector<std::string> drain(const std::string& from) {
    std::vector<std::string> all;
    for (;;) {
      auto got = receive(from);
      if (got.empty()) return all;
      for (auto& message : got) {
        EXPECT_TRUE(settle(from, message.receipt).has_value());
        all.push_back(std::move(message.body));
      }
    }
  }
};

}  // namespace mayfly::queues::testing
