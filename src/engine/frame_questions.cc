// What an instance stages and asks while a call runs: the frames effects, ask and answer.

#include "engine/frame_connection.h"
#include "engine/frame_stream.h"
#include "wire/http_message.h"

namespace mayfly::engine {
namespace {

constexpr std::size_t kQuestionsMax = 1'024;  // of one instance, not answered yet

std::string answer_json(const Result<std::string>& answer) {
  if (answer.has_value()) return *answer;
  std::string json = "{\"error\":{\"code\":\"";
  json.append(code_name(answer.error().code)).append("\",\"message\":");
  wire::append_json_string(json, answer.error().message);
  json += "}}";
  return json;
}

}  // namespace

bool FrameConnection::handle_effects(Stream& stream, const wire::Frame& frame) {
  if (stream.replied || !stream.effects.empty() || frame.payload.empty() ||
      frame.payload.size() > wire::kEffectsMax) {
    broken(frame.payload.size() > wire::kEffectsMax ? "staged more than 16 MB with one call"
                                                    : "sent an effects frame out of turn");
    return false;
  }
  stream.effects.assign(frame.payload);
  return true;
}

bool FrameConnection::handle_ask(Stream& stream, const wire::Frame& frame) {
  std::uint32_t question = 0;
  std::string_view json;
  if (!wire::split_ask(frame.payload, question, json) || json.size() > wire::kQuestionMax) {
    broken("sent an ask frame of a wrong size");
    return false;
  }
  if (questions_open_ >= kQuestionsMax) {
    broken("asks more than it waits for answers");
    return false;
  }
  if (!events_.ask) {
    answer_ask(stream.id, stream.serial, question,
               Error{Code::unsupported, "Nobody answers questions here.", "ask", 0});
    return true;
  }
  ++questions_open_;
  const std::weak_ptr<FrameConnection> weak = weak_from_this();
  events_.ask(std::string(json),
              [weak, id = stream.id, serial = stream.serial, question](Result<std::string> answer) {
                const auto self = weak.lock();
                if (!self) return;
                --self->questions_open_;
                self->answer_ask(id, serial, question, answer);
              });
  return !closed_;
}

void FrameConnection::answer_ask(std::uint32_t id, std::uint64_t serial, std::uint32_t question,
                                 const Result<std::string>& answer) {
  const Stream* stream = find(id);
  if (closed_ || stream == nullptr || stream->serial != serial || stream->remote_ended) return;
  wire::append_answer(out_, id, question, answer_json(answer));
  schedule_flush();
}

}  // namespace mayfly::engine
