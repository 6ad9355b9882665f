'use strict';
// The global `awslambda` of AWS's Node.js runtime: streamed answers of event handlers.

const { Writable } = require('stream');
const { lambdaHead } = require('./body');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');

// The response stream that a streaming handler writes to.
class ResponseStream extends Writable {
  constructor(body) {
    super();
    this.mayflyBody = body;
    this.mayflyHead = null;
    this.contentType = null;
  }

  setContentType(type) {
    this.contentType = String(type);
  }

  mayflyStart(first) {
    if (this.mayflyBody.headSent || this.mayflyBody.head !== '') return;
    const head = this.mayflyHead || {};
    const named = this.contentType === null ? {} : { 'content-type': this.contentType };
    this.mayflyBody.setHead(lambdaHead({ ...head, headers: { ...named, ...head.headers } }, first));
  }

  _write(chunk, encoding, callback) {
    this.mayflyStart(chunk);
    if (this.mayflyBody.write(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk))) callback();
    else this.mayflyBody.onDrain = callback;
  }

  _final(callback) {
    this.mayflyStart(null);
    this.mayflyBody.onOver = callback;
    this.mayflyBody.end();
  }
}

class HttpResponseStream {
  // Gives the stream an HTTP status, headers and cookies.
  static from(stream, prelude) {
    if (stream instanceof ResponseStream) stream.mayflyHead = prelude || {};
    return stream;
  }
}

function install() {
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (options && options.highWaterMark !== undefined) {
        handler[Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')] =
          options.highWaterMark;
      }
      return handler;
    },
    HttpResponseStream,
  };
}

module.exports = { install, ResponseStream, STREAMING };
