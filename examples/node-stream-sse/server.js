'use strict';

const http = require('http');

// Server-sent events: one every 200 ms until the count is reached or the reader is gone.
const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  const count = Math.min(Number(url.searchParams.get('count') || 5), 100);
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  let number = 0;
  const timer = setInterval(() => {
    number += 1;
    res.write(`id: ${number}\ndata: ${new Date().toISOString()}\n\n`);
    if (number >= count) res.end();
  }, 200);
  res.on('close', () => clearInterval(timer));
});

server.listen(process.env.PORT || 3000);
