package com.amazonaws.services.lambda.runtime.logging;

/** How important a log line is. */
public enum LogLevel {
  UNDEFINED,
  TRACE,
  DEBUG,
  INFO,
  WARN,
  ERROR,
  FATAL
}
