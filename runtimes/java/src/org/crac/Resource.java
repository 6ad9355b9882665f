package org.crac;

/** What wants to be told of a snapshot, as under AWS Lambda's SnapStart. */
public interface Resource {
  void beforeCheckpoint(Context<? extends Resource> context) throws Exception;

  void afterRestore(Context<? extends Resource> context) throws Exception;
}
