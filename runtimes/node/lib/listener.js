'use strict';
// Serves (req, res) listeners with Node's own IncomingMessage and ServerResponse. Nothing is
// written as HTTP/1.1 and parsed again: the methods that put head and body on the wire (_storeHeader,
// _send) and fetch the request body (_read) are replaced, everything else is Node's. They are own
// properties and not a subclass's, because Express gives both objects another prototype.

const http = require('http');
const { Duplex } = require('stream');
const { HttpServer, grant } = require('./http_server');
const { EMPTY } = require('./frames');

// Stands for the connection: what frameworks ask a socket for.
class FrameSocket extends Duplex {
  constructor() {
    super();
    this.remoteAddress = '';
    this.remoteFamily = 'IPv4';
    this.remotePort = 0;
    this.localAddress = '127.0.0.1';
    this.localPort = 0;
    this.encrypted = false;
    this.connecting = false;
    this.timeout = 0;
  }

  address() {
    return { address: this.localAddress, family: 'IPv4', port: this.localPort };
  }

  setTimeout(milliseconds, callback) {
    if (typeof callback === 'function') this.once('timeout', callback);
    return this; // the engine watches over the time
  }

  setNoDelay() {
    return this;
  }
  setKeepAlive() {
    return this;
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  _read() {}
  _write(chunk, encoding, callback) {
    callback();
  }
}

function makeRequest(socket, call, head) {
  const request = new http.IncomingMessage(socket);
  request.mayflyCall = call;
  request.mayflyOwed = 0; // bytes given to the stream and not yet granted to the engine
  request._read = readRequest;
  request.method = head.method;
  request.url = head.query === '' ? head.path : `${head.path}?${head.query}`;
  request.httpVersion = head.version;
  request.httpVersionMajor = 1;
  request.httpVersionMinor = head.version === '1.0' ? 0 : 1;
  const fields = head.headers;
  const raw = new Array(fields.length * 2);
  let prefixed = head.base === '';
  for (let i = 0; i < fields.length; i++) {
    raw[2 * i] = fields[i][0];
    raw[2 * i + 1] = fields[i][1];
    if (!prefixed && fields[i][0].toLowerCase() === 'x-forwarded-prefix') prefixed = true;
  }
  if (!prefixed) raw.push('X-Forwarded-Prefix', head.base);
  request._addHeaderLines(raw, raw.length);
  return request;
}

function readRequest() {
  this._consuming = true;
  if (this.mayflyOwed > 0) grantRequest(this);
}

function pushRequest(request, data, last) {
  if (data !== null && !request.destroyed) {
    request.mayflyOwed += data.length;
    if (request.push(data) && !last) grantRequest(request);
  }
  if (last) {
    request.complete = true;
    if (!request.destroyed) request.push(null);
  }
}

function grantRequest(request) {
  const owed = request.mayflyOwed;
  request.mayflyOwed = 0;
  if (!request.complete) grant(request.mayflyCall, owed);
}

const SKIPPED = new Set(['connection', 'keep-alive', 'transfer-encoding']);

// Response heads as Node's writeHead passes them: its own table (read by name), a flat or nested
// array, or an object.
function fieldsOf(response, headers) {
  const fields = [];
  const add = (name, value) => {
    if (SKIPPED.has(name.toLowerCase())) return;
    if (Array.isArray(value)) for (const one of value) fields.push([name, String(one)]);
    else fields.push([name, String(value)]);
  };
  const names = response.getRawHeaderNames();
  if (names.length > 0) {
    for (const name of names) add(name, response.getHeader(name));
    return fields;
  }
  const check = (name, value) => {
    http.validateHeaderName(name);
    for (const one of Array.isArray(value) ? value : [value]) http.validateHeaderValue(name, one);
    add(name, value);
  };
  if (Array.isArray(headers)) {
    if (Array.isArray(headers[0])) for (const [name, value] of headers) check(name, value);
    else for (let i = 0; i + 1 < headers.length; i += 2) check(headers[i], headers[i + 1]);
  } else if (headers) {
    for (const name of Object.keys(headers)) check(name, headers[name]);
  }
  return fields;
}

function makeResponse(request, call) {
  const response = new http.ServerResponse(request);
  response.mayflyCall = call;
  response.mayflyBody = call.response();
  response.mayflyEnding = false; // end() is running: what it sends is held for one frame
  response.mayflyHeld = null;
  response.mayflyDone = null; // end()'s callback
  response._storeHeader = storeHeader;
  response._send = send;
  response._writeRaw = writeRaw;
  response.end = end;
  return response;
}

function storeHeader(firstLine, headers) {
  const fields = fieldsOf(this, headers);
  const length = this._contentLength;
  if (typeof length === 'number' && (this._hasBody || this.req.method === 'HEAD')) {
    if (!fields.some(([name]) => name.toLowerCase() === 'content-length')) {
      fields.push(['content-length', String(length)]);
    }
  }
  this._header = firstLine;
  this.chunkedEncoding = false;
  this.mayflyBody.setHead(JSON.stringify({ status: this.statusCode, headers: fields }));
}

function send(data, encoding, callback) {
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  this._headerSent = true;
  const bytes =
    typeof data === 'string'
      ? data === ''
        ? EMPTY
        : Buffer.from(data, encoding || 'utf8')
      : Buffer.isBuffer(data)
        ? data
        : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (this.mayflyEnding) {
    if (bytes.length > 0) {
      this.mayflyHeld = this.mayflyHeld === null ? bytes : Buffer.concat([this.mayflyHeld, bytes]);
    }
    if (typeof callback === 'function') this.mayflyDone = callback;
    return true;
  }
  const body = this.mayflyBody;
  if (bytes.length === 0) {
    body.sendHead();
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  }
  // Kept until the flush, or longer without credit: the writer may use its buffer again.
  const flowing = body.write(typeof data === 'string' ? bytes : Buffer.from(bytes));
  if (flowing || body.dropped) {
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  }
  body.onDrain = () => {
    if (typeof callback === 'function') callback();
    if (!this.mayflyBody.dropped) this.emit('drain');
  };
  return false;
}

// 1xx answers: the gateway makes its own.
function writeRaw(data, encoding, callback) {
  const done = typeof encoding === 'function' ? encoding : callback;
  if (typeof done === 'function') process.nextTick(done);
  return true;
}

function end(chunk, encoding, callback) {
  if (this.finished) return http.ServerResponse.prototype.end.call(this, chunk, encoding, callback);
  this.mayflyEnding = true;
  let result;
  try {
    result = http.ServerResponse.prototype.end.call(this, chunk, encoding, callback);
  } finally {
    this.mayflyEnding = false;
  }
  const body = this.mayflyBody;
  const held = this.mayflyHeld === null ? EMPTY : this.mayflyHeld;
  this.mayflyHeld = null;
  body.onOver = () => {
    if (this.mayflyDone !== null) process.nextTick(this.mayflyDone);
  };
  body.end(held);
  return result;
}

class ListenerServer extends HttpServer {
  constructor(app) {
    super(app);
    this.listener = app.target;
    this.sockets = [];
  }

