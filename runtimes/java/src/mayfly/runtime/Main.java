package mayfly.runtime;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Starts a Java function: java -jar /var/runtime/main.jar, frame channel on fd 3. Loading the user's
 * code (initialise) and serving it (serve) are two steps: the first opens nothing.
 */
public final class Main {
  private static final int DESCRIPTOR = 3;

  private Main() {}

  static App initialise() throws Errors.InitError {
    Logs.install();
    App app = new Loader().load();
    Hooks.run();
    return app;
  }

  static int serve(App app) {
    Channel channel = new Channel(DESCRIPTOR);
    Logs.openChannel(channel);
    return new Server(app, channel).run();
  }

  public static void main(String[] arguments) throws Exception {
    Path descriptor = Path.of("/proc/self/fd/" + DESCRIPTOR);
    if (!Files.isSymbolicLink(descriptor) || !Files.readSymbolicLink(descriptor).toString().startsWith("socket:")) {
      System.err.println("mayfly: file descriptor 3 is not open: this program is started by Mayfly");
      System.exit(1);
    }
    Ending ending = new Ending();
    Runtime.getRuntime().addShutdownHook(ending);
    App app = null;
    try {
      app = initialise();
    } catch (Errors.InitError error) {
      ending.failInitialisation(error.fault);
      Runtime.getRuntime().halt(1);
    }
    ending.loading = false;
    System.exit(serve(app));
  }

  /** System.exit of the user's code, or the end. */
  private static final class Ending extends Thread {
    volatile boolean loading = true;

    @Override
    public void run() {
      if (loading)
        failInitialisation(Errors.fault("Runtime.ExitError",
            "The function called System.exit() while it was loaded", java.util.List.of()));
      Server.finishLogs();
      Logs.finish(null);
    }

    void failInitialisation(java.util.Map<String, Object> fault) {
      loading = false;
      try {
        Channel channel = new Channel(DESCRIPTOR);
        Logs.openChannel(channel);
        Logs.print(new Logs.Target(0), 1, Errors.logText(fault));
        channel.send(Frames.frame(0, Frames.INIT_ERROR, 0, JsonWriter.bytes(fault)));
      } catch (java.io.UncheckedIOException error) {
        // the engine is gone
      }
    }
  }
}
