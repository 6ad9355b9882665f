'use strict';
// Uses many packages of npm, and what Node itself has, in one function: while it is initialised and
// in each call. MAYFLY_TEST_PACKAGES is the folder that holds node_modules.
const path = require('path');
const { createRequire } = require('module');
const need = createRequire(path.join(process.env.MAYFLY_TEST_PACKAGES, 'index.js'));

const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');
const stream = require('stream');
const { promisify } = require('util');
const { Worker } = require('worker_threads');
const zlib = require('zlib');

const names = process.env.MAYFLY_TEST_NAMES.split(',');
const packages = {};
for (const name of names) packages[name] = need(name);

const p = (name) => packages[name];
const check = (good, what) => {
  if (!good) throw new Error(`${what} does not work`);
};

// Optimised code and garbage before the clone.
function sum(count) {
  let total = 0;
  for (let i = 0; i < count; i++) total += (i * 7) % 13;
  return total;
}
const rightSum = sum(3e6);
function churn(rounds) {
  let kept = [];
  for (let i = 0; i < rounds; i++) {
    kept.push(new Array(5000).fill(i).map((x) => ({ x, text: `t${x}` })));
    if (i % 40 === 0) kept = [];
  }
  return kept.length;
}
churn(60);

// Connections to a server of this process's own.
async function withServer(answer, use) {
  const server = http.createServer(answer);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function worker(code) {
  return new Promise((resolve, reject) => {
    let value;
    const made = new Worker(code, { eval: true });
    made.on('message', (message) => (value = message));
    made.on('error', reject);
    made.on('exit', () => resolve(value));
  });
}

const node = {
  async timers() {
    const began = Date.now();
    await Promise.all([5, 10, 20].map((ms) => new Promise((resolve) => setTimeout(resolve, ms))));
    await new Promise((resolve) => setImmediate(resolve));
    check(Date.now() - began >= 19, 'a timer');
  },
  async files() {
    const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'mayfly-packages-'));
    const file = path.join(folder, 'a');
    await fs.promises.writeFile(file, Buffer.alloc(300000, 'a'));
    const zipped = `${file}.gz`;
    await stream.promises.pipeline(
      fs.createReadStream(file),
      zlib.createGzip(),
      fs.createWriteStream(zipped),
    );
    const back = zlib.gunzipSync(await fs.promises.readFile(zipped));
    await fs.promises.rm(folder, { recursive: true });
    check(back.length === 300000, 'a stream');
  },
  async crypto() {
    const key = await promisify(crypto.scrypt)('p', 's', 32);
    const pbkdf = await promisify(crypto.pbkdf2)('p', 's', 1000, 32, 'sha256');
    const pair = await promisify(crypto.generateKeyPair)('ec', { namedCurve: 'P-256' });
    const signed = crypto.sign('sha256', key, pair.privateKey);
    check(crypto.verify('sha256', key, pair.publicKey, signed) && pbkdf.length === 32, 'crypto');
  },
  async zlib() {
    const zipped = await promisify(zlib.brotliCompress)(Buffer.alloc(100000, 'z'));
    check((await promisify(zlib.brotliDecompress)(zipped)).length === 100000, 'brotli');
  },
  async child() {
    const { stdout } = await promisify(childProcess.exec)('echo from a shell');
    check(stdout === 'from a shell\n', 'exec');
    const forked = childProcess.fork(path.join(__dirname, 'packages_child.js'));
    forked.send(1);
    const [answer] = await require('events').once(forked, 'message');
    check(answer === 2, 'fork');
  },
  async workers() {
    const code = `let a = []; for (let i = 0; i < 2e5; i++) { a.push({ i }); if (i % 5e4 === 0) a = []; }
      require('worker_threads').parentPort.postMessage(Math.random())`;
    const made = await Promise.all([worker(code), worker(code)]);
    check(made[0] > 0 && made[0] !== made[1], 'a worker thread');
  },
  async http() {
    await withServer(
      (request, response) => request.pipe(response),
      async (url) => {
        const body = 'b'.repeat(50000);
        const reply = await fetch(url, { method: 'POST', body });
        check((await reply.text()) === body, 'fetch');
      },
    );
  },
  async dns() {
    check((await require('dns').promises.lookup('localhost')).address !== '', 'dns');
  },
  async wasm() {
    const bytes = Buffer.from('0061736d0100000001060160017f017f030201000707010361646400000a09010700200041016a0b', 'hex');
    const { instance } = await WebAssembly.instantiate(bytes);
    check(instance.exports.add(4) === 5, 'WebAssembly');
  },
  async garbage() {
    churn(150);
    check(sum(3e6) === rightSum, 'optimised code');
    const hot = new Function('n', 'let t = 0; for (let i = 0; i < n; i++) t += i % 3; return t');
    check(hot(2e6) === hot(2e6), 'code compiled after the clone');
  },
};

