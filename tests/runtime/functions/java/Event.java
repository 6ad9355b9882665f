import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.File;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** The event handler of the conformance suite: event.op says what to do. */
public class Event implements RequestHandler<Map<String, Object>, Object> {
  static {
    System.out.println("loaded");
  }

  private static void fail(String text) {
    throw new IllegalArgumentException(text);
  }

  private static Map<String, Object> head(int status, String type) {
    Map<String, Object> head = new LinkedHashMap<>();
    head.put("statusCode", status);
    head.put("headers", new LinkedHashMap<>(Map.of("content-type", type)));
    return head;
  }

  private static <T> Iterator<T> items(int count, IntFunction<T> make) {
    return IntStream.range(0, count).mapToObj(make).iterator();
  }

  private static Object lines(int count) {
    Map<String, Object> answer = head(201, "text/x-lines");
    @SuppressWarnings("unchecked")
    Map<String, Object> headers = (Map<String, Object>) answer.get("headers");
    headers.put("x-one", "1");
    answer.put("cookies", List.of("a=1", "b=2"));
    answer.put("body", items(count, number -> "line " + number + "\n"));
    return answer;
  }

  private static byte[] block(int size, int value) {
    byte[] block = new byte[size];
    Arrays.fill(block, (byte) value);
    return block;
  }

  private static final class Endless implements Iterator<byte[]>, AutoCloseable {
    public boolean hasNext() {
      return true;
    }

    public byte[] next() {
      return block(65536, 'x');
    }

    public void close() {
      System.out.println("closed the stream");
    }
  }

  private static final class Failing implements Iterator<String> {
    private boolean begun;

    public boolean hasNext() {
      return true;
    }

    public String next() {
      if (begun) throw new IllegalStateException("in the middle");
      begun = true;
      return "before\n";
    }
  }

  private static Object members(Context context) {
    Map<String, Object> members = new LinkedHashMap<>();
    ClientContext client = context.getClientContext();
    members.put("request_id", context.getAwsRequestId());
    members.put("name", context.getFunctionName());
    members.put("version", context.getFunctionVersion());
    members.put("arn", context.getInvokedFunctionArn());
    members.put("memory", String.valueOf(context.getMemoryLimitInMB()));
    members.put("log_group", context.getLogGroupName());
    members.put("log_stream", context.getLogStreamName());
    members.put("remaining", context.getRemainingTimeInMillis());
    members.put("client_custom", client == null ? null : client.getCustom());
    members.put("client_title", client == null ? null : client.getClient().getAppTitle());
    return members;
  }

  private static Object writeLogs(Map<String, Object> event, Context context) {
    Object name = event.get("name");
    System.out.println("out " + name);
    System.out.print("half ");
    System.out.printf("and half %s%n", name);
    System.err.println("err " + name);
    if (event.containsKey("unicode")) context.getLogger().log("größe €");
    System.out.print("unfinished " + name);
    return name;
  }

  private static Object circle() {
    Map<String, Object> found = new LinkedHashMap<>();
    found.put("self", found);
    return found;
  }

  private static Object environment(Map<String, Object> event) {
    Map<String, Object> found = new LinkedHashMap<>();
    for (Object name : (List<?>) event.get("names")) found.put(name.toString(), System.getenv(name.toString()));
    return found;
  }

  private static Object nap(Map<String, Object> event) throws InterruptedException {
    System.out.println("sleeping " + event.get("name"));
    Thread.sleep((long) (((Number) event.getOrDefault("seconds", 0)).doubleValue() * 1000));
    while (!new File(event.getOrDefault("until", "/").toString()).exists()) Thread.sleep(5);
    System.out.println("slept " + event.get("name"));
    return event.get("name");
  }

  private static Object waitForCancel() {
    System.out.println("waiting");
    try {
      Thread.sleep(60000);
    } catch (InterruptedException cancelled) {
      System.out.println("noticed");
    }
    return null;
  }

  private static Object remaining(Context context) throws InterruptedException {
    int first = context.getRemainingTimeInMillis();
    Thread.sleep(50);
    return List.of(first, context.getRemainingTimeInMillis());
  }

  private static int count(Map<String, Object> event, String name) {
    return ((Number) event.get(name)).intValue();
  }

  private static Object streams(Map<String, Object> event) {
    switch (String.valueOf(event.get("op"))) {
      case "stream":
        return lines(count(event, "count"));
      case "blocks":
        return java.util.stream.Stream.concat(java.util.stream.Stream.of(head(200, "application/x-blocks")),
            IntStream.range(0, count(event, "count")).mapToObj(number -> block(count(event, "size"), 'b')));
      case "endless":
        return new Endless();
      case "stream_fails":
        return new Failing();
      case "binary":
        byte[] bytes = new byte[3 * 256];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) i;
        return new java.io.ByteArrayInputStream(bytes);
      default:
        return Collections.singletonMap("unknown", event.get("op"));
    }
  }

  @Override
  public Object handleRequest(Map<String, Object> event, Context context) {
    try {
      return act(event, context);
    } catch (InterruptedException error) {
      throw new IllegalStateException(error);
    }
  }

  private Object act(Map<String, Object> event, Context context) throws InterruptedException {
    switch (String.valueOf(event.get("op"))) {
      case "echo":
        return event.get("value");
      case "context":
        return members(context);
      case "raise":
        fail(event.getOrDefault("text", "boom").toString());
        return null;
      case "unmarshalable":
        return "circle".equals(event.get("kind")) ? circle() : Map.of("thread", Thread.currentThread());
      case "log":
        return writeLogs(event, context);
      case "env":
        return environment(event);
      case "large":
        return "x".repeat(count(event, "size"));
      case "size":
        return event.get("value").toString().length();
      case "sleep":
        return nap(event);
      case "remaining":
        return remaining(context);
      case "wait_for_cancel":
        return waitForCancel();
      case "exit":
        System.out.println("leaving");
        System.exit(3);
        return null;
      default:
        return streams(event);
    }
  }
}
