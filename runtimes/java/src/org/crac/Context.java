package org.crac;

/** Resources that are told together; itself one. */
public abstract class Context<R extends Resource> implements Resource {
  protected Context() {}

  @Override
  public abstract void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException;

  @Override
  public abstract void afterRestore(Context<? extends Resource> context) throws RestoreException;

  /** Keeps only a weak reference. */
  public abstract void register(R resource);
}
