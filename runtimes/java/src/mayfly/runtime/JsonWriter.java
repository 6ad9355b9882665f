package mayfly.runtime;

import java.lang.reflect.Array;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Date;
import java.util.Map;
import java.util.Optional;

/** Writes values as JSON: what Json reads, and beans, records, enums, arrays and dates. */
final class JsonWriter {
  private final StringBuilder out = new StringBuilder();
  private int depth;

  static byte[] bytes(Object value) {
    JsonWriter writer = new JsonWriter();
    writer.write(value);
    return writer.out.toString().getBytes(StandardCharsets.UTF_8);
  }

  private void write(Object value) {
    if (value == null) out.append("null");
    else if (value instanceof CharSequence || value instanceof Character || value instanceof Enum) text(name(value));
    else if (value instanceof Number) number((Number) value);
    else if (value instanceof Boolean) out.append(value);
    else if (value instanceof Optional) write(((Optional<?>) value).orElse(null));
    else if (value instanceof Date) out.append(((Date) value).getTime());
    else if (value instanceof byte[]) text(Base64.getEncoder().encodeToString((byte[]) value));
    else if (isText(value.getClass())) text(value.toString());
    else {
      if (++depth > Json.DEEPEST) throw new IllegalArgumentException("it is nested too deeply, or holds itself");
      if (value instanceof Map) members((Map<?, ?>) value);
      else if (value instanceof Iterable) items((Iterable<?>) value);
      else if (value.getClass().isArray()) array(value);
      else members(Beans.read(value));
      depth--;
    }
  }

  private static String name(Object value) {
    return value instanceof Enum ? ((Enum<?>) value).name() : value.toString();
  }

  private static boolean isText(Class<?> type) {
    return type.getName().startsWith("java.time.") || type == java.util.UUID.class || type == java.net.URI.class
        || type == java.net.URL.class || type == java.util.Locale.class || type.getName().startsWith("org.joda.time.");
  }

  private void number(Number value) {
    double number = value.doubleValue();
    boolean whole = value instanceof Long || value instanceof Integer;
    if (!whole && (value instanceof Double || value instanceof Float) && (Double.isNaN(number) || Double.isInfinite(number)))
      throw new IllegalArgumentException(value + " is no JSON number");
    out.append(value);
  }

  private void members(Map<?, ?> values) {
    char separator = '{';
    for (Map.Entry<?, ?> entry : values.entrySet()) {
      out.append(separator);
      text(String.valueOf(entry.getKey() instanceof Enum ? name(entry.getKey()) : entry.getKey()));
      out.append(':');
      write(entry.getValue());
      separator = ',';
    }
    out.append(separator == '{' ? "{}" : "}");
  }

  private void items(Iterable<?> values) {
    char separator = '[';
    for (Object value : values) {
      out.append(separator);
      write(value);
      separator = ',';
    }
    out.append(separator == '[' ? "[]" : "]");
  }

  private void array(Object values) {
    out.append('[');
    for (int i = 0, size = Array.getLength(values); i < size; i++) {
      if (i > 0) out.append(',');
      write(Array.get(values, i));
    }
    out.append(']');
  }

  private void text(String text) {
    out.append('"');
    int from = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean lone = Character.isSurrogate(c) && !paired(text, i);
      if (c >= 0x20 && c != '"' && c != '\\' && !lone) continue;
      out.append(text, from, i);
      from = i + 1;
      int simple = "\"\\\b\f\n\r\t".indexOf(c);
      if (simple >= 0) out.append('\\').append("\"\\bfnrt".charAt(simple));
      else out.append(String.format("\\u%04x", (int) c));
    }
    out.append(text, from, text.length()).append('"');
  }

  private static boolean paired(String text, int i) {
    return Character.isHighSurrogate(text.charAt(i))
        ? i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))
        : i > 0 && Character.isHighSurrogate(text.charAt(i - 1));
  }
}
