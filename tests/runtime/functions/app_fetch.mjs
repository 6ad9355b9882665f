// The fetch handler of the conformance suite.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const encoder = new TextEncoder();

function streamOf(pieces) {
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value);
    },
    cancel() {
      return pieces.return();
    },
  });
}

async function* trickle(gate) {
  yield 'data: 1\n\n';
  await readFile(gate);
  yield 'data: 2\n\n';
}

async function* blocks(count, size) {
  for (let number = 0; number < count; number++) yield new Uint8Array(size).fill(98);
}

async function* broken() {
  yield 'before';
  await wait(0.01);
  throw new RangeError('in the middle');
}

function show(request, url) {
  const { headers } = request;
  const text = JSON.stringify({
    method: request.method,
    path: decodeURIComponent(url.pathname),
    query: url.search.slice(1),
    base: headers.get('x-forwarded-prefix') || '',
    remote: null,
    host: url.host,
    accept: headers.get('accept'),
    cookie: headers.get('cookie'),
    twice: headers.get('x-twice'),
  });
  return new Response(text, { headers: { 'content-type': 'text/plain', 'content-length': text.length } });
}

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const query = Object.fromEntries(url.searchParams);
    switch (url.pathname) {
      case '/echo':
        return new Response(await request.arrayBuffer());
      case '/count': {
        let total = 0;
        for await (const piece of request.body) total += piece.length;
        return new Response(String(total));
      }
      case '/ignore':
        return new Response('ignored');
      case '/cookies': {
        const headers = new Headers([['set-cookie', 'a=1; Path=/'], ['set-cookie', 'b=2'], ['x-many', '1']]);
        headers.append('x-many', '2');
        return new Response('', { status: 202, headers });
      }
      case '/empty':
        return new Response(null, { status: 204 });
      case '/sse':
        return new Response(streamOf(trickle(query.gate)), { headers: { 'content-type': 'text/event-stream' } });
      case '/blocks':
        return new Response(streamOf(blocks(Number(query.count), Number(query.size))));
      case '/throw':
        throw new RangeError('thrown');
      case '/broken':
        return new Response(streamOf(broken()));
      case '/log':
        console.log('out', query.name);
        console.error('err', query.name);
        do await wait(Number(query.seconds || 0.005));
        while (query.until && !existsSync(query.until));
        console.log('done', query.name);
        return new Response(query.name);
      case '/disconnect':
        request.signal.addEventListener('abort', () => console.log('saw the disconnect'));
        return new Response(streamOf((async function* () {
          yield 'waiting';
          await new Promise(() => {});
        })()));
      case '/later':
        ctx.waitUntil(wait(0.05).then(() => console.log('finished later')));
        return new Response('now');
      default:
        return show(request, url);
    }
  },
};
