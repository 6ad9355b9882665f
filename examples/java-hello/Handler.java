import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

/** Answers HTTP calls and plain events alike: an HTTP call comes as an event of API Gateway's form. */
public class Handler implements RequestHandler<Handler.Event, Handler.Answer> {
  public record Event(String name, Map<String, String> queryStringParameters) {}

  public record Answer(String message, String request) {}

  @Override
  public Answer handleRequest(Event event, Context context) {
    String name = event.name();
    if (name == null && event.queryStringParameters() != null) name = event.queryStringParameters().get("name");
    if (name == null) name = "World";
    System.out.println("greeting " + name);
    return new Answer("Hello " + name, context.getAwsRequestId());
  }
}
