package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.jar.JarFile;

/** Run once when the runtime is built: what it loads, directly or not, goes into the archive of classes. */
public final class Warm {
  private Warm() {}

  /** A handler like many. */
  public static final class Handler {
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
      System.out.println("one of " + event.size() + ", " + context.getRemainingTimeInMillis());
      context.getLogger().log(context.getAwsRequestId());
      return event;
    }
  }

  public static void main(String[] arguments) throws Throwable {
    Path jar = Path.of(Warm.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (JarFile file = new JarFile(jar.toFile())) {
      for (String name : file.stream().map(entry -> entry.getName()).filter(name -> name.endsWith(".class")).toList())
        Class.forName(name.substring(0, name.length() - ".class".length()).replace('/', '.'));
    }
    Logs.install();
    App app = new Loader().load();
    byte[] event = "{\"a\":[1,2.5,true,null,\"\\u20ac\"]}".getBytes(StandardCharsets.UTF_8);
    Map<?, ?> meta = (Map<?, ?>) Json.parse("{\"id\":\"1\",\"deadline_ms\":1767225600000}".getBytes(StandardCharsets.UTF_8));
    LinkedBlockingQueue<Object> queue = new LinkedBlockingQueue<>();
    Thread worker = new Thread(() -> {
      try {
        queue.add(JsonWriter.bytes(app.target.call(event, new LambdaContext(meta))));
      } catch (Throwable error) {
        queue.add(JsonWriter.bytes(Errors.describe(error)));
      }
    });
    worker.start();
    queue.take();
    Frames.reply(1, Frames.END, Frames.NOTHING, JsonWriter.bytes(app.ready()), 0);
    new Channel(0);
  }
}