const used = {
  async express() {
    const app = p('express')();
    app.use(p('express').json());
    app.post('/echo', (request, response) => response.json(request.body));
    await withServer(app, async (url) => {
      const { data } = await p('axios').post(`${url}/echo`, { a: 1 });
      check(data.a === 1, 'express');
    });
  },
  async axios() {
    await withServer((_, r) => r.end('{"x":2}'), async (url) => {
      check((await p('axios').get(url)).data.x === 2, 'axios');
    });
  },
  async fastify() {
    const app = p('fastify')();
    app.get('/', async () => ({ hello: 'world' }));
    const reply = await app.inject('/');
    check(reply.json().hello === 'world', 'fastify');
    await app.close();
  },
  async ioredis() {
    const server = net.createServer((s) =>
      s.on('error', () => {}).on('data', (data) => {
        for (const _ of String(data).match(/^\*\d/gm) || []) s.write('+PONG\r\n');
      }),
    );
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const Redis = p('ioredis');
    const client = new Redis({ port: server.address().port, host: '127.0.0.1', enableReadyCheck: false });
    client.on('error', () => {});
    check((await client.ping()) === 'PONG', 'ioredis');
    client.disconnect();
    server.close();
  },
  async pg() {
    const client = new (p('pg').Client)({ host: '127.0.0.1', port: 1, user: 'u', database: 'd' });
    const error = await client.connect().catch((refused) => refused);
    check(error.code === 'ECONNREFUSED', 'pg');
  },
  async ws() {
    const server = new (p('ws').WebSocketServer)({ port: 0, host: '127.0.0.1' });
    server.on('connection', (s) => s.on('message', (m) => s.send(`re ${m}`)));
    await require('events').once(server, 'listening');
    const client = new (p('ws'))(`ws://127.0.0.1:${server.address().port}`);
    await require('events').once(client, 'open');
    client.send('x');
    const [message] = await require('events').once(client, 'message');
    check(String(message) === 're x', 'ws');
    client.terminate();
    server.close();
  },
  async sharp() {
    const image = { create: { width: 64, height: 48, channels: 3, background: 'red' } };
    const small = await p('sharp')(image).resize(16).png().toBuffer({ resolveWithObject: true });
    check(small.info.width === 16 && small.info.height === 12, 'sharp');
  },
  async aws() {
    const options = (endpoint) => ({
      endpoint,
      region: 'eu-local-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      forcePathStyle: true,
      maxAttempts: 1,
    });
    const s3 = p('@aws-sdk/client-s3');
    await withServer(
      (_, r) => r.end('<ListAllMyBucketsResult><Buckets><Bucket><Name>b1</Name></Bucket></Buckets></ListAllMyBucketsResult>'),
      async (url) => {
        const { Buckets } = await new s3.S3Client(options(url)).send(new s3.ListBucketsCommand({}));
        check(Buckets[0].Name === 'b1', 'client-s3');
      },
    );
    const dynamo = p('@aws-sdk/client-dynamodb');
    await withServer((_, r) => r.end('{"TableNames":["t1"]}'), async (url) => {
      const client = new dynamo.DynamoDBClient(options(url));
      check((await client.send(new dynamo.ListTablesCommand({}))).TableNames[0] === 't1', 'dynamodb');
    });
    const sqs = p('@aws-sdk/client-sqs');
    await withServer((_, r) => r.end('{"QueueUrls":["q1"]}'), async (url) => {
      const client = new sqs.SQSClient(options(url));
      check((await client.send(new sqs.ListQueuesCommand({}))).QueueUrls[0] === 'q1', 'sqs');
    });
  },
  async jsonwebtoken() {
    const token = p('jsonwebtoken').sign({ a: 1 }, 'secret', { expiresIn: 60 });
    check(p('jsonwebtoken').verify(token, 'secret').a === 1, 'jsonwebtoken');
  },
  async bcryptjs() {
    check(await p('bcryptjs').compare('x', await p('bcryptjs').hash('x', 4)), 'bcryptjs');
  },
  async logging() {
    const lines = [];
    const sink = new stream.Writable({ write: (c, e, done) => (lines.push(String(c)), done()) });
    p('pino')({}, sink).info('from pino');
    const { createLogger, transports } = p('winston');
    createLogger({ transports: [new transports.Stream({ stream: sink })] }).info('from winston');
    await new Promise((resolve) => setImmediate(resolve));
    check(lines.join('').includes('from pino') && lines.join('').includes('from winston'), 'logs');
  },
  async plain() {
    check(p('lodash').chunk([1, 2, 3], 2).length === 2, 'lodash');
    check(p('zod').z.object({ a: p('zod').z.number() }).parse({ a: 1 }).a === 1, 'zod');
    check(p('dayjs')('2020-01-31').add(1, 'month').format('MM-DD') === '02-29', 'dayjs');
    check(p('moment')('2020-01-31').add(1, 'month').format('MM-DD') === '02-29', 'moment');
    check(p('joi').object({ a: p('joi').number() }).validate({ a: 'x' }).error, 'joi');
    check(!new (p('ajv'))().compile({ type: 'number' })('x'), 'ajv');
    check(p('cheerio').load('<p>t</p>')('p').text() === 't', 'cheerio');
    check(p('yaml').parse('a: [1]').a[0] === 1 && p('dotenv').parse('A=b').A === 'b', 'yaml, dotenv');
    check(p('chalk').red('x').includes('x'), 'chalk');
    check(p('semver').gt('1.2.3', '1.2.2') && p('async').map && p('commander').Command, 'semver');
    check((await p('rxjs').firstValueFrom(p('rxjs').of(3))) === 3, 'rxjs');
  },
};

const unique = () => [
  p('uuid').v4(),
  p('uuid').v1(),
  p('nanoid').nanoid(),
  crypto.randomUUID(),
  String(Math.random()),
];
unique(); // the pools are filled before the clone

exports.handler = async ({ op }) => {
  const began = Date.now();
  const one = node[op] || used[op];
  if (one !== undefined) await one();
  else if (op === 'all' || op === 'node') for (const use of Object.values(node)) await use();
  else await Promise.all([node.timers(), node.crypto(), node.zlib()]);
  if (op === 'all') for (const use of Object.values(used)) await use();
  return { unique: unique(), ms: Date.now() - began, version: process.version, count: names.length };
};
