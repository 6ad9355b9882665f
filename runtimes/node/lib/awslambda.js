'use strict';
// The global `awslambda` of AWS's Node.js runtime: streamed answers of event handlers.

const { Writable } = require('stream');
const { lambdaHead } = require('./body');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

// An answer of this type is a JSON prelude (status, headers, cookies), 8 NUL bytes, and the body.
const INTEGRATION = 'application/vnd.awslambda.http-integration-response';
const MARK = Buffer.alloc(8);
const PRELUDE_MAX = 128 << 10;

function invalid(message) {
  const error = new Error(message);
  error.name = 'Runtime.InvalidStreamingOperation';
  return error;
}

// The response stream that a streaming handler writes to.
class ResponseStream extends Writable {
  constructor(body, highWaterMark) {
    super(highWaterMark > 0 ? { highWaterMark } : {});
    this.mayflyBody = body;
    this.contentType = null;
    this._onBeforeFirstWrite = null; // of HttpResponseStream.from and its likes
    this.mayflyBegun = false; // write() was called
    this.mayflyPrelude = null; // pieces of the prelude, until its mark
  }

  setContentType(type) {
    if (this.mayflyBegun) throw invalid('Cannot set content-type, too late.');
    this.contentType = String(type);
  }

  write(chunk, encoding, callback) {
    this.mayflyBegin();
    let data = chunk;
    const bytes = Buffer.isBuffer(chunk) || (chunk && chunk.constructor === Uint8Array);
    if (typeof chunk !== 'string' && !bytes) data = JSON.stringify(chunk);
    return super.write(data, encoding, callback);
  }

  end(chunk, encoding, callback) {
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') {
      this.write(chunk, typeof encoding === 'string' ? encoding : undefined);
      return super.end(typeof encoding === 'function' ? encoding : callback);
    }
    this.mayflyBegin();
    return super.end(chunk, encoding, callback);
  }

  mayflyBegin() {
    if (this.mayflyBegun) return;
    this.mayflyBegun = true;
    const before = this._onBeforeFirstWrite;
    if (typeof before === 'function') before((data) => super.write(data));
  }

  mayflyHead(head) {
    this.mayflyBody.setHead(lambdaHead(head, null));
  }

  // Gives the body bytes among what was written; the prelude becomes the head.
  mayflyTake(chunk) {
    if (this.mayflyBody.headSent || this.mayflyBody.head !== '') return chunk;
    if (this.contentType === null || this.contentType.split(';')[0].trim() !== INTEGRATION) {
      const named = this.contentType === null ? {} : { 'content-type': this.contentType };
      this.mayflyHead({ headers: named });
      return chunk;
    }
    const pieces = this.mayflyPrelude === null ? chunk : Buffer.concat([this.mayflyPrelude, chunk]);
    const at = pieces.indexOf(MARK);
    if (at < 0) {
      if (pieces.length > PRELUDE_MAX) throw invalid('The prelude of the answer has no end.');
      this.mayflyPrelude = pieces;
      return null;
    }
    this.mayflyHead(JSON.parse(pieces.toString('utf8', 0, at) || '{}') || {});
    return pieces.subarray(at + MARK.length);
  }

  _write(chunk, encoding, callback) {
    let data;
    try {
      data = this.mayflyTake(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk, encoding));
    } catch (error) {
      callback(error);
      return;
    }
    if (data === null) callback();
    else if (data.length === 0) {
      this.mayflyBody.sendHead();
      callback();
    } else if (this.mayflyBody.write(data)) callback();
    else this.mayflyBody.onDrain = callback;
  }

  _final(callback) {
    try {
      const rest = this.mayflyTake(Buffer.alloc(0));
      if (rest === null) throw invalid('The answer ended before its prelude did.');
    } catch (error) {
      callback(error);
      return;
    }
    this.mayflyBody.onOver = callback;
    this.mayflyBody.end();
  }
}

class HttpResponseStream {
  // Gives the stream an HTTP status, headers and cookies.
  static from(stream, prelude) {
    stream.setContentType(INTEGRATION);
    const text = JSON.stringify(prelude === undefined ? {} : prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(new Uint8Array(MARK.length));
    };
    return stream;
  }
}

function install() {
  if (/^(1|true)$/.test(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA || '')) return;
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (options && typeof options.highWaterMark === 'number') {
        handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      }
      return handler;
    },
    HttpResponseStream,
  };
}

module.exports = { install, ResponseStream, STREAMING, HIGH_WATER_MARK };
