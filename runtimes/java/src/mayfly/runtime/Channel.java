package mayfly.runtime;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;

/** The channel's socket, blocking. send and log may be called by any thread, receive by one. */
final class Channel {
  private final FileInputStream in;
  private final FileOutputStream out;

  /** The JVM closes all descriptors but the standard ones in the programs that it starts. */
  Channel(int number) {
    FileDescriptor descriptor = descriptor(number);
    in = new FileInputStream(descriptor);
    out = new FileOutputStream(descriptor);
  }

  // Java has no public way to adopt a descriptor; the jar's manifest opens java.io to this.
  private static FileDescriptor descriptor(int number) {
    try {
      Constructor<FileDescriptor> make = FileDescriptor.class.getDeclaredConstructor(int.class);
      make.setAccessible(true);
      return make.newInstance(number);
    } catch (ReflectiveOperationException error) {
      throw new IllegalStateException(error);
    }
  }

  /** At least one byte; -1 at the end. */
  int receive(byte[] into, int at) {
    try {
      return in.read(into, at, into.length - at);
    } catch (IOException error) {
      return -1;
    }
  }

  synchronized void send(byte[] frame) {
    try {
      out.write(frame);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** Sends whole lines at once: they must survive if the process dies next. */
  void log(int stream, int which, byte[] text) {
    byte[] prefix = {(byte) which};
    for (int at = 0; at < text.length; at += Frames.BODY_BYTES) {
      int size = Math.min(text.length - at, Frames.BODY_BYTES);
      send(Frames.frame(stream, Frames.LOG, 0, prefix, text, at, size));
    }
  }
}
