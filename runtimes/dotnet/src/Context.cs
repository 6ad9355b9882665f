using System;
using System.Collections.Generic;
using System.Text;
using Amazon.Lambda.Core;

namespace Mayfly {

/// The context object of one invocation.
sealed class Context : ILambdaContext, ILambdaLogger, IClientContext, IClientApplication, ICognitoIdentity {
  static readonly DateTime epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
  readonly Dictionary<string, object> meta;
  Dictionary<string, object> client;

  public Context(Dictionary<string, object> meta) { this.meta = meta; }

  static string Env(string name) { return Environment.GetEnvironmentVariable(name) ?? ""; }

  string Member(string name) {
    object value;
    return meta.TryGetValue(name, out value) && value != null ? value.ToString() : "";
  }

  public string AwsRequestId { get { return Member("id"); } }
  public string FunctionName { get { return Env("AWS_LAMBDA_FUNCTION_NAME"); } }
  public string FunctionVersion { get { return Env("AWS_LAMBDA_FUNCTION_VERSION"); } }
  public string InvokedFunctionArn { get { return Member("arn"); } }
  public string LogGroupName { get { return Env("AWS_LAMBDA_LOG_GROUP_NAME"); } }
  public string LogStreamName { get { return Env("AWS_LAMBDA_LOG_STREAM_NAME"); } }
  public ILambdaLogger Logger { get { return this; } }
  public ICognitoIdentity Identity { get { return this; } }

  public int MemoryLimitInMB {
    get {
      int megabytes;
      return int.TryParse(Env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), out megabytes) ? megabytes : 0;
    }
  }

  public TimeSpan RemainingTime {
    get {
      object deadline;
      if (!meta.TryGetValue("deadline_ms", out deadline) || !(deadline is long)) return TimeSpan.Zero;
      TimeSpan left = epoch.AddMilliseconds((long)deadline) - DateTime.UtcNow;
      return left < TimeSpan.Zero ? TimeSpan.Zero : left;
    }
  }

  public void Log(string message) { Console.Out.Write(message); }
  public void LogLine(string message) { Console.Out.WriteLine(message); }

  public IClientContext ClientContext {
    get {
      string text = Member("client_context");
      if (text == "") return null;
      try {
        client = Json.Parse(Encoding.UTF8.GetBytes(text)) as Dictionary<string, object>;
      } catch (JsonException) {
        return null;
      }
      return client == null ? null : this;
    }
  }

  IDictionary<string, string> Texts(string name) {
    var texts = new Dictionary<string, string>();
    object values;
    if (client.TryGetValue(name, out values) && values is Dictionary<string, object>)
      foreach (var pair in (Dictionary<string, object>)values) texts[pair.Key] = Convert.ToString(pair.Value);
    return texts;
  }

  string OfClient(string name) {
    string value;
    return Texts("client").TryGetValue(name, out value) ? value : null;
  }

  IDictionary<string, string> IClientContext.Environment { get { return Texts("env"); } }
  IClientApplication IClientContext.Client { get { return this; } }
  IDictionary<string, string> IClientContext.Custom { get { return Texts("custom"); } }
  string IClientApplication.AppPackageName { get { return OfClient("app_package_name"); } }
  string IClientApplication.AppTitle { get { return OfClient("app_title"); } }
  string IClientApplication.AppVersionCode { get { return OfClient("app_version_code"); } }
  string IClientApplication.AppVersionName { get { return OfClient("app_version_name"); } }
  string IClientApplication.InstallationId { get { return OfClient("installation_id"); } }
  string ICognitoIdentity.IdentityId { get { return ""; } }
  string ICognitoIdentity.IdentityPoolId { get { return ""; } }
}
}
