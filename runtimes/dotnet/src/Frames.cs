using System;
using System.IO;
using System.Runtime.InteropServices;

namespace Mayfly {

/// The other side broke the protocol: there is no way to go on.
sealed class ProtocolException : Exception {
  public ProtocolException(string message) : base(message) {}
}

/// The engine is gone.
sealed class ChannelClosedException : Exception {}

/// The frame protocol's numbers: see docs/internals/frames.md and src/wire/frames.h.
static class Frames {
  public const byte Invoke = 1, Data = 2, Cancel = 3, Window = 4, Shutdown = 5;
  public const byte Ready = 65, InitError = 66, Reply = 67, Error = 69, Log = 70;
  public const byte End = 1, Http = 2;
  public const int HeaderBytes = 12;
  public const int MaxFrame = 64 << 20;
  public const int InitialWindow = 1 << 20;
  public const int RecvBytes = 256 << 10;
  public const int BodyBytes = 256 << 10;  // the most body bytes put into one frame
  public static readonly byte[] Nothing = new byte[0];

  public static int U32(byte[] bytes, int at) {
    return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
  }

  public static void PutU32(byte[] bytes, int at, int value) {
    for (int i = 0; i < 4; i++) bytes[at + i] = (byte)(value >> (8 * i));
  }

  /// A frame whose payload is the prefix, then bytes of data from at on.
  public static byte[] Frame(int stream, byte kind, int flags, byte[] prefix, byte[] data, int at, int count) {
    var frame = new byte[HeaderBytes + prefix.Length + count];
    PutU32(frame, 0, prefix.Length + count);
    PutU32(frame, 4, stream);
    frame[8] = kind;
    frame[9] = (byte)flags;
    Buffer.BlockCopy(prefix, 0, frame, HeaderBytes, prefix.Length);
    Buffer.BlockCopy(data, at, frame, HeaderBytes + prefix.Length, count);
    return frame;
  }

  public static byte[] Frame(int stream, byte kind, int flags, byte[] payload) {
    return Frame(stream, kind, flags, Nothing, payload, 0, payload.Length);
  }

  public static byte[] WindowOf(int stream, int count) {
    var payload = new byte[4];
    PutU32(payload, 0, count);
    return Frame(stream, Window, 0, payload);
  }

  /// head: JSON, empty for the result of an event.
  public static byte[] ReplyOf(int stream, int flags, byte[] head, byte[] body, int count) {
    var prefix = new byte[4 + head.Length];
    PutU32(prefix, 0, head.Length);
    Buffer.BlockCopy(head, 0, prefix, 4, head.Length);
    return Frame(stream, Reply, flags, prefix, body, 0, count);
  }
}

/// The channel's socket, blocking. Send and Log may be called by any thread, Receive by one.
sealed class Channel {
  const int EINTR = 4, F_SETFD = 2, FD_CLOEXEC = 1;

  [DllImport("libc", SetLastError = true)]
  static extern IntPtr read(int descriptor, IntPtr into, IntPtr count);
  [DllImport("libc", SetLastError = true)]
  static extern IntPtr send(int descriptor, IntPtr from, IntPtr count, int flags);
  [DllImport("libc", SetLastError = true)]
  static extern IntPtr readlink(string path, byte[] into, IntPtr count);
  [DllImport("libc", SetLastError = true)]
  static extern int fcntl(int descriptor, int command, int argument);

  const int MSG_NOSIGNAL = 0x4000;
  readonly int descriptor;
  readonly object writing = new object();

  public Channel(int descriptor) { this.descriptor = descriptor; }

  public static void CloseOnExec(int descriptor) { fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

  /// Mono may have put a file of its own there.
  public static bool IsSocket(int descriptor) {
    var path = new byte[16];
    int count = (int)readlink("/proc/self/fd/" + descriptor, path, (IntPtr)path.Length);
    return count > 7 && System.Text.Encoding.ASCII.GetString(path, 0, 7) == "socket:";
  }

  /// At least one byte.
  public int Receive(byte[] into, int at) {
    var pin = GCHandle.Alloc(into, GCHandleType.Pinned);
    try {
      while (true) {
        int count = (int)read(descriptor, pin.AddrOfPinnedObject() + at, (IntPtr)(into.Length - at));
        if (count > 0) return count;
        if (count == 0 || Marshal.GetLastWin32Error() != EINTR) throw new ChannelClosedException();
      }
    } finally {
      pin.Free();
    }
  }

  public void Send(byte[] frame) {
    lock (writing) {
      var pin = GCHandle.Alloc(frame, GCHandleType.Pinned);
      try {
        for (int at = 0; at < frame.Length;) {
          int count = (int)send(descriptor, pin.AddrOfPinnedObject() + at, (IntPtr)(frame.Length - at), MSG_NOSIGNAL);
          if (count > 0) at += count;
          else if (Marshal.GetLastWin32Error() != EINTR) throw new ChannelClosedException();
        }
      } finally {
        pin.Free();
      }
    }
  }

  /// Sends whole lines at once: they must survive if the process dies next.
  public void Log(int stream, int which, byte[] text) {
    byte[] prefix = {(byte)which};
    for (int at = 0; at < text.Length; at += Frames.BodyBytes)
      Send(Frames.Frame(stream, Frames.Log, 0, prefix, text, at, Math.Min(text.Length - at, Frames.BodyBytes)));
  }
}
}
