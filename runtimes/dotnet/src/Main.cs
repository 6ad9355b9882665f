using System;
using System.Collections.Generic;

namespace Mayfly {

/// Starts a .NET function: mono /var/runtime/main.exe, frame channel on fd 3. Loading the user's code
/// (Initialise) and serving it (Serve) are two steps: the first opens nothing.
static class Program {
  const int Descriptor = 3;
  static bool loading = true;
  static Server server;

  static App Initialise() {
    Logs.Install();
    return new Loader().Load();
  }

  static int Serve(App app) {
    var channel = new Channel(Descriptor);
    Logs.OpenChannel(channel);
    server = new Server(app, channel);
    return server.Run();
  }

  static int Main() {
    if (!Channel.IsSocket(Descriptor)) {
      Console.Error.WriteLine("mayfly: file descriptor 3 is not open: this program is started by Mayfly");
      return 1;
    }
    Channel.CloseOnExec(Descriptor);
    AppDomain.CurrentDomain.ProcessExit += (sender, arguments) => End();
    App app;
    try {
      app = Initialise();
    } catch (Exception error) {
      var known = error as InitException;
      FailInitialisation(known != null ? known.Fault : Errors.Describe(error));
      return 1;
    }
    loading = false;
    return Serve(app);
  }

  /// Environment.Exit of the user's code, or the end.
  static void End() {
    if (loading) FailInitialisation(Errors.Fault("Runtime.ExitError", "The function called Environment.Exit() while it was loaded", new string[0]));
    try {
      if (server != null) server.FinishLogs();
      Logs.Finish(null);
    } catch (ChannelClosedException) {
      // the engine is gone
    }
  }

  static void FailInitialisation(Dictionary<string, object> fault) {
    loading = false;
    try {
      var channel = new Channel(Descriptor);
      Logs.OpenChannel(channel);
      Logs.Print(new Target(0), 1, Errors.LogText(fault));
      channel.Send(Frames.Frame(0, Frames.InitError, 0, JsonWriter.Bytes(fault)));
    } catch (ChannelClosedException) {
      // the engine is gone
    }
  }
}
}
