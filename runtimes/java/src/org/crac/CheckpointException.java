package org.crac;

/** Resources have failed before the snapshot; each failure is among the suppressed ones. */
public class CheckpointException extends Exception {
  public CheckpointException() {}

  public CheckpointException(String message) {
    super(message);
  }
}
