package mayfly.runtime;

/** The frame protocol's numbers: see docs/internals/frames.md and src/wire/frames.h. */
final class Frames {
  static final int INVOKE = 1, DATA = 2, CANCEL = 3, WINDOW = 4, SHUTDOWN = 5;
  static final int READY = 65, INIT_ERROR = 66, REPLY = 67, ERROR = 69, LOG = 70;
  static final int END = 1, HTTP = 2;

  static final int HEADER_BYTES = 12;
  static final int MAX_FRAME = 64 << 20;
  static final int INITIAL_WINDOW = 1 << 20;
  static final int RECV_BYTES = 256 << 10;
  static final int BODY_BYTES = 256 << 10; // the most body bytes put into one frame

  private Frames() {}

  static int u32(byte[] bytes, int at) {
    return (bytes[at] & 0xff) | (bytes[at + 1] & 0xff) << 8 | (bytes[at + 2] & 0xff) << 16 | bytes[at + 3] << 24;
  }

  static void putU32(byte[] bytes, int at, int value) {
    for (int i = 0; i < 4; i++) bytes[at + i] = (byte) (value >>> (8 * i));
  }

  /** A frame whose payload is prefix bytes, then those of data from at on. */
  static byte[] frame(int stream, int kind, int flags, byte[] prefix, byte[] data, int at, int count) {
    byte[] frame = new byte[HEADER_BYTES + prefix.length + count];
    putU32(frame, 0, prefix.length + count);
    putU32(frame, 4, stream);
    frame[8] = (byte) kind;
    frame[9] = (byte) flags;
    System.arraycopy(prefix, 0, frame, HEADER_BYTES, prefix.length);
    System.arraycopy(data, at, frame, HEADER_BYTES + prefix.length, count);
    return frame;
  }

  static final byte[] NOTHING = {};

  static byte[] frame(int stream, int kind, int flags, byte[] payload) {
    return frame(stream, kind, flags, NOTHING, payload, 0, payload.length);
  }

  static byte[] window(int stream, int count) {
    byte[] payload = new byte[4];
    putU32(payload, 0, count);
    return frame(stream, WINDOW, 0, payload);
  }

  /** head: JSON, empty for the result of an event. */
  static byte[] reply(int stream, int flags, byte[] head, byte[] body, int count) {
    byte[] prefix = new byte[4 + head.length];
    putU32(prefix, 0, head.length);
    System.arraycopy(head, 0, prefix, 4, head.length);
    return frame(stream, REPLY, flags, prefix, body, 0, count);
  }

  /** The other side broke the protocol: there is no way to go on. */
  static final class ProtocolError extends RuntimeException {
    ProtocolError(String message) {
      super(message);
    }
  }
}
