using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Threading;

namespace Mayfly {

/// Serves events: the main thread reads the channel, workers run the handler, as many as may run at once.
/// What the two share is guarded by the server's monitor.
sealed class Server {
  /// One invocation, from its arrival until its answer is over.
  sealed class Call : Target {
    public readonly byte[] Meta, Event;
    public int Credit = Frames.InitialWindow;
    public bool Cancelled;
    public byte[] Rest;  // of a finished answer, waiting for credit
    public int RestAt;
    public Thread Thread;  // while the handler runs

    public Call(int stream, byte[] meta, byte[] body) : base(stream) {
      Meta = meta;
      Event = body;
    }
  }

  sealed class Incoming {
    public byte[] Meta;
    public readonly MemoryStream Body = new MemoryStream();
  }

  readonly App app;
  readonly Channel channel;
  readonly Dictionary<int, Incoming> incoming = new Dictionary<int, Incoming>();
  readonly Dictionary<int, Call> calls = new Dictionary<int, Call>();
  readonly LinkedList<Call> queue = new LinkedList<Call>();
  int workers, idle;
  bool closing;

  public Server(App app, Channel channel) {
    this.app = app;
    this.channel = channel;
  }

  /// Unfinished lines of all that runs, when the process ends.
  public void FinishLogs() {
    List<Call> running;
    lock (this) running = new List<Call>(calls.Values);
    running.ForEach(Logs.Finish);
  }

  /// Returns the exit status, when it was shut down or the channel is closed.
  public int Run() {
    channel.Send(Frames.Frame(0, Frames.Ready, 0, JsonWriter.Bytes(app.Ready())));
    try {
      Read();
    } catch (ProtocolException error) {
      Logs.Print(new Target(0), 1, "mayfly: " + error.Message + "\n");
      return 1;
    } catch (ChannelClosedException) {
    }
    return 0;
  }

  void Read() {
    var buffer = new byte[Frames.RecvBytes];
    int size = 0;
    while (true) {
      size += channel.Receive(buffer, size);
      int at = 0, wanted = Frames.HeaderBytes;
      while (size - at >= Frames.HeaderBytes) {
        int length = Frames.U32(buffer, at);
        if (length < 0 || length > Frames.MaxFrame) throw new ProtocolException("a frame is over the limit");
        wanted = Frames.HeaderBytes + length;
        if (size - at < wanted) break;
        Take(buffer, at);
        at += wanted;
      }
      size -= at;
      var next = wanted > buffer.Length ? new byte[wanted] : buffer;
      Buffer.BlockCopy(buffer, at, next, 0, size);
      buffer = next;
    }
  }

  // ---- what arrives

  void Take(byte[] bytes, int at) {
    int stream = Frames.U32(bytes, at + 4), flags = bytes[at + 9];
    int start = at + Frames.HeaderBytes, end = start + Frames.U32(bytes, at);
    switch (bytes[at + 8]) {
      case Frames.Invoke: Open(stream, flags, bytes, start, end); break;
      case Frames.Data: More(stream, flags, bytes, start, end); break;
      case Frames.Window: Grant(stream, Frames.U32(bytes, start)); break;
      case Frames.Cancel: Cancel(stream); break;
      case Frames.Shutdown:
        lock (this) {
          closing = true;
          EndWhenDone();
        }
        break;
      default: throw new ProtocolException("unexpected frame type " + bytes[at + 8]);
    }
  }

  static byte[] Part(byte[] bytes, int start, int end) {
    var part = new byte[end - start];
    Buffer.BlockCopy(bytes, start, part, 0, part.Length);
    return part;
  }

