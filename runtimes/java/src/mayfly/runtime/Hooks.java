package mayfly.runtime;

import org.crac.Context;
import org.crac.Resource;

/** Tells the resources of org.crac that initialisation is over; costs nothing where there are none. */
public final class Hooks {
  private static volatile Context<Resource> context;

  private Hooks() {}

  /** From org.crac.Core, when the user's code first asks for it. */
  public static void found(Context<Resource> global) {
    context = global;
  }

  static void run() throws Errors.InitError {
    Context<Resource> global = context;
    if (global == null) return;
    try {
      global.beforeCheckpoint(global);
      global.afterRestore(global);
    } catch (Exception error) {
      Throwable[] failures = error.getSuppressed();
      throw new Errors.InitError(Errors.describe(failures.length > 0 ? failures[0] : error));
    }
  }
}
