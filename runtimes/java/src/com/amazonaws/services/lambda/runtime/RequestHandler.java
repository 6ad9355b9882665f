package com.amazonaws.services.lambda.runtime;

/** A handler whose event and result are made from and into JSON. */
public interface RequestHandler<I, O> {
  O handleRequest(I input, Context context);
}
