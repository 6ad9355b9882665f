'use strict';
// A template answers a few invocations before it is cloned, with a handler that does nothing: what
// V8 compiles and Node sets up at the first use of the runtime's own code is then there in every
// clone. Nothing of the user's runs.

const fs = require('fs');
const logs = require('./logs');
const { INVOKE, REPLY, END, HTTP } = require('./frames');
const { STREAMING } = require('./awslambda');
const { leavesOutContext } = require('./event');

const ROUNDS = 3;
const ROUND_MS = 500; // a rehearsal that gets stuck is given up

const turn = () => new Promise((resolve) => setImmediate(resolve));

// A handler with the traits by which EventServer chooses its way.
function eventHandler(real) {
  let handler;
  if (real[STREAMING] === 'response') {
    handler = async (event, stream, context) => stream.end(JSON.stringify(context !== undefined));
    handler[STREAMING] = 'response';
  } else if (real.length >= 3) {
    handler = (event, context, callback) => {
      context.callbackWaitsForEmptyEventLoop = false;
      callback(null, event);
    };
  } else if (real.constructor.name === 'AsyncFunction') {
    // By its source EventServer sees whether it is to make the context at once.
    handler = leavesOutContext(real) ? async (event) => event : async (...args) => args[0];
  } else {
    handler = (...args) => Promise.resolve(args[0]);
  }
  Object.defineProperty(handler, 'length', { value: real.length });
  return handler;
}

function targetOf(app) {
  if (app.kind === 'event') return eventHandler(app.target);
  if (app.kind === 'listener') {
    return (request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(request.headers));
    };
  }
  return { fetch: async (request) => Response.json({ url: request.url }) };
}

const HEAD = {
  method: 'GET',
  path: '/',
  query: '',
  version: '1.1',
  scheme: 'http',
  remote: '127.0.0.1',
  base: '/function/rehearsal',
  headers: [['host', 'localhost']],
};

function invokeFrame(app, stream) {
  const meta = Buffer.from(JSON.stringify({ id: 'rehearsal', deadline_ms: Date.now() }));
  const http = app.kind !== 'event';
  const head = Buffer.from(http ? JSON.stringify(HEAD) : '');
  const body = Buffer.from(http ? '' : '{"rehearsal":true}');
  const size = 8 + meta.length + head.length + body.length;
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(size, 0);
  fixed.writeUInt32LE(stream, 4);
  fixed[8] = INVOKE;
  fixed[9] = http ? END | HTTP : END;
  fixed.writeUInt32LE(meta.length, 12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length, 0);
  return Buffer.concat([fixed, meta, length, head, body]);
}

// The type of the first frame that comes, 0 when none does.
async function answered(fd) {
  const frame = Buffer.alloc(4096);
  const until = Date.now() + ROUND_MS;
  while (Date.now() < until) {
    await turn();
    try {
      if (fs.readSync(fd, frame) > 8) return frame[8];
    } catch (error) {
      if (error.code !== 'EAGAIN') return 0;
    }
  }
  return 0;
}

const WATCHED = ['exit', 'beforeExit', 'uncaughtException', 'unhandledRejection'];

// pair: two connected sockets. open: serve.js's. Resolves with how many rounds were answered.
async function rehearse(app, [ours, theirs], open) {
  const listeners = WATCHED.map((event) => process.rawListeners(event));
  const server = open({ ...app, target: targetOf(app) }, theirs);
  server.closed = () => {};
  let rounds = 0;
  while (rounds < ROUNDS) {
    fs.writeSync(ours, invokeFrame(app, rounds + 1));
    if ((await answered(ours)) !== REPLY) break;
    rounds++;
  }
  if (server.watching) clearTimeout(server.watching); // else it would be every clone's
  const { socket } = server.channel;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.destroy();
  fs.closeSync(ours);
  await closed;
  Object.assign(logs.state, { channel: null, sole: null, storage: null });
  WATCHED.forEach((event, i) => {
    for (const added of process.rawListeners(event)) {
      if (!listeners[i].includes(added)) process.removeListener(event, added);
    }
  });
  return rounds;
}

module.exports = { rehearse, ROUNDS };
