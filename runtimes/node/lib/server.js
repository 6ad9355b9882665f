'use strict';
// What the servers of all models have in common: the streams that are open, how they end, and how
// the process ends.

const logs = require('./logs');
const { HTTP, ERROR, END } = require('./frames');
const { ResponseBody } = require('./body');
const { stage, answered } = require('./state');
const { fault, describe, logText, logTextOf, cancelledFault } = require('./errors');

// One invocation; also a log writer (stream, partial).
class Call {
  constructor(server, stream, metaText) {
    this.server = server;
    this.stream = stream;
    this.metaText = metaText;
    this.id = undefined;
    this.partial = null;
    this.done = false;
    this.cancelled = false;
    this.body = null; // ResponseBody, once there is one
    this.watched = false; // its promise was looked at and not settled yet
    this.answering = false; // its result is there
    this.result = undefined; // { error, value } of a callback
    this.output = undefined; // the stream of a streaming handler
    this.effects = null; // what it has staged
  }

  // For the log; parsed when it is first asked for.
  get requestId() {
    if (this.id === undefined) this.id = JSON.parse(this.metaText).id || '';
    return this.id;
  }

  response() {
    if (this.body === null) {
      this.body = new ResponseBody(this.server.channel, this.stream, () => stage(this));
    }
    return this.body;
  }
}

class Server {
  constructor(app) {
    this.app = app;
    this.channel = null;
    this.calls = new Map();
    this.background = 0; // work after an answer that shutdown waits for
    this.closing = false;
    this.questions = new Map(); // number -> { resolve, reject }
    this.asked = 0;
  }

  nextQuestion() {
    this.asked = (this.asked + 1) >>> 0;
    return this.asked;
  }

  answer(number, text) {
    answered(this, number, text);
  }

  questionsChanged() {}

  start(channel) {
    this.channel = channel;
  }

  window(stream, count) {
    const call = this.calls.get(stream);
    if (call !== undefined && call.body !== null) call.body.addCredit(count);
  }

  // Ends a call that went well. The end of its response has been sent.
  finish(call) {
    if (call.done) return;
    call.done = true;
    if (call.partial !== null) logs.finish(call);
    this.calls.delete(call.stream);
    this.settled();
  }

  fail(call, error, text = logText(error)) {
    if (call.done) return;
    if (call.partial !== null) logs.finish(call);
    if (!call.cancelled) logs.emit(call, 2, text);
    call.response().fail(error);
    this.finish(call);
  }

  failThrown(call, thrown) {
    const error = describe(thrown);
    this.fail(call, error, this.textOf('Invoke Error', thrown, error));
  }

  // What the log shows of something that was thrown.
  textOf(title, thrown, error) {
    return logTextOf(thrown, error);
  }

  refuse(stream, message) {
    this.channel.json(stream, ERROR, fault('Runtime.ProtocolError', message), END);
  }

  cancelCall(call) {
    call.cancelled = true;
    this.fail(call, cancelledFault());
  }

  // Everything that runs fails: the process is about to end.
  failAll(error, text) {
    logs.emit(logs.writer(), 2, text);
    for (const call of [...this.calls.values()]) {
      call.cancelled = true; // logged once already
      this.fail(call, error);
    }
  }

  settled() {
    if (this.closing && this.calls.size === 0 && this.background === 0) this.leave(0);
  }

  shutdown() {
    this.closing = true;
    this.settled();
  }

  leave(code) {
    if (logs.state.process.partial !== null) logs.finish(logs.state.process);
    const { socket } = this.channel;
    this.channel.flush();
    if (socket.writableLength === 0) process.exit(code);
    socket.write(Buffer.alloc(0), () => process.exit(code));
  }

  closed(error) {
    if (error !== null && error.code === undefined) {
      process.stderr.write(`mayfly: protocol error: ${error.message}\n`);
      process.exit(1);
    }
    process.exit(0); // the engine is gone
  }
}

// Cuts an invoke payload at [at, end) of buffer.
function cutInvoke(buffer, at, end, flags) {
  const n = buffer.readUInt32LE(at);
  const m = buffer.readUInt32LE(at + 4 + n);
  const headAt = at + 8 + n;
  return {
    metaText: buffer.utf8Slice(at + 4, at + 4 + n),
    headText: flags & HTTP ? buffer.utf8Slice(headAt, headAt + m) : '',
    body: buffer.subarray(headAt + m, end),
  };
}

module.exports = { Server, Call, cutInvoke };
