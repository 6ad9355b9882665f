// node lambda.mjs URL NAME ZIP: what a program does with functions, by @aws-sdk/client-lambda.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as sdk from '@aws-sdk/client-lambda';

const [url, FunctionName, zip] = process.argv.slice(2);
const client = new sdk.LambdaClient({ endpoint: url, region: 'us-east-1', maxAttempts: 1 });
const call = (operation, input) => client.send(new sdk[operation + 'Command'](input));

async function refused(operation, input, name, status) {
  const error = await call(operation, input).then(() => null, (reason) => reason);
  assert.ok(error, `${operation} was not refused`);
  assert.equal(error.name, name, error.message);
  assert.equal(error.$metadata.httpStatusCode, status);
  assert.ok(error.message && error.message !== 'UnknownError', 'it has a message');
  return error;
}
const text = (bytes) => Buffer.from(bytes).toString();

const made = await call('CreateFunction', {
  FunctionName, Runtime: 'nodejs22.x', Handler: 'index.handler', Role: 'arn:aws:iam::000000000000:role/any',
  Code: { ZipFile: readFileSync(zip) }, Environment: { Variables: { STAGE: 'js' } },
});
assert.equal(made.State, 'Active');
await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 10 }, { FunctionName });
await sdk.waitUntilFunctionUpdatedV2({ client, maxWaitTime: 10 }, { FunctionName });

const answer = await call('Invoke', { FunctionName, Payload: JSON.stringify({ a: 1 }), LogType: 'Tail' });
assert.equal(answer.StatusCode, 200);
assert.deepEqual(JSON.parse(text(answer.Payload)), { event: { a: 1 }, stage: 'js' });
assert.match(text(Buffer.from(answer.LogResult, 'base64')), /seen/);
const failed = await call('Invoke', { FunctionName, Payload: JSON.stringify({ fail: true }) });
assert.equal(failed.FunctionError, 'Unhandled');
assert.equal(JSON.parse(text(failed.Payload)).errorMessage, 'asked for');

const streamed = await call('InvokeWithResponseStream', { FunctionName, Payload: JSON.stringify({ b: 2 }), LogType: 'Tail' });
let body = '', complete;
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) body += text(event.PayloadChunk.Payload);
  if (event.InvokeComplete) complete = event.InvokeComplete;
}
assert.deepEqual(JSON.parse(body), { event: { b: 2 }, stage: 'js' });
assert.ok(complete && !complete.ErrorCode && complete.LogResult);

const logging = (LoggingConfig) => call('UpdateFunctionConfiguration', { FunctionName, LoggingConfig });
assert.equal((await logging({ LogFormat: 'JSON' })).LoggingConfig.SystemLogLevel, 'INFO');
const inJson = await call('Invoke', { FunctionName, Payload: '{}', LogType: 'Tail' });
const records = text(Buffer.from(inJson.LogResult, 'base64')).trim().split('\n').map((line) => JSON.parse(line));
assert.deepEqual(records.map((one) => one.type ?? one.level), ['platform.start', 'INFO', 'platform.report']);
assert.match(records[1].message, /seen/);
assert.ok(records[2].record.metrics.billedDurationMs >= 1);
await logging({ LogFormat: 'JSON', ApplicationLogLevel: 'ERROR', SystemLogLevel: 'WARN' });
assert.equal((await call('Invoke', { FunctionName, Payload: '{}', LogType: 'Tail' })).LogResult ?? '', '');
await logging({ LogFormat: 'Text' });

assert.equal((await call('Invoke', { FunctionName, InvocationType: 'Event', Payload: '{}' })).StatusCode, 202);
assert.equal((await call('PublishVersion', { FunctionName })).Version, '1');
await call('CreateAlias', { FunctionName, Name: 'live', FunctionVersion: '1' });
assert.equal((await call('Invoke', { FunctionName, Qualifier: 'live' })).ExecutedVersion, '1');
const names = [];
for await (const page of sdk.paginateListFunctions({ client, pageSize: 1 }, {}))
  names.push(...page.Functions.map((one) => one.FunctionName));
assert.ok(names.includes(FunctionName));

await refused('GetFunction', { FunctionName: FunctionName + '-none' }, 'ResourceNotFoundException', 404);
await refused('UpdateFunctionConfiguration', { FunctionName, Timeout: 1000 }, 'ValidationException', 400);
await refused('UpdateFunctionConfiguration', { FunctionName, Timeout: 5, RevisionId: 'x' }, 'PreconditionFailedException', 412);
await refused('Invoke', { FunctionName, Payload: '{' }, 'InvalidRequestContentException', 400);
await refused('ListCodeSigningConfigs', {}, 'NotImplementedException', 501);
await call('PutFunctionConcurrency', { FunctionName, ReservedConcurrentExecutions: 0 });
const throttled = await refused('Invoke', { FunctionName }, 'TooManyRequestsException', 429);
assert.equal(throttled.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
await call('DeleteFunction', { FunctionName });
console.log('all well');
