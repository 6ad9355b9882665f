package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Loaded user code. */
final class App {
  /** Calls the handler with the bytes of an event; the result is a value, or bytes as they are. */
  interface Target {
    Object call(byte[] event, Context context) throws Throwable;
  }

  /** Bytes that a handler has written itself. */
  static final class Written {
    final byte[] bytes;

    Written(byte[] bytes) {
      this.bytes = bytes;
    }
  }

  /** The event is not JSON, or not what the handler takes. */
  static final class BadEvent extends Exception {
    BadEvent(String message) {
      super(message);
    }
  }

  final Target target;
  final String handler;
  final int concurrency;

  App(Target target, String handler, int concurrency) {
    this.target = target;
    this.handler = handler;
    this.concurrency = concurrency;
  }

  Map<String, Object> ready() {
    Map<String, Object> ready = new LinkedHashMap<>();
    ready.put("model", "event");
    ready.put("handler", handler);
    ready.put("runtime", "Java " + System.getProperty("java.version"));
    ready.put("concurrency", concurrency);
    ready.put("notes", List.of());
    return ready;
  }
}
