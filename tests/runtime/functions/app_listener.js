'use strict';
// The (req, res) listener of the conformance suite.

const fs = require('fs');

const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function read(req) {
  const pieces = [];
  for await (const piece of req) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function blocks(res, count, size) {
  res.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  for (let number = 0; number < count; number++) {
    if (!res.write(Buffer.alloc(size, 'b'))) await new Promise((resolve) => res.once('drain', resolve));
  }
  res.end();
}

function show(req, res, url) {
  const text = JSON.stringify({
    method: req.method,
    path: decodeURIComponent(url.pathname),
    query: url.search.slice(1),
    base: req.headers['x-forwarded-prefix'] || '',
    remote: req.socket.remoteAddress,
    host: req.headers.host,
    accept: req.headers.accept ?? null,
    cookie: req.headers.cookie ?? null,
    twice: req.headers['x-twice'] ?? null,
  });
  res.setHeader('Content-Type', 'text/plain');
  res.end(text);
}

module.exports = async function app(req, res) {
  const url = new URL(req.url, 'http://localhost');
  const query = Object.fromEntries(url.searchParams);
  switch (url.pathname) {
    case '/echo':
      return res.end(await read(req));
    case '/count': {
      let total = 0;
      for await (const piece of req) total += piece.length;
      return res.end(String(total));
    }
    case '/ignore':
      return res.end('ignored');
    case '/cookies':
      res.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2']);
      res.setHeader('X-Many', ['1', '2']);
      res.writeHead(202, { 'Content-Type': 'text/plain' });
      return res.end();
    case '/empty':
      res.statusCode = 204;
      return res.end();
    case '/sse':
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write('data: 1\n\n');
      await fs.promises.readFile(query.gate);
      res.write('data: 2\n\n');
      return res.end();
    case '/blocks':
      return blocks(res, Number(query.count), Number(query.size));
    case '/throw':
      throw new RangeError('thrown');
    case '/broken':
      res.writeHead(200, { 'Content-Type': 'text/plain' });
      res.write('before');
      await wait(0.01);
      throw new RangeError('in the middle');
    case '/log':
      console.log('out', query.name);
      console.error('err', query.name);
      do await wait(Number(query.seconds || 0.005));
      while (query.until && !fs.existsSync(query.until));
      console.log('done', query.name);
      return res.end(query.name);
    case '/disconnect':
      res.on('close', () => console.log('saw the disconnect'));
      return res.write('waiting');
    default:
      return show(req, res, url);
  }
};
