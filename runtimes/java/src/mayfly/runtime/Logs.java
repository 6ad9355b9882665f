package mayfly.runtime;

import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * System.out and System.err, attributed to the invocation that writes: threads belong to the one that
 * started them. What is written before the channel is open goes to the pipes on fd 1 and 2.
 */
final class Logs {
  private static final int LINE_BYTES = 64 << 10; // an unfinished line longer than this is sent in pieces

  /** What output belongs to: a stream, and its unfinished lines. */
  static class Target {
    final int stream;
    private final ByteArrayOutputStream[] partial = {new ByteArrayOutputStream(0), new ByteArrayOutputStream(0)};

    Target(int stream) {
      this.stream = stream;
    }
  }

  static final InheritableThreadLocal<Target> current = new InheritableThreadLocal<>();
  private static final Target process = new Target(0);
  private static final OutputStream[] pipes = {
    new FileOutputStream(FileDescriptor.out), new FileOutputStream(FileDescriptor.err)
  };
  private static volatile Channel channel;

  private Logs() {}

  static void install() {
    System.setOut(new PrintStream(new Sink(0), true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(new Sink(1), true, StandardCharsets.UTF_8));
  }

  static void openChannel(Channel opened) {
    finish(process);
    channel = opened;
  }

  static void write(int which, byte[] bytes, int at, int count) {
    Target target = current.get();
    if (target == null) target = process;
    ByteArrayOutputStream partial = target.partial[which];
    synchronized (partial) {
      int end = at + count;
      while (end > at && bytes[end - 1] != '\n') end--;
      if (end > at) {
        partial.write(bytes, at, end - at);
        emit(target, which, partial);
      }
      partial.write(bytes, end, at + count - end);
      if (partial.size() > LINE_BYTES) {
        partial.write('\n');
        emit(target, which, partial);
      }
    }
  }

  private static void emit(Target target, int which, ByteArrayOutputStream text) {
    byte[] bytes = text.toByteArray();
    text.reset();
    if (channel != null) {
      channel.log(target.stream, which + 1, clean(bytes));
      return;
    }
    try {
      pipes[which].write(bytes);
    } catch (IOException error) {
      // nobody reads the pipe any more
    }
  }

  /** Log text must be UTF-8. */
  private static byte[] clean(byte[] bytes) {
    for (byte b : bytes) if (b < 0) return new String(bytes, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8);
    return bytes;
  }

  static void print(Target target, int which, String text) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    emit(target, which, bytes);
  }

  /** Sends unfinished lines. */
  static void finish(Target target) {
    if (target == null) target = process;
    for (int which = 0; which < 2; which++) {
      ByteArrayOutputStream partial = target.partial[which];
      synchronized (partial) {
        if (partial.size() == 0) continue;
        partial.write('\n');
        emit(target, which, partial);
      }
    }
  }

  private static final class Sink extends OutputStream {
    private final int which;

    Sink(int which) {
      this.which = which;
    }

    @Override
    public void write(int value) {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int at, int count) {
      Logs.write(which, bytes, at, count);
    }
  }
}