  void Open(int stream, int flags, byte[] bytes, int start, int end) {
    if ((flags & Frames.Http) != 0) {
      Error(stream, Errors.Fault("Runtime.ProtocolError", "an HTTP request came to an event handler", new string[0]));
      return;
    }
    int meta = end - start < 8 ? -1 : start + 4 + Frames.U32(bytes, start);
    int body = meta < start || meta + 4 > end ? -1 : meta + 4 + Frames.U32(bytes, meta);
    if (body < meta + 4 || body > end) throw new ProtocolException("the lengths inside an invoke frame do not fit");
    byte[] head = Part(bytes, start + 4, meta);
    if ((flags & Frames.End) != 0) {
      Accept(new Call(stream, head, Part(bytes, body, end)));
      return;
    }
    var one = new Incoming {Meta = head};
    one.Body.Write(bytes, body, end - body);
    incoming[stream] = one;
    if (end > body) channel.Send(Frames.WindowOf(stream, end - body));
  }

  void More(int stream, int flags, byte[] bytes, int start, int end) {
    Incoming one;
    if (!incoming.TryGetValue(stream, out one)) return;  // of a stream that is over
    one.Body.Write(bytes, start, end - start);
    if ((flags & Frames.End) != 0) {
      incoming.Remove(stream);
      Accept(new Call(stream, one.Meta, one.Body.ToArray()));
    } else {
      channel.Send(Frames.WindowOf(stream, end - start));
    }
  }

  void Accept(Call call) {
    lock (this) {
      calls[call.Stream] = call;
      queue.AddLast(call);
      if (idle < queue.Count && workers < Math.Max(1, app.Concurrency)) {
        workers++;
        new Thread(Work) {IsBackground = true}.Start();
      }
      Monitor.PulseAll(this);
    }
  }

  void Grant(int stream, int count) {
    lock (this) {
      Call call;
      if (!calls.TryGetValue(stream, out call)) return;
      call.Credit += count;
      if (call.Rest != null) SendRest(call);
      else Monitor.PulseAll(this);
    }
  }

  void Cancel(int stream) {
    lock (this) {
      Call call;
      calls.TryGetValue(stream, out call);
      if (call != null && call.Thread != null) {
        call.Cancelled = true;
        call.Thread.Interrupt();
        Monitor.PulseAll(this);
      } else if (call != null || incoming.Remove(stream)) {
        if (call != null) queue.Remove(call);
        Error(stream, Errors.Cancelled());
        Over(stream);
      }
    }
  }

  void Over(int stream) {
    calls.Remove(stream);
    EndWhenDone();
  }

  void EndWhenDone() {
    // Not on this thread: what ends the process wants the monitor.
    if (closing && calls.Count == 0 && incoming.Count == 0) new Thread(() => Environment.Exit(0)).Start();
  }

  // ---- workers

  void Work() {
    try {
      while (true) {
        Call call;
        lock (this) {
          idle++;
          while (queue.Count == 0) Wait();
          idle--;
          call = queue.First.Value;
          queue.RemoveFirst();
          call.Thread = Thread.CurrentThread;
        }
        Invoke(call);
      }
    } catch (ChannelClosedException) {
      Environment.Exit(0);  // the engine is gone
    }
  }

  void Wait() {
    try {
      Monitor.Wait(this);
    } catch (ThreadInterruptedException) {
      // meant for a call that is over
    }
  }

  void Invoke(Call call) {
    Dictionary<string, object> fault;
    Logs.Current.Value = call;
    try {
      var meta = (Dictionary<string, object>)Json.Parse(call.Meta);
      object result = app.Call(call.Event, new Context(meta));
      IEnumerator items = Streams.Of(result);
      if (items != null) Stream(call, Streams.IsHead(result) ? (IDictionary)result : null, items);
      else Complete(call, Marshal(result));
      return;
    } catch (BadEventException error) {
      fault = Errors.Fault("Runtime.UnmarshalError", "Unable to unmarshal input: " + error.Message, new string[0]);
    } catch (MarshalException error) {
      fault = Errors.Fault("Runtime.MarshalError", "Unable to marshal response: " + error.Message, new string[0]);
    } catch (ChannelClosedException) {
      throw;
    } catch (ThreadAbortException) {
      throw;
    } catch (Exception error) {  // the user's code may throw anything
      bool stopped = call.Cancelled && (error is ThreadInterruptedException || error is CancelledException);
      fault = stopped ? Errors.Cancelled() : Errors.Describe(error);
    } finally {
      lock (this) call.Thread = null;  // from now on a cancel must not interrupt it
      Logs.Current.Value = null;
    }
    Calm();
    Logs.Finish(call);
    Logs.Print(call, 1, Errors.LogText(fault));
    lock (this) {
      Error(call.Stream, fault);
      Over(call.Stream);
    }
  }

