// The types of Amazon.Lambda.Core that functions are written against. The assembly has that name, so that
// assemblies which were compiled against AWS's library bind to it.
using System;
using System.Collections.Generic;
using System.IO;

[assembly: System.Reflection.AssemblyVersion("1.0.0.0")]

namespace Amazon.Lambda.Core {

/// What a handler may ask about its invocation.
public interface ILambdaContext {
  string AwsRequestId { get; }
  IClientContext ClientContext { get; }
  string FunctionName { get; }
  string FunctionVersion { get; }
  ICognitoIdentity Identity { get; }
  string InvokedFunctionArn { get; }
  ILambdaLogger Logger { get; }
  string LogGroupName { get; }
  string LogStreamName { get; }
  int MemoryLimitInMB { get; }
  TimeSpan RemainingTime { get; }
}

/// Writes to the log of the invocation.
public interface ILambdaLogger {
  void Log(string message);
  void LogLine(string message);
}

/// What the client of a mobile app has sent along.
public interface IClientContext {
  IDictionary<string, string> Environment { get; }
  IClientApplication Client { get; }
  IDictionary<string, string> Custom { get; }
}

/// The app that calls.
public interface IClientApplication {
  string AppPackageName { get; }
  string AppTitle { get; }
  string AppVersionCode { get; }
  string AppVersionName { get; }
  string InstallationId { get; }
}

/// Who calls.
public interface ICognitoIdentity {
  string IdentityId { get; }
  string IdentityPoolId { get; }
}

/// Turns JSON into values and back.
public interface ILambdaSerializer {
  T Deserialize<T>(Stream requestStream);
  void Serialize<T>(T response, Stream responseStream);
}

/// Names a serializer, for an assembly or a method.
[AttributeUsage(AttributeTargets.Assembly | AttributeTargets.Method, AllowMultiple = false)]
public sealed class LambdaSerializerAttribute : Attribute {
  public LambdaSerializerAttribute(Type serializerType) { SerializerType = serializerType; }
  public Type SerializerType { get; set; }
}

/// Writes to the log of the invocation that runs.
public static class LambdaLogger {
  public static void Log(string message) { Console.WriteLine(message); }
}
}
