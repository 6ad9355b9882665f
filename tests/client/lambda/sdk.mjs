// The AWS SDK v3 inside a function.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' };
const seen = [];
// In the sandbox itself: what a service that the function may reach gets to see.
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (part) => (body += part));
  request.on('end', () => {
    const target = request.headers['x-amz-target'] ?? request.url;
    seen.push({ target, signed: request.headers.authorization.split(' ')[0], body: JSON.parse(body || 'null') });
    response.setHeader('Content-Type', 'application/x-amz-json-1.0');
    // The SDK compares this by itself.
    const digest = createHash('md5').update(JSON.parse(body).MessageBody ?? '').digest('hex');
    const answer = { MessageId: 'm-1', MD5OfMessageBody: digest };
    response.end(target.startsWith('AmazonSQS') ? JSON.stringify(answer) : '{"answer":42}');
  });
});

export const calls = async () => {
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${server.address().port}`;
  try {
    const sent = await new SQSClient({ endpoint, credentials }).send(
      new SendMessageCommand({ QueueUrl: `${endpoint}/1/q`, MessageBody: 'hello' }),
    );
    const told = await new LambdaClient({ endpoint, credentials }).send(
      new InvokeCommand({ FunctionName: 'other', Payload: '{"a":1}' }),
    );
    return { id: sent.MessageId, told: JSON.parse(Buffer.from(told.Payload).toString()), seen: seen.splice(0) };
  } finally {
    server.closeAllConnections();
    server.close();
  }
};

// Mayfly's API port is not for functions: their network leads past the machine that runs them.
export const reaches = async (event) => {
  const client = new SQSClient({
    endpoint: event.endpoint,
    credentials,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 1500, requestTimeout: 1500 },
  });
  try {
    await client.send(new SendMessageCommand({ QueueUrl: `${event.endpoint}/1/q`, MessageBody: 'hello' }));
    return 'reached';
  } catch (error) {
    return error.$metadata?.httpStatusCode ? 'reached' : error.code ?? error.name;
  }
};
