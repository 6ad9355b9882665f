package mayfly.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.stream.BaseStream;

/**
 * Answers that are streamed: what a handler may return besides a JSON value. An Iterator, a Stream or an
 * InputStream: its items are the body; a first item that is a Map with statusCode is the head. A Map with
 * statusCode whose body is one of them: head and body.
 */
final class Streams {
  private Streams() {}

  /** The items of a result that is a stream, else null. */
  static Iterator<?> of(Object result) {
    if (result instanceof Iterator) return (Iterator<?>) result;
    if (result instanceof BaseStream) return ((BaseStream<?, ?>) result).iterator();
    if (result instanceof InputStream) return new Blocks((InputStream) result);
    return isHead(result) ? of(((Map<?, ?>) result).get("body")) : null;
  }

  static boolean isHead(Object value) {
    return value instanceof Map && ((Map<?, ?>) value).containsKey("statusCode");
  }

  /** Strings as UTF-8, bytes as they are, anything else as a line of JSON. */
  static byte[] bytes(Object item) {
    if (item instanceof byte[]) return (byte[]) item;
    if (item instanceof CharSequence) return item.toString().getBytes(StandardCharsets.UTF_8);
    byte[] json = JsonWriter.bytes(item);
    byte[] line = Arrays.copyOf(json, json.length + 1);
    line[json.length] = '\n';
    return line;
  }

  static byte[] head(Map<?, ?> head, Object first) {
    List<List<String>> fields = new ArrayList<>();
    Set<String> names = new HashSet<>();
    each(head.get("multiValueHeaders"), names, Set.of(), fields);
    each(head.get("headers"), names, Set.copyOf(names), fields);
    if (head.get("cookies") instanceof Collection)
      for (Object cookie : (Collection<?>) head.get("cookies")) fields.add(List.of("set-cookie", String.valueOf(cookie)));
    if (!names.contains("content-type"))
      fields.add(List.of("content-type", first instanceof CharSequence ? "text/plain; charset=utf-8" : "application/octet-stream"));
    Object status = head.get("statusCode");
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("status", status instanceof Number ? ((Number) status).intValue() : 200);
    json.put("headers", fields);
    return JsonWriter.bytes(json);
  }

  private static void each(Object headers, Set<String> names, Set<String> taken, List<List<String>> fields) {
    if (!(headers instanceof Map)) return;
    ((Map<?, ?>) headers).forEach((name, values) -> {
      String lower = String.valueOf(name).toLowerCase(Locale.ROOT);
      if (taken.contains(lower)) return;
      names.add(lower);
      for (Object value : values instanceof Collection ? (Collection<?>) values : List.of(String.valueOf(values)))
        fields.add(List.of(String.valueOf(name), String.valueOf(value)));
    });
  }

  private static final class Blocks implements Iterator<byte[]>, AutoCloseable {
    private final InputStream in;
    private byte[] next;

    Blocks(InputStream in) {
      this.in = in;
    }

    @Override
    public boolean hasNext() {
      try {
        if (next == null) {
          byte[] block = new byte[64 << 10];
          int count = in.read(block);
          next = Arrays.copyOf(block, Math.max(count, 0));
          if (count < 0) close();
        }
        return next.length > 0;
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    @Override
    public byte[] next() {
      if (!hasNext()) throw new NoSuchElementException();
      byte[] block = next;
      next = null;
      return block;
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
