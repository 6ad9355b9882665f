// A handler of aws-lambda-ric, the runtime that AWS's Node images have.
export const handler = async (event, context) => {
  console.log('seen', event.say);
  if (event.fail) throw new RangeError(event.fail);
  if (event.exit) process.exit(event.exit);
  return {
    event,
    id: context.awsRequestId,
    arn: context.invokedFunctionArn,
    left: context.getRemainingTimeInMillis() > 1000,
    custom: context.clientContext?.custom ?? null,
    trace: process.env._X_AMZN_TRACE_ID ?? null,
  };
};

export const streamed = awslambda.streamifyResponse(async (event, stream) => {
  const out = awslambda.HttpResponseStream.from(stream, { statusCode: 202, headers: { 'Content-Type': 'text/plain' } });
  for (const part of ['one ', 'two ', 'three']) out.write(part);
  out.end();
});

export const breaks = awslambda.streamifyResponse(async (event, stream) => {
  stream.write('half');
  throw new TypeError('in the middle');
});
