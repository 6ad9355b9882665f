package mayfly.runtime;

import java.io.ByteArrayOutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Serves events: the main thread reads the channel, workers run the handler, as many as may run at
 * once. What the two share is guarded by the server's monitor.
 */
final class Server {
  /** One invocation, from its arrival until its answer is over. */
  private static final class Call extends Logs.Target {
    final byte[] meta;
    final byte[] event;
    int credit = Frames.INITIAL_WINDOW;
    boolean cancelled;
    byte[] rest; // of a finished answer, waiting for credit
    int restAt;
    Thread thread; // while the handler runs

    Call(int stream, byte[] meta, byte[] event) {
      super(stream);
      this.meta = meta;
      this.event = event;
    }
  }

  private static final class Incoming {
    byte[] meta;
    final ByteArrayOutputStream body = new ByteArrayOutputStream();
  }

  private static final Set<Logs.Target> running = ConcurrentHashMap.newKeySet();

  private final App app;
  private final Channel channel;
  private final Map<Integer, Incoming> incoming = new HashMap<>(); // main thread only
  private final Map<Integer, Call> calls = new HashMap<>();
  private final LinkedBlockingQueue<Call> queue = new LinkedBlockingQueue<>();
  private int workers;
  private boolean closing; // the end is near: whoever ends the last call ends the process

  Server(App app, Channel channel) {
    this.app = app;
    this.channel = channel;
  }

  static void finishLogs() {
    running.forEach(Logs::finish);
  }

  /** Returns the exit status, when it was shut down or the channel is closed. */
  int run() {
    channel.send(Frames.frame(0, Frames.READY, 0, JsonWriter.bytes(app.ready())));
    byte[] buffer = new byte[Frames.RECV_BYTES];
    int size = 0;
    try {
      while (true) {
        int count = channel.receive(buffer, size);
        if (count < 0) return 0;
        size += count;
        int at = 0;
        int wanted = Frames.HEADER_BYTES;
        while (size - at >= Frames.HEADER_BYTES) {
          int length = Frames.u32(buffer, at);
          if (length < 0 || length > Frames.MAX_FRAME) throw new Frames.ProtocolError("a frame is over the limit");
          wanted = Frames.HEADER_BYTES + length;
          if (size - at < wanted) break;
          take(buffer, at);
          at += wanted;
        }
        size -= at;
        if (wanted > buffer.length) buffer = grown(buffer, at, size, wanted);
        else System.arraycopy(buffer, at, buffer, 0, size);
      }
    } catch (Frames.ProtocolError error) {
      Logs.print(new Logs.Target(0), 1, "mayfly: " + error.getMessage() + "\n");
      return 1;
    } catch (UncheckedIOException error) {
      return 0; // the engine is gone
    }
  }

  private static byte[] grown(byte[] buffer, int at, int size, int wanted) {
    byte[] larger = new byte[wanted];
    System.arraycopy(buffer, at, larger, 0, size);
    return larger;
  }

  // ---- what arrives

  private void take(byte[] bytes, int at) {
    int stream = Frames.u32(bytes, at + 4);
    int flags = bytes[at + 9];
    int start = at + Frames.HEADER_BYTES;
    int end = start + Frames.u32(bytes, at);
    switch (bytes[at + 8]) {
      case Frames.INVOKE:
        open(stream, flags, bytes, start, end);
        break;
      case Frames.DATA:
        more(stream, flags, bytes, start, end);
        break;
      case Frames.WINDOW:
        grant(stream, Frames.u32(bytes, start));
        break;
      case Frames.CANCEL:
        cancel(stream);
        break;
      case Frames.SHUTDOWN:
        close();
        break;
      default:
        throw new Frames.ProtocolError("unexpected frame type " + bytes[at + 8]);
    }
  }

