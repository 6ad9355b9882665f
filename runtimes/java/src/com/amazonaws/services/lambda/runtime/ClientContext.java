package com.amazonaws.services.lambda.runtime;

import java.util.Map;

/** What the client of a mobile app has sent along. */
public interface ClientContext {
  Client getClient();

  Map<String, String> getCustom();

  Map<String, String> getEnvironment();
}
