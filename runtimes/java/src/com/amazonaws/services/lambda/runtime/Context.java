package com.amazonaws.services.lambda.runtime;

/** What a handler may ask about its invocation. Of the shape of AWS Lambda's interface, so that code written for it links. */
public interface Context {
  String getAwsRequestId();

  String getLogGroupName();

  String getLogStreamName();

  String getFunctionName();

  String getFunctionVersion();

  String getInvokedFunctionArn();

  CognitoIdentity getIdentity();

  ClientContext getClientContext();

  int getRemainingTimeInMillis();

  int getMemoryLimitInMB();

  LambdaLogger getLogger();

  default String getTenantId() {
    return null;
  }
}
