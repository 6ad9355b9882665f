using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

namespace Mayfly {

/// The event is not JSON, or not what the handler takes.
sealed class BadEventException : Exception {
  public BadEventException(string message) : base(message) {}
}

/// Bytes that a handler has written itself.
sealed class Written {
  public readonly byte[] Bytes;
  public Written(byte[] bytes) { Bytes = bytes; }
}

/// Loaded user code: Call takes the bytes of an event.
sealed class App {
  public readonly Func<byte[], ILambdaContext, object> Call;
  public readonly string Handler;
  public readonly int Concurrency;

  public App(Func<byte[], ILambdaContext, object> call, string handler, int concurrency) {
    Call = call;
    Handler = handler;
    Concurrency = concurrency;
  }

  public Dictionary<string, object> Ready() {
    Type mono = Type.GetType("Mono.Runtime");
    var version = mono == null ? null : mono.GetMethod("GetDisplayName", BindingFlags.NonPublic | BindingFlags.Static);
    string name = version == null ? Environment.Version.ToString() : version.Invoke(null, null).ToString().Split(' ')[0];
    return new Dictionary<string, object> {
        {"model", "event"}, {"handler", Handler}, {"runtime", "Mono " + name},
        {"concurrency", Concurrency}, {"notes", new string[0]}};
  }
}

/// Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules.
sealed class Loader {
  static readonly string[] names = {"FunctionHandler", "Handler", "Handle", "HandleRequest"};
  readonly string handler = Env("_HANDLER").Trim();
  readonly string root = Env("LAMBDA_TASK_ROOT") == "" ? "." : Env("LAMBDA_TASK_ROOT");

  static string Env(string name) { return Environment.GetEnvironmentVariable(name) ?? ""; }

  static int Concurrency() {
    int count;
    return int.TryParse(Env("MAYFLY_CONCURRENCY"), out count) ? Math.Max(0, count) : 0;
  }

  public App Load() {
    AppDomain.CurrentDomain.AssemblyResolve += Resolve;
    if (handler != "") return Named();
    var found = new List<MethodInfo>();
    foreach (string file in Candidates()) found.AddRange(Handlers(AssemblyOf(Path.GetFileNameWithoutExtension(file))));
    if (found.Count == 1) return AppOf(found[0]);
    string what = found.Count == 0
        ? "No public method " + string.Join(", ", names) + " found in the package's assemblies"
        : "There are several methods that may be the handler: " + string.Join(", ", found.Select(Described));
    throw new InitException("HandlerNotFound", what + "; name it, as in --handler Assembly::Namespace.Type::Method");
  }

  /// Assemblies of the package, and ours for whatever version of Amazon.Lambda.Core is asked for.
  Assembly Resolve(object sender, ResolveEventArgs wanted) {
    string name = new AssemblyName(wanted.Name).Name;
    if (name == "Amazon.Lambda.Core") return typeof(ILambdaContext).Assembly;
    foreach (string folder in new[] {root, Path.Combine(root, "lib"), Path.Combine(root, "bin")})
      foreach (string extension in new[] {".dll", ".exe"}) {
        string path = Path.Combine(folder, name + extension);
        if (File.Exists(path)) return Assembly.LoadFrom(path);
      }
    return null;
  }

  IEnumerable<string> Candidates() {
    return Directory.GetFiles(root, "*.dll").Concat(Directory.GetFiles(root, "*.exe"))
        .Where(file => Path.GetFileName(file) != "Amazon.Lambda.Core.dll").OrderBy(file => file);
  }

  static IEnumerable<MethodInfo> Handlers(Assembly assembly) {
    Type[] types;
    try {
      types = assembly.GetExportedTypes();
    } catch (Exception) {  // one that needs what is not there holds no handler
      return new MethodInfo[0];
    }
    return types.Where(type => !type.IsAbstract || type.IsSealed)
        .Select(type => names.Select(name => Method(type, name)).FirstOrDefault(method => method != null))
        .Where(method => method != null);
  }

  // ---- a handler that was named