  /// Takes an interrupt that came too late for its call.
  static void Calm() {
    try {
      Thread.Sleep(0);
    } catch (ThreadInterruptedException) {
    }
  }

  sealed class MarshalException : Exception {
    public MarshalException(string message) : base(message) {}
  }

  static byte[] Marshal(object result) {
    var written = result as Written;
    try {
      return written != null ? written.Bytes : JsonWriter.Bytes(result);
    } catch (Exception error) {
      throw new MarshalException(error.Message);
    }
  }

  // ---- answers

  void Complete(Call call, byte[] json) {
    Logs.Finish(call);
    lock (this) {
      int count = Math.Min(json.Length, call.Credit);
      call.Thread = null;
      channel.Send(Frames.ReplyOf(call.Stream, count == json.Length ? Frames.End : 0, Frames.Nothing, json, count));
      call.Credit -= count;
      if (count == json.Length) {
        Over(call.Stream);
        return;
      }
      call.Rest = json;
      call.RestAt = count;
      SendRest(call);
    }
  }

  void SendRest(Call call) {
    while (call.Credit > 0 && call.RestAt < call.Rest.Length) {
      int count = Math.Min(Math.Min(call.Credit, Frames.BodyBytes), call.Rest.Length - call.RestAt);
      int flags = call.RestAt + count == call.Rest.Length ? Frames.End : 0;
      channel.Send(Frames.Frame(call.Stream, Frames.Data, flags, Frames.Nothing, call.Rest, call.RestAt, count));
      call.RestAt += count;
      call.Credit -= count;
    }
    if (call.RestAt == call.Rest.Length) Over(call.Stream);
  }

  void Error(int stream, Dictionary<string, object> fault) {
    channel.Send(Frames.Frame(stream, Frames.Error, Frames.End, JsonWriter.Bytes(fault)));
  }

  void Stream(Call call, IDictionary head, IEnumerator items) {
    bool started = false;
    try {
      while (items.MoveNext()) {
        if (!started && head == null && Streams.IsHead(items.Current)) {
          head = (IDictionary)items.Current;
          continue;
        }
        if (!started)
          channel.Send(Frames.ReplyOf(call.Stream, Frames.Http, Streams.Head(head, items.Current), Frames.Nothing, 0));
        started = true;
        SendChunk(call, Streams.Bytes(items.Current));
      }
    } finally {
      var resource = items as IDisposable;
      if (resource != null) resource.Dispose();
    }
    Logs.Finish(call);
    lock (this) {
      if (started) channel.Send(Frames.Frame(call.Stream, Frames.Data, Frames.End, Frames.Nothing));
      else channel.Send(Frames.ReplyOf(call.Stream, Frames.Http | Frames.End, Streams.Head(head, null), Frames.Nothing, 0));
      Over(call.Stream);
    }
  }

  /// Sends streamed bytes as credit allows.
  void SendChunk(Call call, byte[] data) {
    lock (this)
      for (int at = 0; at < data.Length;) {
        if (call.Cancelled) throw new CancelledException();
        if (call.Credit == 0) {
          Monitor.Wait(this);
          continue;
        }
        int count = Math.Min(Math.Min(call.Credit, Frames.BodyBytes), data.Length - at);
        channel.Send(Frames.Frame(call.Stream, Frames.Data, 0, Frames.Nothing, data, at, count));
        call.Credit -= count;
        at += count;
      }
  }
}
}