  private void open(int stream, int flags, byte[] bytes, int start, int end) {
    if ((flags & Frames.HTTP) != 0) {
      error(stream, Errors.fault("Runtime.ProtocolError", "an HTTP request came to an event handler", List.of()));
      return;
    }
    int meta = start + 4 + Frames.u32(bytes, start);
    int body = meta + 4 > end || meta < start ? -1 : meta + 4 + Frames.u32(bytes, meta);
    if (body < 0 || body > end) throw new Frames.ProtocolError("the lengths inside an invoke frame do not fit");
    byte[] head = Arrays.copyOfRange(bytes, start + 4, meta);
    if ((flags & Frames.END) != 0) {
      accept(new Call(stream, head, Arrays.copyOfRange(bytes, body, end)));
      return;
    }
    Incoming one = new Incoming();
    one.meta = head;
    one.body.write(bytes, body, end - body);
    incoming.put(stream, one);
    if (end > body) channel.send(Frames.window(stream, end - body));
  }

  private void more(int stream, int flags, byte[] bytes, int start, int end) {
    Incoming one = incoming.get(stream);
    if (one == null) return; // of a stream that is over
    one.body.write(bytes, start, end - start);
    if ((flags & Frames.END) != 0) {
      incoming.remove(stream);
      accept(new Call(stream, one.meta, one.body.toByteArray()));
    } else {
      channel.send(Frames.window(stream, end - start));
    }
  }

  private synchronized void accept(Call call) {
    calls.put(call.stream, call);
    queue.add(call);
    // Every call that is not over has a worker to itself: one that is about to run another's may not count.
    if (workers < Math.min(calls.size(), Math.max(1, app.concurrency))) {
      workers++;
      Thread worker = new Thread(this::work, "handler-" + workers);
      worker.setDaemon(true);
      worker.start();
    }
  }

  private synchronized void grant(int stream, int count) {
    Call call = calls.get(stream);
    if (call == null) return;
    call.credit += count;
    if (call.rest != null) sendRest(call);
    else notifyAll();
  }

  private synchronized void cancel(int stream) {
    Call call = calls.get(stream);
    if (call != null && call.thread != null) {
      call.cancelled = true;
      call.thread.interrupt();
      notifyAll();
    } else if (call != null || incoming.remove(stream) != null) {
      if (call != null) queue.remove(call);
      over(stream);
      error(stream, Errors.cancelled());
    }
  }

  private synchronized void close() {
    closing = true;
    endWhenDone();
  }

  private void over(int stream) {
    calls.remove(stream);
    endWhenDone();
  }

  private void endWhenDone() {
    // Not from this thread: the frames that end the call are not sent yet, and hooks want the monitor.
    if (closing && calls.isEmpty() && incoming.isEmpty()) new Thread(() -> {
      synchronized (Server.this) {
        if (!calls.isEmpty()) return;
      }
      System.exit(0);
    }).start();
  }

  // ---- workers

  private void work() {
    try {
      while (true) {
        Call call = next();
        if (call != null) invoke(call);
      }
    } catch (UncheckedIOException error) {
      Runtime.getRuntime().halt(0); // the engine is gone
    }
  }

  /** The next call to run; null when it was cancelled in the queue. */
  private Call next() {
    Call call = null;
    while (call == null)
      try {
        call = queue.take();
      } catch (InterruptedException error) {
        continue; // meant for a call that is over
      }
    synchronized (this) {
      if (!calls.containsKey(call.stream)) return null;
      call.thread = Thread.currentThread();
    }
    return call;
  }

  private void invoke(Call call) {
    Logs.current.set(call);
    running.add(call);
    Map<String, Object> fault;
    String text = null;
    try {
      Map<?, ?> meta = (Map<?, ?>) Json.parse(call.meta);
      Object trace = meta.get("trace");
      if (app.concurrency <= 1) System.setProperty("com.amazonaws.xray.traceHeader", trace == null ? "" : trace.toString());
      Object result = app.target.call(call.event, new LambdaContext(meta));
      Iterator<?> items = Streams.of(result);
      if (items != null) stream(call, Streams.isHead(result) ? (Map<?, ?>) result : null, items);
      else complete(call, result);
      return;
    } catch (App.BadEvent | Json.Bad error) {
      fault = Errors.fault("Runtime.UnmarshalError", "Unable to unmarshal input: " + error.getMessage(), List.of());
    } catch (MarshalError error) {
      fault = Errors.fault("Runtime.MarshalError", "Unable to marshal response: " + error.getMessage(), List.of());
    } catch (UncheckedIOException error) {
      throw error;
    } catch (Throwable error) { // the user's code may throw anything
      boolean stopped = call.cancelled && (error instanceof InterruptedException || error instanceof Errors.Cancelled);
      fault = stopped ? Errors.cancelled() : Errors.describe(error);
      text = Errors.logText(fault);
    } finally {
      running.remove(call);
      release(call);
    }
    Logs.finish(call);
    Logs.print(call, 1, text == null ? Errors.logText(fault) : text);
    synchronized (this) {
      error(call.stream, fault);
      over(call.stream);
    }
  }

