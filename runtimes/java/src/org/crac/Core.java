package org.crac;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;

/** Where resources are registered. Mayfly tells them once initialisation is over. */
public final class Core {
  private static final Context<Resource> GLOBAL = new Ordered();

  static {
    mayfly.runtime.Hooks.found(GLOBAL);
  }

  private Core() {}

  public static Context<Resource> getGlobalContext() {
    return GLOBAL;
  }

  public static void checkpointRestore() {
    throw new UnsupportedOperationException("Mayfly decides by itself when a function is snapshotted");
  }

  /** Before a snapshot in reverse order, after it in the order of registration. */
  private static final class Ordered extends Context<Resource> {
    private final List<WeakReference<Resource>> resources = new ArrayList<>();

    @Override
    public synchronized void register(Resource resource) {
      resources.add(new WeakReference<>(resource));
    }

    private synchronized List<Resource> alive() {
      List<Resource> alive = new ArrayList<>();
      for (WeakReference<Resource> reference : resources) {
        Resource resource = reference.get();
        if (resource != null) alive.add(resource);
      }
      return alive;
    }

    @Override
    public void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
      List<Resource> alive = alive();
      CheckpointException failure = new CheckpointException();
      for (int at = alive.size() - 1; at >= 0; at--) {
        try {
          alive.get(at).beforeCheckpoint(this);
        } catch (Exception error) {
          failure.addSuppressed(error);
        }
      }
      if (failure.getSuppressed().length > 0) throw failure;
    }

    @Override
    public void afterRestore(Context<? extends Resource> context) throws RestoreException {
      RestoreException failure = new RestoreException();
      for (Resource resource : alive()) {
        try {
          resource.afterRestore(this);
        } catch (Exception error) {
          failure.addSuppressed(error);
        }
      }
      if (failure.getSuppressed().length > 0) throw failure;
    }
  }
}
