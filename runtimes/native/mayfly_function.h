#pragma once
/* A function in C or C++: the whole library is this file. It speaks Mayfly's frames
   (docs/internals/frames.md), so that many calls share one read and one write, and no HTTP is
   parsed on the way.

     #include "mayfly_function.h"

     static void hello(mayfly_call* call, void* data) {
       (void)data;
       mayfly_set_header(call, "content-type", "text/plain");
       mayfly_reply(call, "Hello\n", 6);
     }

     int main(void) { return mayfly_serve(MAYFLY_HTTP, 64, hello, NULL); }

   MAYFLY_HTTP: the function gets HTTP requests. MAYFLY_EVENT: it gets events as JSON, in the form
   of AWS Lambda, and answers with JSON.

   Calls are handled one after the other, on the thread that called mayfly_serve(); concurrency is
   how many the engine may send before the first is answered. Over 1 suits handlers that never wait
   for anything; with 1 (or --concurrency 1) the engine starts more instances instead.

   Nothing here is thread-safe. Texts belong to the call and end with the handler. C11 or C++11. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mayfly_model { MAYFLY_EVENT, MAYFLY_HTTP };

typedef struct mayfly_text {
  const char* data; /* not ended by a NUL; NULL: there is none */
  size_t size;
} mayfly_text;

typedef struct mayfly_call mayfly_call;
typedef void (*mayfly_handler)(mayfly_call* call, void* data);

/* Serves until the engine ends the instance; the result is the status for main() to return. data
   goes to the handler as it is. Without Mayfly around it says so and returns 2. */
static int mayfly_serve(enum mayfly_model model, unsigned concurrency, mayfly_handler handler,
                        void* data);

/* The event, or the body of the request. */
static inline mayfly_text mayfly_body(const mayfly_call* call);
/* Of the invocation: "id", "arn", "trace", "client_context". */
static inline mayfly_text mayfly_about(mayfly_call* call, const char* name);
/* Unix time at which the engine gives up. */
static inline int64_t mayfly_deadline_ms(mayfly_call* call);
/* Of the request: "method", "path" (percent-encoded), "query", "base" (what the gateway took off
   the path), "remote", "scheme", "version". */
static inline mayfly_text mayfly_request(mayfly_call* call, const char* name);
/* The first header of that name, whatever its case. */
static inline mayfly_text mayfly_header(mayfly_call* call, const char* name);

/* 200 unless it is set. */
static inline void mayfly_set_status(mayfly_call* call, int status);
/* One more header of the answer; only of HTTP. Text that is not UTF-8 is the engine's to refuse. */
static inline void mayfly_set_header(mayfly_call* call, const char* name, const char* value);
/* The answer. The bytes are copied. The first of reply and fail counts. */
static inline void mayfly_reply(mayfly_call* call, const void* bytes, size_t size);
/* The call has failed: errorType and errorMessage of its error. */
static inline void mayfly_fail(mayfly_call* call, const char* type, const char* message);
/* A line for the log of this invocation, without its line end. */
static inline void mayfly_log(mayfly_call* call, const char* text, size_t size);

/* ---- from here on: how it is done ---- */

enum {
  MAYFLY_CHANNEL = 3,
  MAYFLY_FRAME_HEADER = 12,
  MAYFLY_WINDOW = 1 << 20,
  MAYFLY_PIECE = 256 << 10,
  MAYFLY_FRAME_MAX = 64 << 20
};

enum mayfly_frame {
  MAYFLY_INVOKE = 1,
  MAYFLY_DATA = 2,
  MAYFLY_CANCEL = 3,
  MAYFLY_CREDIT = 4,
  MAYFLY_SHUTDOWN = 5,
  MAYFLY_ANSWER = 6,
  MAYFLY_READY = 65,
  MAYFLY_REPLY = 67,
  MAYFLY_ERROR = 69,
  MAYFLY_LOG = 70
};

enum { MAYFLY_END = 1, MAYFLY_IS_HTTP = 2 };

