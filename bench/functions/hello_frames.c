/* The hello function on frames. */
#define _GNU_SOURCE
#include "../../runtimes/native/mayfly_function.h"

static void hello(mayfly_call* call, void* data) {
  (void)data;
  mayfly_text body = mayfly_body(call);
  char name[64] = "World", json[128];
  static const char kField[] = "\"name\":\"";
  const char* field = body.size > 0 ? (const char*)memmem(body.data, body.size, kField, sizeof kField - 1) : NULL;
  if (field != NULL) {
    size_t n = 0;
    for (field += sizeof kField - 1; field < body.data + body.size && *field != '"' && n < sizeof name - 1; ++field) {
      name[n++] = *field;
    }
    name[n] = '\0';
  }
  int size = snprintf(json, sizeof json, "{\"message\":\"Hello %s\"}", name);
  mayfly_set_header(call, "content-type", "application/json");
  mayfly_reply(call, json, (size_t)size);
}

int main(void) {
  return mayfly_serve(MAYFLY_HTTP, 64, hello, NULL);
}
