using System;
using System.IO;
using System.Text;
using System.Threading;

namespace Mayfly {

/// What output belongs to: a stream, and its unfinished lines.
class Target {
  public readonly int Stream;
  public readonly StringBuilder[] Partial = {new StringBuilder(), new StringBuilder()};

  public Target(int stream) { Stream = stream; }
}

/// Console.Out and Console.Error, attributed to the invocation that writes: tasks and threads belong to the
/// one that started them. What is written before the channel is open goes to the pipes on fd 1 and 2.
static class Logs {
  const int LineChars = 64 << 10;  // an unfinished line longer than this is sent in pieces
  public static readonly AsyncLocal<Target> Current = new AsyncLocal<Target>();
  static readonly Target process = new Target(0);
  static readonly Stream[] pipes = {Console.OpenStandardOutput(), Console.OpenStandardError()};
  static volatile Channel channel;

  public static void Install() {
    Console.SetOut(TextWriter.Synchronized(new LogWriter(0)));
    Console.SetError(TextWriter.Synchronized(new LogWriter(1)));
  }

  public static void OpenChannel(Channel opened) {
    Finish(process);
    channel = opened;
  }

  public static void Write(int which, string text) {
    Target target = Current.Value ?? process;
    var partial = target.Partial[which];
    lock (partial) {
      int end = text.LastIndexOf('\n') + 1;
      if (end > 0) {
        partial.Append(text, 0, end);
        Emit(target, which, partial);
      }
      partial.Append(text, end, text.Length - end);
      if (partial.Length > LineChars) Emit(target, which, partial.Append('\n'));
    }
  }

  static void Emit(Target target, int which, StringBuilder text) {
    byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
    text.Clear();
    if (channel != null) channel.Log(target.Stream, which + 1, bytes);
    else pipes[which].Write(bytes, 0, bytes.Length);
  }

  public static void Print(Target target, int which, string text) { Emit(target, which, new StringBuilder(text)); }

  /// Sends unfinished lines.
  public static void Finish(Target target) {
    target = target ?? process;
    for (int which = 0; which < 2; which++)
      lock (target.Partial[which])
        if (target.Partial[which].Length > 0) Emit(target, which, target.Partial[which].Append('\n'));
  }

  sealed class LogWriter : TextWriter {
    readonly int which;

    public LogWriter(int which) {
      this.which = which;
      CoreNewLine = new[] {'\n'};
    }

    public override Encoding Encoding { get { return Encoding.UTF8; } }
    public override void Write(char value) { Logs.Write(which, value.ToString()); }
    public override void Write(string value) { if (!string.IsNullOrEmpty(value)) Logs.Write(which, value); }
    public override void Write(char[] buffer, int index, int count) { Logs.Write(which, new string(buffer, index, count)); }
    public override void WriteLine(string value) { Logs.Write(which, value + "\n"); }
  }
}
}
