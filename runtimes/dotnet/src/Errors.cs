using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace Mayfly {

/// Initialisation failed; Fault is the JSON form.
sealed class InitException : Exception {
  public readonly Dictionary<string, object> Fault;

  public InitException(Dictionary<string, object> fault) : base((string)fault["errorMessage"]) { Fault = fault; }
  public InitException(string type, string message) : this(Errors.Fault("Runtime." + type, message, new string[0])) {}
}

/// The caller is gone.
sealed class CancelledException : Exception {}

/// What went wrong in the user's code, in the form of AWS Lambda's .NET runtime.
static class Errors {
  public static Dictionary<string, object> Fault(string type, string message, IEnumerable<string> trace) {
    return new Dictionary<string, object> {{"errorType", type}, {"errorMessage", message}, {"stackTrace", trace.ToList()}};
  }

  public static Dictionary<string, object> Describe(Exception error, int depth = 0) {
    var aggregate = error as AggregateException;
    if (aggregate != null && aggregate.InnerExceptions.Count == 1) error = aggregate.InnerException;
    var fault = Fault(error.GetType().Name, error.Message, Trace(error));
    if (error.InnerException != null && depth < 8) fault["cause"] = Describe(error.InnerException, depth + 1);
    return fault;
  }

  /// Frames of the user's side only: up to the first of ours, without reflection's.
  static IEnumerable<string> Trace(Exception error) {
    return (error.StackTrace ?? "")
        .Split('\n')
        .Select(line => line.Trim())
        .TakeWhile(line => !line.StartsWith("at Mayfly."))
        .Where(line => line.StartsWith("at ") && !line.StartsWith("at (wrapper ") && !line.StartsWith("at System.Reflection.") &&
                       !line.StartsWith("at System.Runtime.CompilerServices.") && !line.StartsWith("at System.Runtime.ExceptionServices."));
  }

  public static string LogText(Dictionary<string, object> fault) {
    var text = new StringBuilder("[ERROR] ");
    object cause = fault;
    while (cause != null) {
      var at = (Dictionary<string, object>)cause;
      if (at != fault) text.Append("caused by ");
      text.Append(at["errorType"]).Append(": ").Append(at["errorMessage"]).Append('\n');
      foreach (string line in (List<string>)at["stackTrace"]) text.Append("   ").Append(line).Append('\n');
      at.TryGetValue("cause", out cause);
    }
    return text.ToString();
  }

  public static Dictionary<string, object> Cancelled() {
    return Fault("Runtime.Cancelled", "The invocation was cancelled: the caller is gone or it is late.", new string[0]);
  }
}
}
