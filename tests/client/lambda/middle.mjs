// Middy around handlers, from node_modules, as an ES module with top-level await.
import { setTimeout as pause } from 'node:timers/promises';
import middy from '@middy/core';
import cors from '@middy/http-cors';
import errors from '@middy/http-error-handler';
import body from '@middy/http-json-body-parser';

const limits = await pause(1, { most: 10 });

export const order = middy()
  .use(body())
  .use(cors({ origin: 'https://shop.example.test' }))
  .use(errors({ logger: false }))
  .handler(async ({ body: asked }) => {
    if (asked.amount > limits.most) throw Object.assign(new Error(`at most ${limits.most}`), { statusCode: 409, expose: true });
    return { statusCode: 201, body: JSON.stringify({ taken: asked.amount }) };
  });

const steps = [];
export const ordered = middy(
  async () => {
    steps.push('handler');
    return [...steps];
  },
)
  .before(() => void steps.splice(0, steps.length, 'before'))
  .after((request) => void request.response.push('after'));

export const rescued = middy(async (event) => {
  if (event.fail) throw new TypeError('fails');
  return 'well';
}).onError(async (request) => `rescued from ${request.error.name}`);

export const hurried = middy({ timeoutEarlyInMillis: 500, timeoutEarlyResponse: () => 'too late' }).handler(
  async (event, context, { signal }) => pause(60_000, 'slept', { signal }).catch(() => new Promise(() => {})),
);

export const streamed = middy({ streamifyResponse: true }).handler(async () => ({
  statusCode: 200,
  headers: { 'Content-Type': 'text/csv' },
  body: 'a,b\n1,2\n',
}));
