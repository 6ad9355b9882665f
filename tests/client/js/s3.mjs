// node s3.mjs URL NAME: what a program does with buckets, by @aws-sdk/client-s3.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import * as sdk from '@aws-sdk/client-s3';

const [url, name] = process.argv.slice(2);
const client = new sdk.S3Client({ endpoint: url, region: 'us-east-1', maxAttempts: 1 });
const call = (operation, input) => client.send(new sdk[operation + 'Command'](input));
const Bucket = name;

async function refused(operation, input, wanted, status) {
  const error = await call(operation, input).then(() => null, (reason) => reason);
  assert.ok(error, `${operation} was not refused`);
  assert.equal(error.name, wanted);
  assert.equal(error.$metadata.httpStatusCode, status);
  return error;
}

await call('CreateBucket', { Bucket });
assert.ok((await call('ListBuckets', {})).Buckets.some((one) => one.Name === Bucket));

// The body goes as aws-chunked with a CRC32 behind it, as this SDK does by itself.
const Key = 'dir/ü +&.bin';
const body = randomBytes(200_000);
const put = await call('PutObject', { Bucket, Key, Body: body, Metadata: { colour: 'blue' }, ContentType: 'x/y' });
assert.ok(put.ChecksumCRC32);
const got = await call('GetObject', { Bucket, Key, ChecksumMode: 'ENABLED' });
assert.equal(got.ChecksumCRC32, put.ChecksumCRC32);
assert.deepEqual(Buffer.from(await got.Body.transformToByteArray()), body);
assert.deepEqual(got.Metadata, { colour: 'blue' });
assert.equal(got.ContentType, 'x/y');
assert.equal(got.ContentEncoding, undefined, 'aws-chunked is no property of the object');

for (const ChecksumAlgorithm of ['CRC32C', 'SHA1', 'SHA256', 'CRC32']) {
  const Body = Readable.from([body.subarray(0, 70_000), body.subarray(70_000)]);
  const sent = await call('PutObject', { Bucket, Key: ChecksumAlgorithm, Body, ContentLength: body.length, ChecksumAlgorithm });
  assert.equal(sent.ETag, put.ETag);
  assert.ok(sent['Checksum' + ChecksumAlgorithm]);
}
await refused('PutObject', { Bucket, Key: 'bad', Body: 'x', ChecksumCRC32: 'AAAAAA==' }, 'BadDigest', 400);

const range = await call('GetObject', { Bucket, Key, Range: 'bytes=10-19' });
assert.equal(range.ContentRange, `bytes 10-19/${body.length}`);
assert.deepEqual(Buffer.from(await range.Body.transformToByteArray()), body.subarray(10, 20));

await call('PutObject', { Bucket, Key: 'once', Body: 'first', IfNoneMatch: '*' });
await refused('PutObject', { Bucket, Key: 'once', Body: 'second', IfNoneMatch: '*' }, 'PreconditionFailed', 412);

const first = randomBytes(5 << 20);
const second = randomBytes(1234);
const upload = { Bucket, Key: 'parts', UploadId: (await call('CreateMultipartUpload', { Bucket, Key: 'parts', ChecksumAlgorithm: 'CRC32' })).UploadId };
const Parts = [];
for (const [index, Body] of [first, second].entries()) {
  const part = await call('UploadPart', { ...upload, PartNumber: index + 1, Body, ChecksumAlgorithm: 'CRC32' });
  Parts.push({ PartNumber: index + 1, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32 });
}
const done = await call('CompleteMultipartUpload', { ...upload, MultipartUpload: { Parts } });
assert.match(done.ETag, /-2"$/);
assert.match(done.ChecksumCRC32, /-2$/);
const whole = await call('GetObject', { Bucket, Key: 'parts' });
assert.deepEqual(Buffer.from(await whole.Body.transformToByteArray()), Buffer.concat([first, second]));

const keys = [];
for await (const page of sdk.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket })) {
  keys.push(...(page.Contents ?? []).map((one) => one.Key));
}
assert.deepEqual(keys, ['CRC32', 'CRC32C', 'SHA1', 'SHA256', Key, 'once', 'parts'].sort());
const top = await call('ListObjectsV2', { Bucket, Delimiter: '/' });
assert.deepEqual(top.CommonPrefixes, [{ Prefix: 'dir/' }]);

await refused('GetObject', { Bucket, Key: 'none' }, 'NoSuchKey', 404);
await refused('HeadObject', { Bucket, Key: 'none' }, 'NotFound', 404);
await refused('ListObjectsV2', { Bucket: name + '-none' }, 'NoSuchBucket', 404);
await refused('DeleteBucket', { Bucket }, 'BucketNotEmpty', 409);
await refused('GetBucketPolicy', { Bucket }, 'NoSuchBucketPolicy', 404);
await refused('PutBucketPolicy', { Bucket, Policy: '{}' }, 'NotImplemented', 501);

// BUCKET.localhost, which the SDK does for every address that is no IP.
const hosted = new sdk.S3Client({ endpoint: url.replace('127.0.0.1', 'localhost'), region: 'us-east-1', maxAttempts: 1 });
const head = await hosted.send(new sdk.HeadObjectCommand({ Bucket, Key })).catch((error) => {
  if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') return null; // no such names on this machine
  throw error;
});
assert.ok(head === null || head.ContentLength === body.length);

const removed = await call('DeleteObjects', { Bucket, Delete: { Objects: keys.map((one) => ({ Key: one })) } });
assert.equal(removed.Deleted.length, keys.length);
await call('DeleteBucket', { Bucket });
console.log('all well');
