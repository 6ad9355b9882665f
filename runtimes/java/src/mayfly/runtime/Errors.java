package mayfly.runtime;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What went wrong in the user's code, in the form of AWS Lambda's Java runtime. */
final class Errors {
  private Errors() {}

  /** Initialisation failed; fault is the JSON form. */
  static final class InitError extends Exception {
    final Map<String, Object> fault;

    InitError(Map<String, Object> fault) {
      super(String.valueOf(fault.get("errorMessage")));
      this.fault = fault;
    }

    InitError(String type, String message) {
      this(fault("Runtime." + type, message, List.of()));
    }
  }

  /** The caller is gone. */
  static final class Cancelled extends RuntimeException {}

  static Map<String, Object> fault(String type, String message, List<String> trace) {
    Map<String, Object> fault = new LinkedHashMap<>();
    fault.put("errorType", type);
    fault.put("errorMessage", message);
    fault.put("stackTrace", trace);
    return fault;
  }

  static Map<String, Object> describe(Throwable error) {
    return describe(error, 0);
  }

  private static Map<String, Object> describe(Throwable error, int depth) {
    String message;
    try {
      message = String.valueOf(error.getMessage() == null ? "" : error.getMessage());
    } catch (RuntimeException inner) {
      message = "<the exception cannot be printed>";
    }
    Map<String, Object> fault = fault(error.getClass().getName(), message, trace(error));
    if (error.getCause() != null && error.getCause() != error && depth < 8)
      fault.put("cause", describe(error.getCause(), depth + 1));
    return fault;
  }

  /** Frames of the user's side only: up to the first of ours, without reflection's. */
  static List<String> trace(Throwable error) {
    List<String> lines = new ArrayList<>();
    for (StackTraceElement frame : error.getStackTrace()) {
      if (frame.getClassName().startsWith("mayfly.runtime.")) break;
      lines.add(frame.toString());
    }
    while (!lines.isEmpty() && lines.get(lines.size() - 1).matches(".*(jdk\\.internal\\.reflect|java\\.lang\\.reflect|java\\.lang\\.Class|java\\.lang\\.ClassLoader).*"))
      lines.remove(lines.size() - 1);
    return lines;
  }

  @SuppressWarnings("unchecked")
  static String logText(Map<String, Object> fault) {
    StringBuilder text = new StringBuilder("[ERROR] ");
    for (Map<String, Object> at = fault; at != null; at = (Map<String, Object>) at.get("cause")) {
      if (at != fault) text.append("Caused by: ");
      text.append(at.get("errorType")).append(": ").append(at.get("errorMessage")).append('\n');
      for (String line : (List<String>) at.get("stackTrace")) text.append("\tat ").append(line).append('\n');
    }
    return text.toString();
  }

  static Map<String, Object> cancelled() {
    return fault("Runtime.Cancelled", "The invocation was cancelled: the caller is gone or it is late.", List.of());
  }
}