  App Named() {
    string[] parts = handler.Split(new[] {"::"}, StringSplitOptions.None);
    if (parts.Length < 2 || parts.Length > 3 || parts.Contains(""))
      throw new InitException("MalformedHandlerName",
                              "Bad handler '" + handler + "': expected Assembly::Namespace.Type::Method");
    string typeName = parts[parts.Length - 2], methodName = parts[parts.Length - 1];
    bool isNamed = parts.Length == 3 && (PathOf(parts[0]) != null || !Candidates().Any());
    var assemblies = isNamed ? new[] {AssemblyOf(parts[0])}
                             : Candidates().Select(file => AssemblyOf(Path.GetFileNameWithoutExtension(file)));
    Type type = assemblies.Select(assembly => assembly.GetType(typeName, false)).FirstOrDefault(one => one != null);
    if (type == null) throw new InitException("HandlerNotFound", "Handler '" + handler + "': there is no type " + typeName);
    MethodInfo method = Method(type, methodName);
    if (method == null)
      throw new InitException("HandlerNotFound", "Handler '" + handler + "': type " + typeName + " has no public method " +
                              methodName + " that takes an event and an ILambdaContext");
    return AppOf(method);
  }

  string PathOf(string name) {
    return new[] {".dll", ".exe"}.Select(extension => Path.Combine(root, name + extension)).FirstOrDefault(File.Exists);
  }

  Assembly AssemblyOf(string name) {
    string path = PathOf(name);
    if (path == null) throw new InitException("ImportModuleError", "Assembly not found: there is no " + name + ".dll in the package");
    try {
      return Assembly.LoadFrom(path);
    } catch (Exception error) when (error is BadImageFormatException || error is FileLoadException || error is FileNotFoundException) {
      throw new InitException("ImportModuleError", "Assembly " + name + " cannot be loaded by Mono: " + error.Message);
    }
  }

  /// A public method by that name whose parameters fit; of several the one with the most.
  static MethodInfo Method(Type type, string name) {
    return type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static)
        .Where(method => method.Name == name && !method.IsGenericMethod && Fits(method.GetParameters()))
        .OrderByDescending(method => method.GetParameters().Length).FirstOrDefault();
  }

  static bool Fits(ParameterInfo[] parameters) {
    return parameters.Length < 2 || parameters.Length == 2 && IsContext(parameters[1]);
  }

  static bool IsContext(ParameterInfo parameter) { return typeof(ILambdaContext).IsAssignableFrom(parameter.ParameterType); }

  static string Described(MethodInfo method) {
    return method.DeclaringType.Assembly.GetName().Name + "::" + method.DeclaringType.FullName + "::" + method.Name;
  }

  // ---- how it is called

  static App AppOf(MethodInfo method) {
    object target = null;
    try {
      if (!method.IsStatic) target = Activator.CreateInstance(method.DeclaringType, true);
    } catch (TargetInvocationException error) {
      throw Initialising(error.InnerException);
    } catch (TypeInitializationException error) {
      throw Initialising(error);
    } catch (MissingMethodException) {
      throw new InitException("HandlerNotFound", "Type " + method.DeclaringType + " has no constructor without arguments");
    }
    try {
      System.Runtime.CompilerServices.RuntimeHelpers.RunClassConstructor(method.DeclaringType.TypeHandle);
    } catch (TypeInitializationException error) {
      throw Initialising(error);
    }
    ParameterInfo[] parameters = method.GetParameters();
    Type input = parameters.Length == 0 || parameters.Length == 1 && IsContext(parameters[0]) ? null : parameters[0].ParameterType;
    bool wantsContext = parameters.Length > 0 && IsContext(parameters[parameters.Length - 1]);
    return new App((bytes, context) => {
      var arguments = new List<object>();
      if (input != null) arguments.Add(Event(bytes, input));
      if (wantsContext) arguments.Add(context);
      try {
        return Result(method.Invoke(target, arguments.ToArray()), method.ReturnType);
      } catch (TargetInvocationException error) {
        System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(error.InnerException).Throw();
        throw;
      }
    }, Described(method), Concurrency());
  }

  static InitException Initialising(Exception error) {
    if (error is TypeInitializationException && error.InnerException != null) error = error.InnerException;
    return new InitException(Errors.Describe(error));
  }

  static object Event(byte[] bytes, Type type) {
    if (type == typeof(Stream) || type == typeof(MemoryStream)) return new MemoryStream(bytes, false);
    try {
      return Binder.Bind(bytes.Length == 0 ? new Dictionary<string, object>() : Json.Parse(bytes), type);
    } catch (JsonException error) {
      throw new BadEventException(error.Message);
    }
  }

  static object Result(object result, Type declared) {
    var task = result as Task;
    if (task != null) {
      task.GetAwaiter().GetResult();
      bool plain = declared == typeof(Task) || !declared.IsGenericType;
      result = plain ? null : declared.GetProperty("Result").GetValue(task, null);
    }
    var stream = result as Stream;
    if (stream == null) return result;
    using (stream) {
      var copy = new MemoryStream();
      stream.CopyTo(copy);
      return new Written(copy.ToArray());
    }
  }
}
}
