'use strict';
// Opens the channel, picks the server of the model, and says what happens when something is thrown
// that nobody catches.

const fs = require('fs');
const logs = require('./logs');
const { InitError, fault, describe, logTextOf, isError, traceOf } = require('./errors');
const { Channel, READY, INIT_ERROR } = require('./frames');

// The server class for an app. Loads it: part of initialisation.
function serverOf(app) {
  if (app.kind === 'event') return require('./event').EventServer;
  if (app.kind === 'listener') return require('./listener').ListenerServer;
  return require('./fetch').FetchServer;
}

function readyOf(app) {
  return {
    model: app.kind === 'event' ? 'event' : 'http',
    handler: app.handler,
    runtime: `Node.js ${process.versions.node}`,
    concurrency: app.concurrency,
    notes: app.notes,
  };
}

// The server of app and its channel, which take no part in anything yet: a template makes them for
// its clones, each of which has a channel of its own in the place of fd.
function prepare(app, fd) {
  const server = new (serverOf(app))(app);
  return { server, channel: new Channel(fd, server) };
}

// From here on output and exceptions are those of calls; frames come with channel.begin().
function start({ server, channel }) {
  logs.openChannel(channel);
  server.start(channel);
  process.on('exit', () => channel.flushSync());
  dieOfUncaught(server);
}

// The server of app, on its channel.
function open(app, fd) {
  const serving = prepare(app, fd);
  start(serving);
  serving.channel.begin();
  return serving.server;
}

// ready: see main.js
function serve(app, fd, ready) {
  const { channel } = open(app, fd);
  channel.json(0, READY, { ...readyOf(app), ...ready });
}

// Sends ready for a template, which opens no channel: that is for its clones.
function announce(app, fd, ready) {
  writeFrame(fd, READY, { ...readyOf(app), ...ready });
}

function rejectionFault(reason) {
  const text = isError(reason)
    ? `${reason.name}: ${reason.message}`
    : describe(reason).errorMessage;
  return fault('Runtime.UnhandledPromiseRejection', text, isError(reason) ? traceOf(reason) : []);
}

// As an Error, for the log.
function rejectionOf(reason, error) {
  const made = new Error(error.errorMessage);
  made.name = error.errorType;
  made.reason = reason;
  return made;
}

// As on AWS, what runs fails and the process ends. Apps with listeners of their own for these
// events have said that they want to go on.
function dieOfUncaught(server) {
  const end = (error, text) => {
    server.failAll(error, text);
    server.leave(1);
  };
  const others = (event) => server.app.kind !== 'event' && process.listenerCount(event) > 1;
  process.on('uncaughtException', (thrown, origin) => {
    if (origin === 'uncaughtException' && others('uncaughtException')) return;
    const error = describe(thrown);
    end(error, server.textOf('Uncaught Exception', thrown, error));
  });
  process.on('unhandledRejection', (reason) => {
    if (others('unhandledRejection')) return;
    const error = rejectionFault(reason);
    end(error, server.textOf('Unhandled Promise Rejection', rejectionOf(reason, error), error));
  });
}

// ---- before serving

// Watches over initialisation: what is thrown outside of the import itself, an exit, and an import
// that never ends. Returns the function that ends the watch.
function guardInitialisation(fd) {
  const thrown = (error) => reportInitError(error, fd);
  const rejected = (reason) => reportInitError(new InitError(rejectionFault(reason)), fd);
  const exited = (code) => {
    const message = `The function called process.exit(${code}) while it was initialised`;
    writeInitError(new InitError(fault('Runtime.ExitError', message)), fd);
  };
  const idle = () => {
    // Others wait for this moment as well (an app that may still listen): they come first.
    setImmediate(() => {
      if (!released) {
        const message = 'Initialisation never ends: it awaits what cannot happen';
        reportInitError(new InitError(fault('Runtime.InitError', message)), fd);
      }
    });
  };
  let released = false;
  const on = { uncaughtException: thrown, unhandledRejection: rejected, exit: exited };
  for (const [event, listener] of Object.entries(on)) process.on(event, listener);
  process.once('beforeExit', idle);
  return () => {
    released = true;
    process.removeListener('beforeExit', idle);
    for (const [event, listener] of Object.entries(on)) process.removeListener(event, listener);
  };
}

let reported = false;

function writeInitError(error, fd) {
  if (reported) return;
  reported = true;
  process.stderr.write(error.text);
  if (logs.state.process.partial !== null) logs.finish(logs.state.process);
  writeFrame(fd, INIT_ERROR, error.error);
}

// Without a channel: synchronously, to the end or for a second.
function writeFrame(fd, type, value) {
  const payload = Buffer.from(JSON.stringify(value));
  const header = Buffer.alloc(12);
  header.writeUInt32LE(payload.length, 0);
  header[8] = type;
  let data = Buffer.concat([header, payload]);
  const until = Date.now() + 1000;
  while (data.length > 0 && Date.now() < until) {
    try {
      data = data.subarray(fs.writeSync(fd, data));
    } catch (failure) {
      if (failure.code !== 'EAGAIN') return; // the engine is gone
    }
  }
}

// Tells the engine that initialisation failed, and ends the process.
function reportInitError(thrown, fd) {
  let error = thrown;
  if (!(thrown instanceof InitError)) {
    const described = describe(thrown);
    error = new InitError(described, logTextOf(thrown, described));
  }
  writeInitError(error, fd);
  process.exit(1);
}

module.exports = { serve, open, prepare, start, announce, serverOf, reportInitError, guardInitialisation };
