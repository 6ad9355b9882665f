// node sqs.mjs URL NAME: what a program does with queues, by @aws-sdk/client-sqs.
import assert from 'node:assert/strict';
import * as sdk from '@aws-sdk/client-sqs';

const [url, name] = process.argv.slice(2);
const client = new sdk.SQSClient({ endpoint: url, region: 'us-east-1', maxAttempts: 1 });
const call = (operation, input) => client.send(new sdk[operation + 'Command'](input));

async function refused(operation, input, wanted) {
  const error = await call(operation, input).then(() => null, (reason) => reason);
  assert.ok(error, `${operation} was not refused`);
  assert.equal(error.name, wanted.name);
  if (wanted.code) assert.equal(error.Error?.Code ?? error.Code, wanted.code);
  if (wanted.status) assert.equal(error.$metadata.httpStatusCode, wanted.status);
  assert.ok(error.$metadata.requestId);
  return error;
}

const { QueueUrl } = await call('CreateQueue', {
  QueueName: name, Attributes: { VisibilityTimeout: '30' }, tags: { a: '1' },
});
assert.equal((await call('GetQueueUrl', { QueueName: name })).QueueUrl, QueueUrl);
assert.deepEqual((await call('ListQueueTags', { QueueUrl })).Tags, { a: '1' });

const body = 'hé <&> ✓ \u{1f600} \r\n';
const attributes = {
  text: { DataType: 'String', StringValue: 'ü' },
  bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 1, 255]) },
};
const sent = await call('SendMessage', { QueueUrl, MessageBody: body, MessageAttributes: attributes });
const got = await call('ReceiveMessage', {
  QueueUrl, MessageSystemAttributeNames: ['All'], MessageAttributeNames: ['All'], WaitTimeSeconds: 5,
});
assert.equal(got.Messages.length, 1);
assert.equal(got.Messages[0].Body, body);
assert.equal(got.Messages[0].MessageId, sent.MessageId);
assert.deepEqual([...got.Messages[0].MessageAttributes.bytes.BinaryValue], [0, 1, 255]);
assert.equal(got.Messages[0].MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
assert.ok(Number(got.Messages[0].Attributes.SentTimestamp) > 1.6e12);
await call('ChangeMessageVisibility', { QueueUrl, ReceiptHandle: got.Messages[0].ReceiptHandle, VisibilityTimeout: 0 });
const again = await call('ReceiveMessage', { QueueUrl, WaitTimeSeconds: 5, AttributeNames: ['ApproximateReceiveCount'] });
assert.equal(again.Messages[0].Attributes.ApproximateReceiveCount, '2');
await call('DeleteMessage', { QueueUrl, ReceiptHandle: again.Messages[0].ReceiptHandle });
assert.equal((await call('ReceiveMessage', { QueueUrl })).Messages, undefined);

const batch = await call('SendMessageBatch', {
  QueueUrl, Entries: Array.from({ length: 10 }, (_, i) => ({ Id: String(i), MessageBody: `m${i}` })),
});
assert.equal(batch.Successful.length, 10);
const bodies = new Set();
while (bodies.size < 10) {
  const some = await call('ReceiveMessage', { QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 5 });
  for (const message of some.Messages) bodies.add(message.Body);
  const done = await call('DeleteMessageBatch', {
    QueueUrl, Entries: some.Messages.map((m, i) => ({ Id: String(i), ReceiptHandle: m.ReceiptHandle })),
  });
  assert.equal(done.Successful.length, some.Messages.length);
}

const prefix = 'AWS.SimpleQueueService.';
await refused('SendMessage', { QueueUrl: QueueUrl + 'x', MessageBody: 'm' },
  { name: 'QueueDoesNotExist', code: prefix + 'NonExistentQueue', status: 400 });
await refused('SendMessageBatch', { QueueUrl, Entries: [] },
  { name: 'EmptyBatchRequest', code: prefix + 'EmptyBatchRequest' });
await refused('DeleteMessage', { QueueUrl, ReceiptHandle: 'x' }, { name: 'ReceiptHandleIsInvalid' });
await refused('SendMessage', { QueueUrl, MessageBody: 'a\u0001' }, { name: 'InvalidMessageContents' });
await refused('GetQueueAttributes', { QueueUrl, AttributeNames: ['Color'] }, { name: 'InvalidAttributeName' });
const stranger = new sdk.SQSClient({
  endpoint: url, region: 'us-east-1', maxAttempts: 1,
  credentials: { accessKeyId: 'AKIAAAAAAAAAAAAAAAAA', secretAccessKey: 'x' },
});
const error = await stranger.send(new sdk.ListQueuesCommand({})).then(() => null, (reason) => reason);
assert.equal(error.name, 'InvalidClientTokenId');
assert.equal(error.$metadata.httpStatusCode, 403);

const dead = (await call('CreateQueue', { QueueName: name + '-dead' })).QueueUrl;
const arn = (await call('GetQueueAttributes', { QueueUrl: dead, AttributeNames: ['QueueArn'] })).Attributes.QueueArn;
await call('SetQueueAttributes', {
  QueueUrl, Attributes: { VisibilityTimeout: '0', RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 1 }) },
});
await call('SendMessage', { QueueUrl, MessageBody: 'poison' });
assert.equal((await call('ReceiveMessage', { QueueUrl, WaitTimeSeconds: 5 })).Messages.length, 1);
assert.equal((await call('ReceiveMessage', { QueueUrl })).Messages, undefined);
await call('StartMessageMoveTask', { SourceArn: arn });
let task;
do {
  task = (await call('ListMessageMoveTasks', { SourceArn: arn })).Results[0];
} while (task.Status === 'RUNNING');
assert.equal(task.Status, 'COMPLETED');
assert.equal(task.ApproximateNumberOfMessagesMoved, 1);
assert.equal((await call('ReceiveMessage', { QueueUrl, WaitTimeSeconds: 5 })).Messages[0].Body, 'poison');
for (const one of [QueueUrl, dead]) await call('DeleteQueue', { QueueUrl: one });
console.log('all well');
