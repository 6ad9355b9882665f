// Node handlers of the events that other services send, as an ES module that awaits at its top.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

const source = await readFile(new URL(import.meta.url));
const digest = createHash('sha256').update(source).digest('hex');

export const topLevelAwait = async () => digest.length;

export const sqs = async ({ Records }) => {
  const results = await Promise.allSettled(
    Records.map(async ({ body }) => {
      if (JSON.parse(body).amount < 0) throw new Error('negative');
    }),
  );
  return {
    batchItemFailures: results.flatMap(({ status }, at) =>
      status === 'rejected' ? [{ itemIdentifier: Records[at].messageId }] : [],
    ),
  };
};

async function* pages(count) {
  for (let page = 1; page <= count; page++) {
    await sleep(1);
    yield [page * 10, page * 10 + 1];
  }
}

export const paginated = async ({ count }) => {
  const all = [];
  for await (const page of pages(count)) all.push(...page);
  return all;
};

export const schedule = async ({ time }) => new Date(time).getUTCDay();

export const logs = async ({ awslogs }) =>
  JSON.parse(gunzipSync(Buffer.from(awslogs.data, 'base64'))).logEvents.map(({ message }) => message);

export const kinesis = async ({ Records }) =>
  Records.map(({ kinesis: { data } }) => Buffer.from(data, 'base64').toString());

export const authorizer = async ({ headers }) => ({
  isAuthorized: headers.authorization === 'Bearer open',
  context: { tier: 'gold' },
});

export const timedOut = async (event, context) => {
  const left = context.getRemainingTimeInMillis();
  return left > 0 && left <= 60000;
};

export const stream = awslambda.streamifyResponse(async (event, response) => {
  const out = awslambda.HttpResponseStream.from(response, {
    statusCode: 200,
    headers: { 'Content-Type': 'text/event-stream' },
  });
  for (let i = 0; i < 3; i++) {
    out.write(`data: ${i}\n\n`);
    await sleep(1);
  }
  out.end();
});

export const custom = async () => {
  class QuotaError extends Error {
    name = 'QuotaError';
  }
  throw new QuotaError('no more');
};

export default { paginated };
