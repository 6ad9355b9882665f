#include "wire/spawner_messages.h"

#include <type_traits>

namespace mayfly::wire {

namespace {

constexpr std::uint8_t kVersion = 4;

// One list of fields per message serves both directions: visit(codec, message).
template <class C, class M>
void fields(C& c, M& m) {
  using T = std::remove_const_t<M>;
  if constexpr (std::is_same_v<T, SpawnerReady>) {
    c(m.namespaces), c(m.cgroup), c(m.network_nat), c(m.missing);
  } else if constexpr (std::is_same_v<T, SpawnerMount>) {
    c(m.host_path), c(m.sandbox_path), c(m.writable);
  } else if constexpr (std::is_same_v<T, SpawnerZygote>) {
    c(m.argv), c(m.env), c(m.mounts);
  } else if constexpr (std::is_same_v<T, SpawnerLaunch>) {
    c(m.handle), c(m.id), c(m.argv), c(m.env), c(m.cwd), c(m.rootfs), c(m.mounts);
    c(m.memory_bytes), c(m.cpu_millis), c(m.pids_max), c(m.tmp_bytes), c(m.files_max), c(m.nat);
    c(m.listen_ports), c(m.services), c(m.channel), c(m.stdin_pipe), c(m.cloneable), c(m.zygote);
  } else if constexpr (std::is_same_v<T, SpawnerLaunched>) {
    c(m.handle), c(m.pid), c(m.usage_kind), c(m.usage_fds), c(m.listeners), c(m.services);
    c(m.from_zygote), c(m.no_zygote);
  } else if constexpr (std::is_same_v<T, SpawnerFailed>) {
    c(m.handle), c(m.request), c(m.step), c(m.sys_errno), c(m.text), c(m.code);
  } else if constexpr (std::is_same_v<T, SpawnerExited>) {
    c(m.handle), c(m.signalled), c(m.status), c(m.cpu_us), c(m.memory_peak_bytes);
    c(m.oom_kills);
  } else if constexpr (std::is_same_v<T, SpawnerSignal>) {
    c(m.handle), c(m.kind);
  } else if constexpr (std::is_same_v<T, SpawnerSockets>) {
    c(m.handle), c(m.request), c(m.count);
  } else if constexpr (std::is_same_v<T, SpawnerSocketsReady>) {
    c(m.request);
  } else if constexpr (std::is_same_v<T, SpawnerClone>) {
    c(m.handle), c(m.from), c(m.id), c(m.env), c(m.memory_bytes), c(m.cpu_millis), c(m.pids_max);
    c(m.channel);
  } else if constexpr (std::is_same_v<T, SpawnerShells>) {
    c(m.handle), c(m.count);
  } else {
    static_assert(std::is_same_v<T, SpawnerShare>);
    c(m.handle), c(m.cpu_millis), c(m.at_once);
  }
}

struct Writer {
  std::string out;

  template <class T>
  void operator()(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      (*this)(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_same_v<T, bool>) {
      out.push_back(value ? 1 : 0);
    } else if constexpr (std::is_integral_v<T>) {
      auto bits = static_cast<std::make_unsigned_t<T>>(value);
      for (std::size_t i = 0; i < sizeof bits; ++i) {
        out.push_back(static_cast<char>((bits >> (8 * i)) & 0xff));
      }
    } else if constexpr (std::is_same_v<T, std::string>) {
      (*this)(static_cast<std::uint32_t>(value.size()));
      out.append(value);
    } else {
      fields(*this, value);
    }
  }
  template <class T>
  void operator()(const std::vector<T>& list) {
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const auto& item : list) (*this)(item);
  }
};

struct Reader {
  std::string_view in;
  bool good = true;

  template <class T>
  void operator()(T& value) {
    if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> number{};
      (*this)(number);
      if (number != 1 && number != 2) good = false;
      value = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = 0;
      (*this)(byte);
      if (byte > 1) good = false;
      value = byte == 1;
    } else if constexpr (std::is_integral_v<T>) {
      if (in.size() < sizeof(T)) {
        good = false;
        return;
      }
      std::make_unsigned_t<T> bits = 0;
      for (std::size_t i = 0; i < sizeof bits; ++i) {
        auto byte = static_cast<std::make_unsigned_t<T>>(static_cast<std::uint8_t>(in[i]));
        bits = static_cast<std::make_unsigned_t<T>>(bits | (byte << (8 * i)));
      }
      in.remove_prefix(sizeof(T));
      value = static_cast<T>(bits);
    } else if constexpr (std::is_same_v<T, std::string>) {
      std::uint32_t size = 0;
      (*this)(size);
      if (!good || in.size() < size) {
        good = false;
        return;
      }
      value.assign(in.substr(0, size));
      in.remove_prefix(size);
    } else {
      fields(*this, value);
    }
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    std::uint32_t count = 0;
    (*this)(count);
    // Every item takes at least one byte: a count beyond that is a lie, not an allocation.
    if (count > in.size()) good = false;
    for (std::uint32_t i = 0; good && i < count; ++i) (*this)(list.emplace_back());
  }
};

template <std::size_t I = 0>
bool emplace_type(SpawnerMessage& message, std::size_t index) {
  if constexpr (I < std::variant_size_v<SpawnerMessage>) {
    if (index == I) {
      message.emplace<I>();
      return true;
    }
    return emplace_type<I + 1>(message, index);
  } else {
    return false;
  }
}

Error corrupt(std::string what) {
  return Error{Code::corrupt, "spawner message: " + std::move(what), "decode", 0};
}

}  // namespace

std::string encode_spawner_message(const SpawnerMessage& message) {
  Writer writer;
  writer(kVersion);
  writer(static_cast<std::uint8_t>(message.index() + 1));
  std::visit([&writer](const auto& m) { fields(writer, m); }, message);
  return std::move(writer.out);
}

Result<SpawnerMessage> decode_spawner_message(std::string_view bytes) {
  if (bytes.size() < 2) return corrupt("too short");
  if (static_cast<std::uint8_t>(bytes[0]) != kVersion) {
    return corrupt("other version; mayfly and mayfly-spawner come from different builds");
  }
  SpawnerMessage message;
  if (bytes[1] == 0 || !emplace_type(message, static_cast<std::uint8_t>(bytes[1]) - 1u)) {
    return corrupt("unknown type");
  }
  Reader reader{bytes.substr(2)};
  std::visit([&reader](auto& m) { fields(reader, m); }, message);
  if (!reader.good) return corrupt("a field is cut off or out of range");
  if (!reader.in.empty()) return corrupt("bytes after the last field");
  return message;
}

}  // namespace mayfly::wire