typedef struct mayfly_buffer {
  char* data;
  size_t size, room;
} mayfly_buffer;

/* A stream that is not over: its request is not complete, or its answer waits for credit. */
typedef struct mayfly_stream {
  struct mayfly_stream* next;
  uint32_t id;
  int answered, http;
  mayfly_buffer meta, head, bytes; /* of the request; then the rest of the answer's body */
  size_t sent, credit;
} mayfly_stream;

typedef struct mayfly_server {
  mayfly_buffer in, out;
  mayfly_stream* streams;
  mayfly_handler handler;
  void* data;
  enum mayfly_model model;
  int leaving;
} mayfly_server;

/* A text that had to be decoded, until the handler returns. */
typedef struct mayfly_decoded {
  struct mayfly_decoded* next;
} mayfly_decoded;

struct mayfly_call {
  mayfly_server* server;
  uint32_t stream;
  int done, status;
  mayfly_text meta, head, body;
  mayfly_buffer headers; /* of the answer, as members of a JSON array */
  mayfly_decoded* decoded;
};

static inline void* mayfly_need(void* memory) {
  if (memory != NULL) return memory;
  static const char kText[] = "mayfly: out of memory\n";
  if (write(2, kText, sizeof kText - 1) < 0) _exit(1);
  _exit(1);
}

static inline char* mayfly_grow(mayfly_buffer* buffer, size_t more) {
  if (buffer->size + more > buffer->room) {
    size_t room = buffer->room * 2 > buffer->size + more ? buffer->room * 2 : buffer->size + more;
    buffer->data = (char*)mayfly_need(realloc(buffer->data, room));
    buffer->room = room;
  }
  return buffer->data + buffer->size;
}

static inline void mayfly_append(mayfly_buffer* buffer, const void* bytes, size_t size) {
  if (size == 0) return;
  memcpy(mayfly_grow(buffer, size), bytes, size);
  buffer->size += size;
}

static inline void mayfly_append_text(mayfly_buffer* buffer, const char* text) {
  mayfly_append(buffer, text, strlen(text));
}

static inline void mayfly_append_json(mayfly_buffer* buffer, const char* text, size_t size) {
  mayfly_append(buffer, "\"", 1);
  for (size_t i = 0; i < size; ++i) {
    unsigned char c = (unsigned char)text[i];
    char code[8];
    if (c >= 0x20 && c != '"' && c != '\\') {
      mayfly_append(buffer, &c, 1);
    } else {
      mayfly_append(buffer, code, (size_t)snprintf(code, sizeof code, "\\u%04x", c));
    }
  }
  mayfly_append(buffer, "\"", 1);
}

static inline void mayfly_put32(char* to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = (char)(value >> (8 * i));
}

static inline uint32_t mayfly_get32(const char* from) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= (uint32_t)(unsigned char)from[i] << (8 * i);
  return value;
}

static inline void mayfly_begin_frame(mayfly_buffer* out, size_t size, uint32_t stream, int type,
                                      int flags) {
  char* header = mayfly_grow(out, MAYFLY_FRAME_HEADER + size);
  mayfly_put32(header, (uint32_t)size);
  mayfly_put32(header + 4, stream);
  header[8] = (char)type;
  header[9] = (char)flags;
  header[10] = header[11] = 0;
  out->size += MAYFLY_FRAME_HEADER;
}

