'use strict';
// What (req, res) listeners and fetch handlers have in common: HTTP invocations with streamed
// request bodies.

const logs = require('./logs');
const { END, HTTP } = require('./frames');
const { Server, Call, cutInvoke } = require('./server');

class HttpServer extends Server {
  constructor(app) {
    super(app);
    this.storage = null;
  }

  start(channel) {
    super.start(channel);
    if (this.app.concurrency !== 1) {
      const { AsyncLocalStorage } = require('async_hooks');
      this.storage = logs.state.storage = new AsyncLocalStorage();
    }
  }

  invoke(stream, flags, buffer, at, end) {
    if (!(flags & HTTP)) {
      this.refuse(stream, 'an event came to an HTTP app');
      return;
    }
    const { metaText, headText, body } = cutInvoke(buffer, at, end, flags);
    const call = new Call(this, stream, metaText);
    this.calls.set(stream, call);
    const head = JSON.parse(headText);
    const first = body.length > 0 ? Buffer.from(body) : null;
    const complete = (flags & END) !== 0;
    if (this.storage === null) {
      logs.state.sole = call;
      this.begin(call, head, first, complete);
    } else {
      this.storage.run(call, beginIn, this, call, head, first, complete);
    }
  }

  data(stream, flags, payload) {
    const call = this.calls.get(stream);
    if (call !== undefined) call.more(payload, (flags & END) !== 0);
  }

  cancel(stream) {
    const call = this.calls.get(stream);
    if (call === undefined) return;
    this.cancelCall(call);
    this.gone(call);
  }

  // Tells the app that the caller is gone; what it prints then is still this call's.
  gone(call) {
    if (this.storage !== null) {
      this.storage.run(call, () => call.gone());
      return;
    }
    logs.state.sole = call;
    call.gone();
    logs.state.sole = null;
  }

  finish(call) {
    if (logs.state.sole === call) logs.state.sole = null;
    super.finish(call);
  }
}

function beginIn(server, call, head, first, complete) {
  server.begin(call, head, first, complete);
}

// Gives the engine credit for request bytes that were consumed.
function grant(call, count) {
  if (count > 0 && !call.done) call.server.channel.window(call.stream, count);
}

module.exports = { HttpServer, grant };