  /** From now on a cancel must not interrupt the thread. */
  private synchronized void release(Call call) {
    call.thread = null;
    Thread.interrupted();
    Logs.current.remove();
  }

  private static final class MarshalError extends Exception {
    MarshalError(Throwable cause) {
      super(cause.getMessage());
    }
  }

  // ---- answers

  private void complete(Call call, Object result) throws MarshalError {
    byte[] json;
    try {
      json = result instanceof App.Written ? ((App.Written) result).bytes : JsonWriter.bytes(result);
    } catch (RuntimeException | StackOverflowError error) {
      throw new MarshalError(error);
    }
    Logs.finish(call);
    synchronized (this) {
      call.thread = null;
      int count = Math.min(json.length, call.credit);
      boolean whole = count == json.length;
      channel.send(Frames.reply(call.stream, whole ? Frames.END : 0, Frames.NOTHING, json, count));
      call.credit -= count;
      if (whole) {
        over(call.stream);
      } else {
        call.rest = json;
        call.restAt = count;
        if (call.credit > 0) sendRest(call);
      }
    }
  }

  private void sendRest(Call call) {
    while (call.credit > 0 && call.restAt < call.rest.length) {
      int count = Math.min(Math.min(call.credit, Frames.BODY_BYTES), call.rest.length - call.restAt);
      int flags = call.restAt + count == call.rest.length ? Frames.END : 0;
      channel.send(Frames.frame(call.stream, Frames.DATA, flags, Frames.NOTHING, call.rest, call.restAt, count));
      call.restAt += count;
      call.credit -= count;
    }
    if (call.restAt == call.rest.length) over(call.stream);
  }

  private void error(int stream, Map<String, Object> fault) {
    channel.send(Frames.frame(stream, Frames.ERROR, Frames.END, JsonWriter.bytes(fault)));
  }

  private void stream(Call call, Map<?, ?> head, Iterator<?> items) throws Exception {
    boolean started = false;
    try {
      while (items.hasNext()) {
        Object item = items.next();
        if (!started && head == null && Streams.isHead(item)) {
          head = (Map<?, ?>) item;
          continue;
        }
        if (!started) {
          byte[] json = Streams.head(head == null ? Map.of() : head, item);
          channel.send(Frames.reply(call.stream, Frames.HTTP, json, Frames.NOTHING, 0));
          started = true;
        }
        sendChunk(call, Streams.bytes(item));
      }
    } finally {
      if (items instanceof AutoCloseable) ((AutoCloseable) items).close();
    }
    Logs.finish(call);
    synchronized (this) {
      if (started) {
        channel.send(Frames.frame(call.stream, Frames.DATA, Frames.END, Frames.NOTHING));
      } else {
        byte[] json = Streams.head(head == null ? Map.of() : head, Frames.NOTHING);
        channel.send(Frames.reply(call.stream, Frames.HTTP | Frames.END, json, Frames.NOTHING, 0));
      }
      over(call.stream);
    }
  }

  /** Sends streamed bytes as credit allows. */
  private synchronized void sendChunk(Call call, byte[] data) throws InterruptedException {
    int at = 0;
    while (at < data.length) {
      if (call.cancelled) throw new Errors.Cancelled();
      if (call.credit == 0) {
        wait();
        continue;
      }
      int count = Math.min(Math.min(call.credit, Frames.BODY_BYTES), data.length - at);
      channel.send(Frames.frame(call.stream, Frames.DATA, 0, Frames.NOTHING, data, at, count));
      call.credit -= count;
      at += count;
    }
  }
}
