using System;
using System.Collections.Generic;
using Amazon.Lambda.Core;

namespace Hello {

public class Input {
  public string Name { get; set; }
  public Dictionary<string, string> QueryStringParameters { get; set; }
}

/// Answers HTTP calls and plain events alike: an HTTP call comes as an event of API Gateway's form.
public class Function {
  public object FunctionHandler(Input input, ILambdaContext context) {
    string name = input.Name;
    if (name == null && input.QueryStringParameters != null) input.QueryStringParameters.TryGetValue("name", out name);
    Console.WriteLine("greeting " + (name ?? "World"));
    return new {message = "Hello " + (name ?? "World"), request = context.AwsRequestId};
  }
}
}
