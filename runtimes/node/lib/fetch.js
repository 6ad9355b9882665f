'use strict';
// Serves { fetch(request, env, ctx) } with the WHATWG Request and Response of Node.

const { HttpServer, grant } = require('./http_server');

// Node loads its implementation with the first use: not with the first request.
new Response('').headers.has(new Request('http://localhost/').method);

const NO_BODY = new Set(['GET', 'HEAD']);

class ExecutionContext {
  constructor(call) {
    this.mayflyCall = call;
    this.props = {};
  }

  get requestId() {
    return JSON.parse(this.mayflyCall.metaText).id;
  }

  // Work that goes on after the answer; shutdown waits for it.
  waitUntil(promise) {
    const { server } = this.mayflyCall;
    server.background++;
    const done = () => {
      server.background--;
      server.settled();
    };
    Promise.resolve(promise).then(done, (error) => {
      process.stderr.write(`waitUntil: ${error && error.stack ? error.stack : error}\n`);
      done();
    });
  }

  passThroughOnException() {}
}

function hostOf(fields) {
  for (const [name, value] of fields) {
    if (name.length === 4 && name.toLowerCase() === 'host') return value;
  }
  return 'localhost';
}

// The body of a request that is still coming: each read gives the engine credit.
function streamOf(call, first) {
  let owed = first === null ? 0 : first.length;
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      call.controller = controller;
      if (first !== null) controller.enqueue(new Uint8Array(first));
      call.more = (data, last) => {
        try {
          if (data.length > 0) {
            owed += data.length;
            controller.enqueue(new Uint8Array(data));
          }
          if (last) {
            controller.close();
            const { byobRequest } = controller;
            if (byobRequest) byobRequest.respond(0);
          }
        } catch {
          grant(call, owed); // the app has cancelled the body: let the rest pass
          owed = 0;
        }
      };
    },
    pull() {
      grant(call, owed);
      owed = 0;
    },
    cancel() {
      grant(call, owed);
      owed = 0;
    },
  });
}

class FetchServer extends HttpServer {
  constructor(app) {
    super(app);
    this.target = app.target;
  }

  begin(call, head, first, complete) {
    call.more = () => {};
    call.gone = gone;
    call.abort = null; // made when the app asks for request.signal: it costs as much as the rest
    this.answer(call, head, first, complete).catch((error) => {
      if (!call.done) this.failThrown(call, error);
    });
  }

  requestOf(call, head, first, complete) {
    const host = hostOf(head.headers);
    const query = head.query === '' ? '' : `?${head.query}`;
    const fields = head.headers.filter(([name]) => name.toLowerCase() !== 'transfer-encoding');
    if (head.base !== '' && !fields.some(([name]) => name.toLowerCase() === 'x-forwarded-prefix')) {
      fields.push(['x-forwarded-prefix', head.base]);
    }
    const init = { method: head.method, headers: fields };
    if (!NO_BODY.has(head.method)) {
      if (!complete) {
        init.body = streamOf(call, first);
        init.duplex = 'half';
      } else if (first !== null) {
        init.body = first;
      }
    } else if (!complete) {
      call.more = (data) => grant(call, data.length); // a body that Request does not allow
    }
    const request = new Request(`${head.scheme}://${host}${head.path}${query}`, init);
    Object.defineProperty(request, 'signal', { get: () => signalOf(call), configurable: true });
    return request;
  }

  async answer(call, head, first, complete) {
    const request = this.requestOf(call, head, first, complete);
    const response = await this.target.fetch(request, process.env, new ExecutionContext(call));
    if (call.done) return;
    if (response === null || typeof response !== 'object' || typeof response.status !== 'number') {
      throw new TypeError('fetch() must return a Response');
    }
    const fields = fieldsOf(response.headers);
    const body = call.response();
    body.setHead(JSON.stringify({ status: response.status, headers: fields }));
    body.onOver = () => this.finish(call);
    if (response.body === null || head.method === 'HEAD') {
      if (response.body !== null) response.body.cancel().catch(() => {});
      body.end();
      return;
    }
    const reader = response.body.getReader();
    call.reader = reader;
    for (;;) {
      const { done, value } = await reader.read();
      if (call.done) return;
      if (done) break;
      const flowing = body.write(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      if (!flowing) await new Promise((resolve) => (body.onDrain = resolve));
    }
    body.end();
  }
}

// Cookies one by one. Headers without getSetCookie() (Debian's Node 18) have joined them with commas;
// the comma of a date in Expires is not followed by a name.
function fieldsOf(headers) {
  const fields = [];
  for (const [name, value] of headers) {
    if (name === 'set-cookie' && typeof headers.getSetCookie !== 'function') {
      for (const cookie of value.split(/,\s*(?=[^;,=\s]+=)/)) fields.push([name, cookie]);
    } else {
      fields.push([name, value]);
    }
  }
  return fields;
}

function signalOf(call) {
  if (call.abort === null) {
    call.abort = new AbortController();
    if (call.cancelled) call.abort.abort();
  }
  return call.abort.signal;
}

// The caller is gone.
function gone() {
  if (this.abort !== null) this.abort.abort();
  if (this.reader !== undefined) this.reader.cancel().catch(() => {});
  if (this.controller !== undefined) {
    try {
      this.controller.error(new Error('the caller is gone'));
    } catch {
      // it was closed
    }
  }
}

module.exports = { FetchServer };
