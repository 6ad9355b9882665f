package org.crac;

/** Resources have failed after the snapshot; each failure is among the suppressed ones. */
public class RestoreException extends Exception {
  public RestoreException() {}

  public RestoreException(String message) {
    super(message);
  }
}
