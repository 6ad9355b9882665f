'use strict';
// Serves event handlers: async, promise, callback, streaming.

const logs = require('./logs');
const { END, HTTP, ERROR, INITIAL_WINDOW } = require('./frames');
const { Server, Call, cutInvoke } = require('./server');
const { ResponseStream, STREAMING, HIGH_WATER_MARK } = require('./awslambda');
const { lambdaHead, bytesOf } = require('./body');
const { makeContext } = require('./context');
const { errorLine, setLambda } = require('./console');
const { stage } = require('./state');
const { fault, describe, cancelledFault } = require('./errors');

const WATCH_MS = 50;

// True when the handler cannot look at a context: it names no second parameter, nor any that take
// the rest.
function leavesOutContext(handler) {
  if (handler.length > 1) return false;
  const source = Function.prototype.toString.call(handler);
  const head =
    /^(?:async\s*)?(?:function\s*\w*\s*)?(?:\w+|\(\s*(?:\w+|\{[\w\s,]*\})?\s*\))\s*(?:=>|\{)/;
  return head.test(source) && !/\barguments\b/.test(source);
}

function nodeExit(server) {
  const error = new Error(
    'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly ' +
      'caused by a Promise that was never settled. For more information, see ' +
      'https://nodejs.org/docs/latest/api/process.html#exit-codes',
  );
  error.name = 'Runtime.NodeJsExit';
  const described = describe(error);
  return [described, server.textOf('Invoke Error', error, described)];
}

class EventServer extends Server {
  constructor(app) {
    super(app);
    this.handler = app.target;
    this.limit = app.concurrency || 1;
    this.waiting = []; // complete invokes beyond the limit: [stream, metaText, body text]
    this.incoming = new Map(); // stream -> { metaText, parts }
    this.running = 0;
    this.streaming = this.handler[STREAMING] === 'response';
    this.declared = this.streaming || !leavesOutContext(this.handler);
    this.usesCallback = !this.streaming && this.handler.length >= 3;
    this.isAsync = this.handler.constructor.name === 'AsyncFunction';
    this.watching = null; // timer that looks after a promise which may never be settled
    this.storage = null;
    this.draining = null; // the call that waits for the event loop to be empty
    this.trace = undefined;
  }

  start(channel) {
    setLambda(true);
    super.start(channel);
    if (this.limit > 1) {
      const { AsyncLocalStorage } = require('async_hooks');
      this.storage = logs.state.storage = new AsyncLocalStorage();
    } else {
      process.on('beforeExit', () => this.drained());
    }
  }

  // ---- frames

  invoke(stream, flags, buffer, at, end) {
    if (flags !== END) {
      this.invokeInPieces(stream, flags, buffer, at, end);
      return;
    }
    const n = buffer.readUInt32LE(at);
    const metaText = buffer.utf8Slice(at + 4, at + 4 + n);
    const text = buffer.utf8Slice(at + 8 + n, end);
    if (this.running < this.limit) this.call(stream, metaText, text);
    else this.waiting.push([stream, metaText, text]);
  }

  invokeInPieces(stream, flags, buffer, at, end) {
    if (flags & HTTP) {
      this.refuse(stream, 'an HTTP request came to an event handler');
      return;
    }
    const { metaText, body } = cutInvoke(buffer, at, end, flags);
    this.incoming.set(stream, { metaText, parts: [Buffer.from(body)] });
    if (body.length > 0) this.channel.window(stream, body.length);
  }

  data(stream, flags, payload) {
    const incoming = this.incoming.get(stream);
    if (incoming === undefined) return;
    incoming.parts.push(payload);
    if (!(flags & END)) {
      this.channel.window(stream, payload.length);
      return;
    }
    this.incoming.delete(stream);
    this.waiting.push([stream, incoming.metaText, Buffer.concat(incoming.parts).toString()]);
    this.next();
  }

  cancel(stream) {
    const call = this.calls.get(stream);
    if (call !== undefined) {
      // The handler cannot be stopped; its slot is free when it has ended.
      call.cancelled = true;
      if (call.body !== null) call.body.drop();
      if (call.output !== undefined) call.output.destroy();
      return;
    }
    const at = this.waiting.findIndex((item) => item[0] === stream);
    if (at >= 0) this.waiting.splice(at, 1);
    if (at >= 0 || this.incoming.delete(stream)) {
      this.channel.json(stream, ERROR, cancelledFault(), END);
    }
  }

  settled() {
    if (this.waiting.length === 0 && this.incoming.size === 0) super.settled();
  }

  // ---- calling

  call(stream, metaText, text) {
    const call = new Call(this, stream, metaText);
    this.calls.set(stream, call);
    this.running++;
    if (this.storage === null) {
      logs.state.sole = call;
      this.run(call, text);
    } else {
      this.storage.run(call, this.run, call, text, this);
    }
  }

  run(call, text, self = this) {
    let event;
    try {
      event = text === '' ? {} : JSON.parse(text);
    } catch (error) {
      self.fail(
        call,
        fault('Runtime.UnmarshalError', `Unable to unmarshal input: ${error.message}`),
      );
      return;
    }
    if (self.storage === null) self.setTrace(call.metaText);
    const context = makeContext(call, self.declared);
    if (self.streaming) self.runStreaming(call, event, context);
    else self.runPlain(call, event, context);
  }

  runPlain(call, event, context) {
    let result;
    try {
      if (this.isAsync && !this.usesCallback) {
        result = this.handler(event, context);
      } else {
        const complete = (error, value) => this.called(call, context, error, value);
        result = this.handler(event, context, complete);
      }
    } catch (error) {
      this.rejected(call, error);
      return;
    }
    if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
      result.then(
        (value) => this.fulfilled(call, value),
        (error) => this.rejected(call, error),
      );
      this.watch();
    } else if (result !== undefined && !this.usesCallback) {
      this.fulfilled(call, result);
    } else if (!call.done && call.result === undefined) {
      this.waitForLoop(call);
    }
  }

  // When a promise is not settled and nothing is left that could settle it, the call is over.
  watch() {
    if (this.watching !== null || this.storage !== null) return;
    this.watching = setTimeout(() => {
      this.watching = null;
      const [call] = this.calls.values();
      if (call === undefined || call.answering || this.draining !== null) return;
      if (call.watched) this.waitForLoop(call);
      else {
        call.watched = true;
        this.watch();
      }
    }, WATCH_MS);
    this.watching.unref();
  }

  setTrace(metaText) {
    let trace = '';
    if (!metaText.includes('"trace":""') && metaText.includes('"trace"')) {
      trace = JSON.parse(metaText).trace || '';
    }
    if (trace === this.trace) return;
    if (trace !== '') process.env._X_AMZN_TRACE_ID = trace;
    else delete process.env._X_AMZN_TRACE_ID;
    this.trace = trace;
  }

  // callback(), context.done() and the like. Only the first counts.
  called(call, context, error, value) {
    if (call.result !== undefined || call.done) return;
    call.result = { error, value };
    if (context.callbackWaitsForEmptyEventLoop && this.storage === null) this.waitForLoop(call);
    else this.complete(call);
  }

  complete(call) {
    const { error, value } = call.result || {};
    if (error !== undefined && error !== null) this.rejected(call, error);
    else this.fulfilled(call, value);
  }

  // As on AWS, the answer of a callback leaves when nothing is left to be done: the channel stops
  // counting as work, and Node says beforeExit.
  waitForLoop(call) {
    if (this.storage !== null) return; // several run: there is no such moment
    this.draining = call;
    this.questionsChanged();
  }

  // An answer that is waited for is work.
  questionsChanged() {
    if (this.draining === null) return;
    if (this.questions.size === 0) this.channel.socket.unref();
    else this.channel.socket.ref();
  }

  drained() {
    const call = this.draining;
    this.channel.socket.ref();
    this.draining = null;
    if (call === null || call.done) return;
    if (call.output !== undefined) call.output.end();
    else if (call.result === undefined && this.isAsync) this.fail(call, ...nodeExit(this));
    else this.complete(call);
  }

  // ---- results

  release(call) {
    this.running--;
    if (logs.state.sole === call) logs.state.sole = null;
    if (this.draining === call) {
      this.draining = null;
      this.channel.socket.ref();
    }
  }

  fulfilled(call, value) {
    if (call.done) return;
    call.answering = true;
    if (call.cancelled) {
      this.fail(call, cancelledFault());
      return;
    }
    if (typeof value === 'object' && value !== null && this.streamed(call, value)) return;
    let text;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      const message = `Unable to stringify response body: ${error.message}`;
      this.fail(call, fault('Runtime.MarshalError', message));
      return;
    }
    if (text === undefined) text = 'null';
    if (call.partial !== null) logs.finish(call);
    if (text.length * 3 <= INITIAL_WINDOW) {
      if (call.effects !== null) stage(call);
      this.channel.result(call.stream, text);
      this.finish(call);
      return;
    }
    const body = call.response();
    body.onOver = () => this.finish(call);
    body.end(Buffer.from(text));
  }

  textOf(title, thrown, error) {
    return errorLine(title, thrown, error.trace);
  }

  rejected(call, error) {
    if (call.done) return;
    if (call.cancelled) this.fail(call, cancelledFault());
    else this.failThrown(call, error);
  }

  finish(call) {
    if (call.done) return;
    this.release(call);
    super.finish(call);
    this.next();
  }

  next() {
    while (this.waiting.length > 0 && this.running < this.limit) this.call(...this.waiting.shift());
  }

  // ---- streamed results

  runStreaming(call, event, context) {
    const body = call.response();
    const stream = new ResponseStream(body, this.handler[HIGH_WATER_MARK]);
    call.output = stream;
    stream.on('error', (error) => this.rejected(call, error));
    stream.on('finish', () => this.finish(call));
    let result;
    try {
      result = this.handler(event, stream, context);
    } catch (error) {
      this.rejected(call, error);
      return;
    }
    Promise.resolve(result).then(
      () => {
        if (call.cancelled) this.rejected(call, null);
        else if (!stream.writableEnded && !call.done) this.waitForLoop(call);
      },
      (error) => this.rejected(call, error),
    );
  }

  // True when the value is a stream, or has one as its body: it is sent from here.
  streamed(call, value) {
    let head = null;
    let items = null;
    if (isIterator(value)) items = value;
    else if (typeof value.body === 'object' && value.body !== null && isIterator(value.body)) {
      head = value;
      items = value.body;
    }
    if (items === null) return false;
    this.send(call, head, items).then(
      () => {},
      (error) => this.rejected(call, error),
    );
    return true;
  }

  async send(call, head, items) {
    const body = call.response();
    for await (const item of items) {
      if (call.done || call.cancelled) break; // leaving the loop closes the iterator
      if (body.head === '') {
        if (head === null && isHead(item)) {
          head = item;
          continue;
        }
        body.setHead(lambdaHead(head || {}, item));
      }
      if (!body.write(bytesOf(item))) await new Promise((resolve) => (body.onDrain = resolve));
    }
    if (call.cancelled) {
      this.rejected(call, null);
      return;
    }
    if (body.head === '') body.setHead(lambdaHead(head || {}, null));
    if (call.partial !== null) logs.finish(call);
    body.onOver = () => this.finish(call);
    body.end();
  }
}

function isIterator(value) {
  return (
    typeof value[Symbol.asyncIterator] === 'function' ||
    (typeof value.next === 'function' && typeof value[Symbol.iterator] === 'function')
  );
}

function isHead(item) {
  return (
    typeof item === 'object' && item !== null && 'statusCode' in item && !ArrayBuffer.isView(item)
  );
}

module.exports = { EventServer, leavesOutContext };
