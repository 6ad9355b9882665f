package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** The context object of one invocation. */
final class LambdaContext implements Context {
  private final Map<?, ?> meta;

  LambdaContext(Map<?, ?> meta) {
    this.meta = meta;
  }

  private static String env(String name) {
    String value = System.getenv(name);
    return value == null ? "" : value;
  }

  private String member(String name) {
    Object value = meta.get(name);
    return value == null ? "" : value.toString();
  }

  @Override
  public String getAwsRequestId() {
    return member("id");
  }

  @Override
  public String getLogGroupName() {
    return env("AWS_LAMBDA_LOG_GROUP_NAME");
  }

  @Override
  public String getLogStreamName() {
    return env("AWS_LAMBDA_LOG_STREAM_NAME");
  }

  @Override
  public String getFunctionName() {
    return env("AWS_LAMBDA_FUNCTION_NAME");
  }

  @Override
  public String getFunctionVersion() {
    return env("AWS_LAMBDA_FUNCTION_VERSION");
  }

  @Override
  public String getInvokedFunctionArn() {
    return member("arn");
  }

  @Override
  public int getRemainingTimeInMillis() {
    Object deadline = meta.get("deadline_ms");
    long left = deadline instanceof Number ? ((Number) deadline).longValue() - System.currentTimeMillis() : 0;
    return (int) Math.max(0, Math.min(left, Integer.MAX_VALUE));
  }

  @Override
  public int getMemoryLimitInMB() {
    try {
      return Integer.parseInt(env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    } catch (NumberFormatException error) {
      return 0;
    }
  }

  @Override
  public CognitoIdentity getIdentity() {
    return new CognitoIdentity() {
      @Override
      public String getIdentityId() {
        return "";
      }

      @Override
      public String getIdentityPoolId() {
        return "";
      }
    };
  }

  @Override
  public LambdaLogger getLogger() {
    return LOGGER;
  }

  private static final LambdaLogger LOGGER =
      new LambdaLogger() {
        @Override
        public void log(String message) {
          System.out.print(message == null || message.endsWith("\n") ? message : message + "\n");
        }

        @Override
        public void log(byte[] message) {
          log(new String(message, StandardCharsets.UTF_8));
        }
      };

  @Override
  public ClientContext getClientContext() {
    try {
      Object parsed = Json.parse(member("client_context").getBytes(StandardCharsets.UTF_8));
      return parsed instanceof Map ? new ParsedClientContext((Map<?, ?>) parsed) : null;
    } catch (Json.Bad error) {
      return null;
    }
  }

  private static final class ParsedClientContext implements ClientContext, Client {
    private final Map<?, ?> parsed;

    ParsedClientContext(Map<?, ?> parsed) {
      this.parsed = parsed;
    }

    private Map<String, String> texts(String name) {
      Map<String, String> texts = new LinkedHashMap<>();
      if (parsed.get(name) instanceof Map)
        ((Map<?, ?>) parsed.get(name)).forEach((key, value) -> texts.put(String.valueOf(key), String.valueOf(value)));
      return texts;
    }

    @Override
    public Client getClient() {
      return this;
    }

    @Override
    public Map<String, String> getCustom() {
      return texts("custom");
    }

    @Override
    public Map<String, String> getEnvironment() {
      return texts("env");
    }

    @Override
    public String getInstallationId() {
      return texts("client").get("installation_id");
    }

    @Override
    public String getAppTitle() {
      return texts("client").get("app_title");
    }

    @Override
    public String getAppVersionName() {
      return texts("client").get("app_version_name");
    }

    @Override
    public String getAppVersionCode() {
      return texts("client").get("app_version_code");
    }

    @Override
    public String getAppPackageName() {
      return texts("client").get("app_package_name");
    }
  }
}
