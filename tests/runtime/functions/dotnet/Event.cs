using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Amazon.Lambda.Core;

/// The event handler of the conformance suite: event.op says what to do.
public class Event {
  static Event() { Console.WriteLine("loaded"); }

  [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
  static object Fail(string text) { throw new ArgumentOutOfRangeException(null, text); }

  static Dictionary<string, object> Head(int status, string type) {
    return new Dictionary<string, object> {
        {"statusCode", status}, {"headers", new Dictionary<string, object> {{"content-type", type}}}};
  }

  static IEnumerator Lines(long count) {
    for (long number = 0; number < count; number++) yield return "line " + number + "\n";
  }

  static object Stream(long count) {
    var answer = Head(201, "text/x-lines");
    ((Dictionary<string, object>)answer["headers"])["x-one"] = 1;
    answer["cookies"] = new[] {"a=1", "b=2"};
    answer["body"] = Lines(count);
    return answer;
  }

  static byte[] Block(long size, char value) { return Enumerable.Repeat((byte)value, (int)size).ToArray(); }

  static IEnumerator Blocks(long count, long size) {
    yield return Head(200, "application/x-blocks");
    var block = Block(size, 'b');
    for (long number = 0; number < count; number++) yield return block;
  }

  static IEnumerator<object> Endless() {
    try {
      while (true) yield return Block(65536, 'x');
    } finally {
      Console.WriteLine("closed the stream");
    }
  }

  static IEnumerator Failing() {
    yield return "before\n";
    throw new InvalidOperationException("in the middle");
  }

  static IEnumerator Binary() {
    for (int count = 0; count < 3; count++) yield return Enumerable.Range(0, 256).Select(value => (byte)value).ToArray();
  }

  static object Members(ILambdaContext context) {
    var client = context.ClientContext;
    return new {
        request_id = context.AwsRequestId, name = context.FunctionName, version = context.FunctionVersion,
        arn = context.InvokedFunctionArn, memory = context.MemoryLimitInMB.ToString(), log_group = context.LogGroupName,
        log_stream = context.LogStreamName, remaining = (int)context.RemainingTime.TotalMilliseconds,
        client_custom = client == null ? null : client.Custom, client_title = client == null ? null : client.Client.AppTitle};
  }

  static object WriteLogs(Dictionary<string, object> input, ILambdaContext context) {
    object name = input["name"];
    Console.WriteLine("out {0}", name);
    Console.Write("half ");
    Console.Out.Write("and half " + name + "\n");
    Console.Error.WriteLine("err " + name);
    if (input.ContainsKey("unicode")) context.Logger.LogLine("größe €");
    Console.Write("unfinished " + name);
    return name;
  }

  static object Circle() {
    var found = new Dictionary<string, object>();
    found["self"] = found;
    return found;
  }

  static object Nap(Dictionary<string, object> input) {
    Console.WriteLine("sleeping " + input["name"]);
    if (input.ContainsKey("seconds")) Thread.Sleep((int)(Convert.ToDouble(input["seconds"]) * 1000));
    while (input.ContainsKey("until") && !System.IO.File.Exists((string)input["until"])) Thread.Sleep(5);
    Console.WriteLine("slept " + input["name"]);
    return input["name"];
  }

  static object WaitForCancel() {
    Console.WriteLine("waiting");
    try {
      Thread.Sleep(60000);
    } catch (ThreadInterruptedException) {
      Console.WriteLine("noticed");
    }
    return null;
  }

  static object Remaining(ILambdaContext context) {
    int first = (int)context.RemainingTime.TotalMilliseconds;
    Thread.Sleep(50);
    return new[] {first, (int)context.RemainingTime.TotalMilliseconds};
  }

  static object Leave() {
    Console.WriteLine("leaving");
    Environment.Exit(3);
    return null;
  }

  public object FunctionHandler(Dictionary<string, object> input, ILambdaContext context) {
    object op, value;
    input.TryGetValue("op", out op);
    switch (op as string) {
      case "echo": return input["value"];
      case "context": return Members(context);
      case "raise": return Fail(input.TryGetValue("text", out value) ? (string)value : "boom");
      case "unmarshalable": return (string)input["kind"] == "circle" ? Circle() : new {action = new Action(() => {})};
      case "log": return WriteLogs(input, context);
      case "env": return ((List<object>)input["names"]).ToDictionary(name => (string)name, name => Environment.GetEnvironmentVariable((string)name));
      case "large": return new string('x', (int)(long)input["size"]);
      case "size": return ((string)input["value"]).Length;
      case "stream": return Stream((long)input["count"]);
      case "blocks": return Blocks((long)input["count"], (long)input["size"]);
      case "endless": return Endless();
      case "stream_fails": return Failing();
      case "binary": return Binary();
      case "sleep": return Nap(input);
      case "remaining": return Remaining(context);
      case "wait_for_cancel": return WaitForCancel();
      case "exit": return Leave();
      default: return new Dictionary<string, object> {{"unknown", op}};
    }
  }
}
