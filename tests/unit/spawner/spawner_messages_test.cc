#include "wire/spawner_messages.h"

#include <gtest/gtest.h>

#include <random>

namespace mayfly::wire {
namespace {

SpawnerLaunch sample_launch() {
  SpawnerLaunch launch;
  launch.handle = 0x0102030405060708;
  launch.id = "fn-1";
  launch.argv = {"/usr/bin/python3", "", "a b"};
  launch.env = {"A=1", std::string("B=\xff\xfe")};
  launch.cwd = "/var/task";
  launch.rootfs = "/data/images/x/tree";
  launch.mounts = {{"/data/x", "/var/task", false}, {"/data/y", "/opt/y", true}};
  launch.memory_bytes = 128u << 20;
  launch.cpu_millis = 1500;
  launch.pids_max = 256;
  launch.tmp_bytes = 64u << 20;
  launch.files_max = 1024;
  launch.nat = true;
  launch.listen_ports = {9001, 65535};
  launch.channel = true;
  launch.stdin_pipe = true;
  launch.cloneable = true;
  launch.zygote = {{{"/usr/bin/x", "main"}, {"A=b"}, {{"/lib/y", "/var/y", false}}}};
  return launch;
}

template <class T>
T round_trip(const T& message) {
  auto decoded = decode_spawner_message(encode_spawner_message(message));
  EXPECT_TRUE(decoded.has_value()) << decoded.error().describe();
  return std::get<T>(decoded.value());
}

TEST(SpawnerMessages, LaunchComesBackWhole) {
  SpawnerLaunch sent = sample_launch();
  SpawnerLaunch got = round_trip(sent);
  EXPECT_EQ(got.rootfs, sent.rootfs);
  EXPECT_EQ(got.handle, sent.handle);
  EXPECT_EQ(got.id, sent.id);
  EXPECT_EQ(got.argv, sent.argv);
  EXPECT_EQ(got.env, sent.env);
  EXPECT_EQ(got.cwd, sent.cwd);
  ASSERT_EQ(got.mounts.size(), 2u);
  EXPECT_EQ(got.mounts[1].host_path, "/data/y");
  EXPECT_EQ(got.mounts[1].sandbox_path, "/opt/y");
  EXPECT_TRUE(got.mounts[1].writable);
  EXPECT_FALSE(got.mounts[0].writable);
  EXPECT_EQ(got.memory_bytes, sent.memory_bytes);
  EXPECT_EQ(got.cpu_millis, 1500u);
  EXPECT_EQ(got.pids_max, 256u);
  EXPECT_EQ(got.tmp_bytes, sent.tmp_bytes);
  EXPECT_EQ(got.files_max, 1024u);
  EXPECT_TRUE(got.nat && got.channel && got.stdin_pipe && got.cloneable);
  EXPECT_EQ(got.listen_ports, sent.listen_ports);
  ASSERT_EQ(got.zygote.size(), 1u);
  EXPECT_EQ(got.zygote[0].argv, sent.zygote[0].argv);
  EXPECT_EQ(got.zygote[0].env, sent.zygote[0].env);
  ASSERT_EQ(got.zygote[0].mounts.size(), 1u);
  EXPECT_EQ(got.zygote[0].mounts[0].sandbox_path, "/var/y");
}

TEST(SpawnerMessages, OthersComeBackWhole) {
  auto ready = round_trip(SpawnerReady{true, "v1", true, {"one.", "two."}});
  EXPECT_EQ(ready.missing, (std::vector<std::string>{"one.", "two."}));
  EXPECT_EQ(ready.cgroup, "v1");
  auto failed = round_trip(SpawnerFailed{7, 8, "exec /x", -2, "text", 3});
  EXPECT_EQ(failed.sys_errno, -2);
  EXPECT_EQ(failed.step, "exec /x");
  EXPECT_EQ(failed.request, 8u);
  auto exited = round_trip(SpawnerExited{7, true, 9, 1, 2, 3});
  EXPECT_TRUE(exited.signalled);
  EXPECT_EQ(exited.oom_kills, 3u);
  EXPECT_EQ(round_trip(SpawnerSignal{7, SpawnerSignalKind::terminate}).kind,
            SpawnerSignalKind::terminate);
  auto launched = round_trip(SpawnerLaunched{7, 42, 1, 3, 2, true, true, "why"});
  EXPECT_TRUE(launched.services);
  EXPECT_EQ(launched.listeners, 2);
  EXPECT_TRUE(launched.from_zygote);
  EXPECT_EQ(launched.no_zygote, "why");
  EXPECT_EQ(round_trip(SpawnerSockets{7, 9, 4}).count, 4);
  EXPECT_EQ(round_trip(SpawnerSocketsReady{9}).request, 9u);
  EXPECT_EQ(round_trip(SpawnerShells{7, 20}).count, 20u);
  EXPECT_EQ(round_trip(SpawnerShare{7, 62, false}).cpu_millis, 62u);
  EXPECT_FALSE(round_trip(SpawnerShare{7, 62, false}).at_once);
  auto clone = round_trip(SpawnerClone{8, 7, "c-1", {"A=1", ""}, 1u << 30, 500, 64, true});
  EXPECT_EQ(clone.from, 7u);
  EXPECT_EQ(clone.env, (std::vector<std::string>{"A=1", ""}));
  EXPECT_EQ(clone.memory_bytes, 1u << 30);
  EXPECT_EQ(clone.pids_max, 64u);
  EXPECT_TRUE(clone.channel);
}

TEST(SpawnerMessages, BytesAreFixed) {
  std::string bytes = encode_spawner_message(SpawnerSignal{0x0201, SpawnerSignalKind::kill});
  EXPECT_EQ(bytes, std::string("\x04\x06\x01\x02\0\0\0\0\0\0\x02", 11));
}

TEST(SpawnerMessages, EveryCutIsRefused) {
  std::string whole = encode_spawner_message(sample_launch());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    auto decoded = decode_spawner_message(std::string_view(whole).substr(0, size));
    ASSERT_TRUE(decoded.has_error()) << size;
    EXPECT_EQ(decoded.error().code, Code::corrupt);
  }
  EXPECT_TRUE(decode_spawner_message(whole + "x").has_error());
}

TEST(SpawnerMessages, WrongVersionTypeAndValuesAreRefused) {
  std::string bytes = encode_spawner_message(SpawnerSignal{1, SpawnerSignalKind::kill});
  for (auto [at, value] :
       {std::pair<std::size_t, char>{0, 1}, {1, 0}, {1, 9}, {1, -1}, {10, 0}, {10, 3}}) {
    std::string broken = bytes;
    broken[at] = value;
    EXPECT_TRUE(decode_spawner_message(broken).has_error()) << at;
  }
}

TEST(SpawnerMessages, ListCountThatLiesAllocatesNothing) {
  std::string bytes = encode_spawner_message(SpawnerReady{});
  // missing is the last field: its count becomes four billion.
  for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = '\xff';
  EXPECT_TRUE(decode_spawner_message(bytes).has_error());
}

TEST(SpawnerMessages, NoiseNeverCrashes) {
  std::mt19937 random(1);
  std::string whole = encode_spawner_message(sample_launch());
  for (int i = 0; i < 20'000; ++i) {
    std::string noise = whole;
    for (int flips = 0; flips < 4; ++flips) {
      noise[random() % noise.size()] = static_cast<char>(random());
    }
    auto decoded = decode_spawner_message(noise);
    if (decoded.has_value()) {
      EXPECT_EQ(encode_spawner_message(decoded.value()), noise);
    }
  }
}

}  // namespace
}  // namespace mayfly::wire
