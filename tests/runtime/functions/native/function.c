/* What test_native.py asks of a function in C: the path (HTTP), or the member "do" of the event,
   names it. */
#include "mayfly_function.h"

static int is(mayfly_text text, const char* word) {
  return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static void echo(mayfly_call* call) {
  static const char* const kParts[] = {"method", "path", "query", "base", "remote", "scheme"};
  mayfly_buffer json = {NULL, 0, 0};
  mayfly_append_text(&json, "{");
  for (size_t i = 0; i < sizeof kParts / sizeof *kParts; ++i) {
    mayfly_text text = mayfly_request(call, kParts[i]);
    mayfly_append_json(&json, kParts[i], strlen(kParts[i]));
    mayfly_append_text(&json, ":");
    mayfly_append_json(&json, text.data, text.size);
    mayfly_append_text(&json, ",");
  }
  mayfly_text id = mayfly_about(call, "id"), twice = mayfly_header(call, "x-TWICE"),
              missing = mayfly_header(call, "x-missing"), odd = mayfly_header(call, "x-odd");
  mayfly_append_text(&json, "\"id\":");
  mayfly_append_json(&json, id.data, id.size);
  mayfly_append_text(&json, ",\"twice\":");
  mayfly_append_json(&json, twice.data, twice.size);
  mayfly_append_text(&json, ",\"odd\":");
  mayfly_append_json(&json, odd.data, odd.size);
  char rest[96];
  snprintf(rest, sizeof rest, ",\"missing\":%s,\"deadline_ms\":%lld,\"bytes\":%zu}",
           missing.data == NULL ? "true" : "false", (long long)mayfly_deadline_ms(call),
           mayfly_body(call).size);
  mayfly_append_text(&json, rest);
  mayfly_set_header(call, "content-type", "application/json");
  mayfly_reply(call, json.data, json.size);
  free(json.data);
}

static void act(mayfly_call* call, mayfly_text what) {
  mayfly_text body = mayfly_body(call);
  if (is(what, "/same")) {
    mayfly_set_status(call, 201);
    mayfly_set_header(call, "x-quoted", "a \"b\" \\ c");
    mayfly_set_header(call, "set-cookie", "a=1");
    mayfly_set_header(call, "set-cookie", "b=2");
    mayfly_reply(call, body.data, body.size);
    mayfly_reply(call, "again", 5);
  } else if (is(what, "/fail")) {
    mayfly_fail(call, "OutOfStock", "no \"left\" shoe\n");
  } else if (is(what, "/log")) {
    mayfly_log(call, "one", 3);
    mayfly_log(call, "two", 3);
    mayfly_reply(call, "{}", 2);
  } else if (is(what, "/crash")) {
    mayfly_log(call, "last words", 10);
    abort();
  } else if (!is(what, "/nothing")) {
    echo(call);
  }
}

static void on_request(mayfly_call* call, void* data) {
  ++*(int*)data;
  act(call, mayfly_request(call, "path"));
}

static void on_event(mayfly_call* call, void* data) {
  ++*(int*)data;
  act(call, mayfly_string(call, mayfly_member(mayfly_body(call), "do")));
}

int main(void) {
  const char* model = getenv("MODEL");
  int calls = 0;
  int events = model != NULL && strcmp(model, "event") == 0;
  int status = events ? mayfly_serve(MAYFLY_EVENT, 1, on_event, &calls)
                      : mayfly_serve(MAYFLY_HTTP, 16, on_request, &calls);
  fprintf(stderr, "%d calls\n", calls);
  return status;
}