/* 0: the engine is gone. */
static inline int mayfly_flush(mayfly_server* server) {
  size_t at = 0;
  while (at < server->out.size) {
    ssize_t put = write(MAYFLY_CHANNEL, server->out.data + at, server->out.size - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return 0;
    at += (size_t)put;
  }
  server->out.size = 0;
  return 1;
}

/* ---- JSON of the engine's: whole. Each returns where it stopped, NULL: broken. */

static inline const char* mayfly_skip_blanks(const char* at, const char* end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
  return at;
}

static inline int mayfly_next_is(const char** at, const char* end, char what) {
  *at = mayfly_skip_blanks(*at, end);
  return *at < end && **at == what;
}

static inline const char* mayfly_skip_string(const char* at, const char* end) {
  for (++at; at < end; ++at) {
    if (*at == '\\') {
      ++at;
    } else if (*at == '"') {
      return at + 1;
    }
  }
  return NULL;
}

static inline const char* mayfly_skip_value(const char* at, const char* end) {
  int depth = 0;
  while (at != NULL && at < end) {
    if (*at == '"') {
      at = mayfly_skip_string(at, end);
    } else if (*at == '[' || *at == '{') {
      ++depth;
      ++at;
    } else if (*at == ']' || *at == '}') {
      if (depth == 0) return at;
      --depth;
      ++at;
    } else if (*at == ',' && depth == 0) {
      return at;
    } else {
      ++at;
      continue;
    }
    if (depth == 0) return at;
  }
  return at;
}

/* The value of a member of an object, as it is written. */
static inline mayfly_text mayfly_member(mayfly_text object, const char* name) {
  const mayfly_text none = {NULL, 0};
  const char *at = object.data, *end = object.data + object.size;
  size_t length = strlen(name);
  if (object.size == 0 || !mayfly_next_is(&at, end, '{')) return none;
  ++at;
  while (mayfly_next_is(&at, end, '"')) {
    const char* key = at + 1;
    const char* key_end = mayfly_skip_string(at, end);
    at = key_end;
    if (at == NULL || !mayfly_next_is(&at, end, ':')) return none;
    const char* value = mayfly_skip_blanks(at + 1, end);
    at = mayfly_skip_value(value, end);
    if (at == NULL) return none;
    if ((size_t)(key_end - 1 - key) == length && memcmp(key, name, length) == 0) {
      const mayfly_text text = {value, (size_t)(at - value)};
      return text;
    }
    if (mayfly_next_is(&at, end, ',')) ++at;
  }
  return none;
}

static inline int mayfly_hex(const char* digits) {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    char c = digits[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

static inline size_t mayfly_put_utf8(char* to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    to[0] = (char)(0xc0 | (c >> 6));
    to[1] = (char)(0x80 | (c & 0x3f));
    return 2;
  }
  if (c < 0x10000) {
    to[0] = (char)(0xe0 | (c >> 12));
    to[1] = (char)(0x80 | ((c >> 6) & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
    return 3;
  }
  to[0] = (char)(0xf0 | (c >> 18));
  to[1] = (char)(0x80 | ((c >> 12) & 0x3f));
  to[2] = (char)(0x80 | ((c >> 6) & 0x3f));
  to[3] = (char)(0x80 | (c & 0x3f));
  return 4;
}

/* What a JSON string says; one without escapes is used where it stands. */
static inline mayfly_text mayfly_string(mayfly_call* call, mayfly_text json) {
  mayfly_text text = {NULL, 0};
  if (json.size < 2 || json.data[0] != '"') return text;
  text.data = json.data + 1;
  text.size = json.size - 2;
  if (memchr(text.data, '\\', text.size) == NULL) return text;
  mayfly_decoded* kept = (mayfly_decoded*)mayfly_need(malloc(sizeof *kept + text.size));
  kept->next = call->decoded;
  call->decoded = kept;
  char *to = (char*)(kept + 1), *begin = to;
  const char *at = text.data, *end = text.data + text.size;
  while (at < end) {
    if (*at != '\\' || at + 1 >= end) {
      *to++ = *at++;
      continue;
    }
    static const char kEscapes[] = "b\bf\fn\nr\rt\t";
    char c = at[1];
    const char* known = c == '\0' ? NULL : strchr(kEscapes, c);
    if (c == 'u' && end - at >= 6 && mayfly_hex(at + 2) >= 0) {
      uint32_t code = (uint32_t)mayfly_hex(at + 2);
      at += 6;
      if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        int low = mayfly_hex(at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
          at += 6;
        }
      }
      to += mayfly_put_utf8(to, code);
      continue;
    }
    *to++ = known != NULL && (known - kEscapes) % 2 == 0 ? known[1] : c;
    at += 2;
  }
  text.data = begin;
  text.size = (size_t)(to - begin);
  return text;
}

/* ---- what handlers call */

static inline mayfly_text mayfly_body(const mayfly_call* call) {
  return call->body;
}

static inline mayfly_text mayfly_about(mayfly_call* call, const char* name) {
  return mayfly_string(call, mayfly_member(call->meta, name));
}

static inline int64_t mayfly_deadline_ms(mayfly_call* call) {
  mayfly_text digits = mayfly_member(call->meta, "deadline_ms");
  int64_t value = 0;
  for (size_t i = 0; i < digits.size && digits.data[i] >= '0' && digits.data[i] <= '9'; ++i)
    value = value * 10 + (digits.data[i] - '0');
  return value;
}

static inline mayfly_text mayfly_request(mayfly_call* call, const char* name) {
  return mayfly_string(call, mayfly_member(call->head, name));
}

static inline int mayfly_same_name(mayfly_text text, const char* name) {
  size_t i = 0;
  for (; i < text.size && name[i] != '\0'; ++i) {
    char a = text.data[i], b = name[i];
    if (a >= 'A' && a <= 'Z') a = (char)(a + 32);
    if (b >= 'A' && b <= 'Z') b = (char)(b + 32);
    if (a != b) return 0;
  }
  return i == text.size && name[i] == '\0';
}

static inline mayfly_text mayfly_header(mayfly_call* call, const char* name) {
  const mayfly_text none = {NULL, 0};
  mayfly_text list = mayfly_member(call->head, "headers");
  const char *at = list.data, *end = list.data + list.size;
  if (list.size == 0 || !mayfly_next_is(&at, end, '[')) return none;
  ++at;
  while (mayfly_next_is(&at, end, '[')) { /* ["name","value"] */
    ++at;
    const char* key = mayfly_skip_blanks(at, end);
    const char* key_end = key < end && *key == '"' ? mayfly_skip_string(key, end) : NULL;
    at = key_end;
    if (at == NULL || !mayfly_next_is(&at, end, ',')) return none;
    const char* value = mayfly_skip_blanks(at + 1, end);
    const char* value_end = value < end && *value == '"' ? mayfly_skip_string(value, end) : NULL;
    at = value_end;
    if (at == NULL || !mayfly_next_is(&at, end, ']')) return none;
    ++at;
    const mayfly_text name_text = {key + 1, (size_t)(key_end - key - 2)};
    const mayfly_text json = {value, (size_t)(value_end - value)};
    if (mayfly_same_name(name_text, name)) return mayfly_string(call, json);
    if (mayfly_next_is(&at, end, ',')) ++at;
  }
  return none;
}

static inline void mayfly_set_status(mayfly_call* call, int status) {
  call->status = status;
}

static inline void mayfly_set_header(mayfly_call* call, const char* name, const char* value) {
  mayfly_append_text(&call->headers, call->headers.size > 0 ? ",[" : "[");
  mayfly_append_json(&call->headers, name, strlen(name));
  mayfly_append(&call->headers, ",", 1);
  mayfly_append_json(&call->headers, value, strlen(value));
  mayfly_append(&call->headers, "]", 1);
}

static inline mayfly_stream* mayfly_add_stream(mayfly_server* server, uint32_t id) {
  mayfly_stream* stream = (mayfly_stream*)mayfly_need(calloc(1, sizeof *stream));
  stream->id = id;
  stream->next = server->streams;
  server->streams = stream;
  return stream;
}

/* Not inline: GCC would warn of callers whose answers are small. */
__attribute__((noinline, unused)) static void mayfly_keep_rest(mayfly_server* server, uint32_t id,
                                                               const char* rest, size_t size) {
  mayfly_stream* stream = mayfly_add_stream(server, id);
  stream->answered = 1;
  mayfly_append(&stream->bytes, rest, size);
}

static inline void mayfly_reply(mayfly_call* call, const void* bytes, size_t size) {
  if (call->done) return;
  call->done = 1;
  mayfly_buffer* out = &call->server->out;
  size_t first = size < (size_t)MAYFLY_WINDOW ? size : (size_t)MAYFLY_WINDOW;
  char head[32];
  size_t before = 0, behind = 0;
  int flags = first == size ? MAYFLY_END : 0;
  if (call->server->model == MAYFLY_HTTP) {
    before = (size_t)snprintf(head, sizeof head, "{\"status\":%d,\"headers\":[",
                              call->status != 0 ? call->status : 200);
    behind = call->headers.size + 2;
    flags |= MAYFLY_IS_HTTP;
  }
  char length[4];
  mayfly_put32(length, (uint32_t)(before + behind));
  mayfly_begin_frame(out, 4 + before + behind + first, call->stream, MAYFLY_REPLY, flags);
  mayfly_append(out, length, 4);
  if (before > 0) {
    mayfly_append(out, head, before);
    mayfly_append(out, call->headers.data, call->headers.size);
    mayfly_append(out, "]}", 2);
  }
  mayfly_append(out, bytes, first);
  if (first < size)
    mayfly_keep_rest(call->server, call->stream, (const char*)bytes + first, size - first);
}

static inline void mayfly_put_error(mayfly_server* server, uint32_t stream, const char* type,
                                    const char* message) {
  mayfly_buffer json = {NULL, 0, 0};
  mayfly_append_text(&json, "{\"errorType\":");
  mayfly_append_json(&json, type, strlen(type));
  mayfly_append_text(&json, ",\"errorMessage\":");
  mayfly_append_json(&json, message, strlen(message));
  mayfly_append_text(&json, ",\"stackTrace\":[]}");
  mayfly_begin_frame(&server->out, json.size, stream, MAYFLY_ERROR, MAYFLY_END);
  mayfly_append(&server->out, json.data, json.size);
  free(json.data);
}

static inline void mayfly_fail(mayfly_call* call, const char* type, const char* message) {
  if (call->done) return;
  call->done = 1;
  mayfly_put_error(call->server, call->stream, type, message);
}

static inline void mayfly_log(mayfly_call* call, const char* text, size_t size) {
  mayfly_buffer* out = &call->server->out;
  mayfly_begin_frame(out, size + 2, call->stream, MAYFLY_LOG, 0);
  mayfly_append(out, "\1", 1);
  mayfly_append(out, text, size);
  mayfly_append(out, "\n", 1);
  mayfly_flush(call->server); /* the handler may hang or crash next */
}

/* ---- streams */

static inline void mayfly_drop_stream(mayfly_server* server, mayfly_stream* stream) {
  mayfly_stream** at = &server->streams;
  while (*at != stream) at = &(*at)->next;
  *at = stream->next;
  free(stream->meta.data);
  free(stream->head.data);
  free(stream->bytes.data);
  free(stream);
}

static inline mayfly_stream* mayfly_find_stream(mayfly_server* server, uint32_t id) {
  mayfly_stream* stream = server->streams;
  while (stream != NULL && stream->id != id) stream = stream->next;
  return stream;
}

static inline void mayfly_handle(mayfly_server* server, uint32_t id, int http, mayfly_text meta,
                                 mayfly_text head, mayfly_text body) {
  mayfly_call call;
  memset(&call, 0, sizeof call);
  call.server = server;
  call.stream = id;
  call.meta = meta;
  call.head = head;
  call.body = body;
  if (http != (server->model == MAYFLY_HTTP)) {
    mayfly_fail(&call, "Runtime.ProtocolError",
                http ? "the function takes events, not HTTP requests"
                     : "the function takes HTTP requests, not events");
  } else {
    server->handler(&call, server->data);
    mayfly_fail(&call, "Runtime.NoAnswer", "the handler has returned without an answer");
  }
  while (call.decoded != NULL) {
    mayfly_decoded* next = call.decoded->next;
    free(call.decoded);
    call.decoded = next;
  }
  free(call.headers.data);
}

/* Sends of an answer what there is credit for. */
static inline void mayfly_send_rest(mayfly_server* server, mayfly_stream* stream) {
  while (stream->credit > 0) {
    size_t left = stream->bytes.size - stream->sent;
    size_t piece = left < (size_t)MAYFLY_PIECE ? left : (size_t)MAYFLY_PIECE;
    if (piece > stream->credit) piece = stream->credit;
    mayfly_begin_frame(&server->out, piece, stream->id, MAYFLY_DATA,
                       piece == left ? MAYFLY_END : 0);
    mayfly_append(&server->out, stream->bytes.data + stream->sent, piece);
    stream->sent += piece;
    stream->credit -= piece;
    if (piece == left) {
      mayfly_drop_stream(server, stream);
      return;
    }
  }
}

/* The handler needs the body whole: what has come is granted again at once. */
static inline void mayfly_grant(mayfly_server* server, uint32_t stream, size_t size) {
  if (size == 0) return;
  char bytes[4];
  mayfly_put32(bytes, (uint32_t)size);
  mayfly_begin_frame(&server->out, 4, stream, MAYFLY_CREDIT, 0);
  mayfly_append(&server->out, bytes, 4);
}

static inline int mayfly_on_invoke(mayfly_server* server, uint32_t id, int flags, const char* data,
                                   size_t size) {
  if (size < 8) return 0;
  size_t n = mayfly_get32(data);
  if (n > size - 8) return 0;
  size_t m = mayfly_get32(data + 4 + n);
  if (m > size - 8 - n) return 0;
  const mayfly_text meta = {data + 4, n}, head = {data + 8 + n, m},
                    body = {data + 8 + n + m, size - 8 - n - m};
  int http = (flags & MAYFLY_IS_HTTP) != 0;
  if ((flags & MAYFLY_END) != 0) {
    mayfly_handle(server, id, http, meta, head, body);
    return 1;
  }
  mayfly_stream* stream = mayfly_add_stream(server, id);
  stream->http = http;
  mayfly_append(&stream->meta, meta.data, meta.size);
  mayfly_append(&stream->head, head.data, head.size);
  mayfly_append(&stream->bytes, body.data, body.size);
  mayfly_grant(server, id, body.size);
  return 1;
}

static inline void mayfly_on_data(mayfly_server* server, mayfly_stream* stream, int flags,
                                  const char* data, size_t size) {
  if (stream->answered) return;
  mayfly_append(&stream->bytes, data, size);
  if ((flags & MAYFLY_END) == 0) {
    mayfly_grant(server, stream->id, size);
    return;
  }
  mayfly_stream request = *stream; /* the answer may become a stream of that number */
  memset(&stream->meta, 0, sizeof stream->meta);
  memset(&stream->head, 0, sizeof stream->head);
  memset(&stream->bytes, 0, sizeof stream->bytes);
  mayfly_drop_stream(server, stream);
  const mayfly_text meta = {request.meta.data, request.meta.size},
                    head = {request.head.data, request.head.size},
                    body = {request.bytes.data, request.bytes.size};
  mayfly_handle(server, request.id, request.http, meta, head, body);
  free(request.meta.data);
  free(request.head.data);
  free(request.bytes.data);
}

/* 0: that was no frame of the protocol. */
static inline int mayfly_on_frame(mayfly_server* server, uint32_t id, int type, int flags,
                                  const char* data, size_t size) {
  if (type == MAYFLY_INVOKE) return mayfly_on_invoke(server, id, flags, data, size);
  if (type == MAYFLY_SHUTDOWN) return server->leaving = 1;
  if (type != MAYFLY_DATA && type != MAYFLY_CANCEL && type != MAYFLY_CREDIT) {
    return type == MAYFLY_ANSWER;
  }
  mayfly_stream* stream = mayfly_find_stream(server, id);
  if (stream == NULL) return 1; /* it is over */
  if (type == MAYFLY_DATA) {
    mayfly_on_data(server, stream, flags, data, size);
  } else if (type == MAYFLY_CANCEL) {
    mayfly_put_error(server, id, "Runtime.Cancelled", "nobody waits for the answer any more");
    mayfly_drop_stream(server, stream);
  } else if (size != 4) {
    return 0;
  } else if (stream->answered) {
    stream->credit += mayfly_get32(data);
    mayfly_send_rest(server, stream);
  }
  return 1;
}

/* Handles the frames that are whole. 0: no frames of the protocol, or the engine is gone. */
static inline int mayfly_take_frames(mayfly_server* server) {
  size_t at = 0;
  while (server->in.size - at >= MAYFLY_FRAME_HEADER) {
    const char* frame = server->in.data + at;
    size_t size = mayfly_get32(frame);
    if (size > MAYFLY_FRAME_MAX || frame[10] != 0 || frame[11] != 0) return 0;
    if (server->in.size - at - MAYFLY_FRAME_HEADER < size) break;
    if (!mayfly_on_frame(server, mayfly_get32(frame + 4), (unsigned char)frame[8], frame[9],
                         frame + MAYFLY_FRAME_HEADER, size)) {
      return 0;
    }
    at += MAYFLY_FRAME_HEADER + size;
    if (server->out.size > MAYFLY_WINDOW && !mayfly_flush(server)) return 0;
  }
  if (at > 0) memmove(server->in.data, server->in.data + at, server->in.size - at);
  server->in.size -= at;
  return 1;
}

static inline void mayfly_tell_ready(mayfly_server* server, unsigned concurrency) {
  const char* wanted = getenv("MAYFLY_CONCURRENCY");
  if (wanted != NULL && atoi(wanted) > 0) concurrency = (unsigned)atoi(wanted);
  char json[160];
  int size = snprintf(json, sizeof json,
                      "{\"model\":\"%s\",\"handler\":\"%s\",\"runtime\":\"native\","
                      "\"concurrency\":%u,\"notes\":[\"speaks frames\"]}",
                      server->model == MAYFLY_HTTP ? "http" : "event",
                      server->model == MAYFLY_HTTP ? "MAYFLY_HTTP" : "MAYFLY_EVENT",
                      concurrency > 0 ? concurrency : 1);
  mayfly_begin_frame(&server->out, (size_t)size, 0, MAYFLY_READY, 0);
  mayfly_append(&server->out, json, (size_t)size);
}

static inline int mayfly_serve(enum mayfly_model model, unsigned concurrency,
                               mayfly_handler handler, void* data) {
  const char* channel = getenv("MAYFLY_CHANNEL");
  if (channel == NULL || strcmp(channel, "3") != 0 || fcntl(MAYFLY_CHANNEL, F_GETFD) < 0) {
    fputs("This program is a function for Mayfly: mayfly deploy PROGRAM\n", stderr);
    return 2;
  }
  fcntl(MAYFLY_CHANNEL, F_SETFD, FD_CLOEXEC);
  mayfly_server server;
  memset(&server, 0, sizeof server);
  server.handler = handler;
  server.data = data;
  server.model = model;
  mayfly_tell_ready(&server, concurrency);
  int good = mayfly_flush(&server);
  while (good && !(server.leaving && server.streams == NULL)) {
    mayfly_grow(&server.in, 64 << 10);
    ssize_t got =
        read(MAYFLY_CHANNEL, server.in.data + server.in.size, server.in.room - server.in.size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break; /* the engine is gone */
    server.in.size += (size_t)got;
    good = mayfly_take_frames(&server) && mayfly_flush(&server);
  }
  while (server.streams != NULL) mayfly_drop_stream(&server, server.streams);
  free(server.in.data);
  free(server.out.data);
  return good ? 0 : 1;
}