  begin(call, head, first, complete) {
    const socket = this.sockets.length > 0 ? this.sockets.pop() : new FrameSocket();
    socket.remoteAddress = head.remote;
    socket.encrypted = head.scheme === 'https';
    const request = makeRequest(socket, call, head);
    const response = makeResponse(request, call);
    response.assignSocket(socket);
    call.request = request;
    call.more = more;
    call.gone = gone;
    response.on('finish', onFinish);
    if (first !== null || complete) pushRequest(request, first, complete);
    let result;
    try {
      result = this.listener(request, response);
    } catch (error) {
      this.thrown(call, error);
      return;
    }
    if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
      result.then(undefined, (error) => this.thrown(call, error));
    }
  }

  thrown(call, error) {
    if (call.done) return;
    this.failThrown(call, error);
    this.gone(call);
  }

  // As Node's server does it when a response has been sent.
  finished(call, response) {
    const { request } = call;
    const { socket } = request;
    this.finish(call);
    if (!request._consuming) request._dump();
    else if (!request.complete) request.resume();
    if (socket !== null && !socket.destroyed) {
      response.detachSocket(socket);
      if (this.sockets.length < 64) this.sockets.push(socket);
    }
    process.nextTick(closeResponse, response);
  }
}

function onFinish() {
  this.mayflyCall.server.finished(this.mayflyCall, this);
}

function closeResponse(response) {
  if (response._closed) return;
  response.destroyed = true;
  response._closed = true;
  response.emit('close');
}

function more(data, last) {
  pushRequest(this.request, data.length > 0 ? data : null, last);
}

// The caller is gone: as when a connection breaks.
function gone() {
  const { request } = this;
  request.socket.destroy(); // 'close' reaches the response
  if (request.complete && request.readableEnded) return;
  request.aborted = true;
  request.emit('aborted');
  const error = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  if (request.listenerCount('error') > 0) request.destroy(error);
  else request.destroy();
}

module.exports = { ListenerServer };
