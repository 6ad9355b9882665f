'use strict';
// Frames and the channel: see docs/internals/frames.md, which this file and src/wire/frames.h follow.

const fs = require('fs');
const net = require('net');

const INVOKE = 1,
  DATA = 2,
  CANCEL = 3,
  WINDOW = 4,
  SHUTDOWN = 5,
  ANSWER = 6;
const READY = 65,
  INIT_ERROR = 66,
  REPLY = 67,
  ERROR = 69,
  LOG = 70,
  EFFECTS = 71,
  ASK = 72;
const END = 1,
  HTTP = 2;

const MAX_FRAME = 64 << 20;
const INITIAL_WINDOW = 1 << 20;
const BODY_BYTES = 256 << 10; // the most body bytes put into one frame
const READ_BYTES = 256 << 10;
const OUT_BYTES = 64 << 10;
const LARGE = 16 << 10; // payloads from here on get a buffer of their own

const EMPTY = Buffer.alloc(0);

// One channel. Frames of one turn of the event loop leave in one write.
class Channel {
  // on: { invoke(stream, flags, buffer, at, end), data(stream, flags, payload), cancel(stream),
  //       window(stream, count), answer(question, text), shutdown(), closed(error) }
  // The buffer of invoke is only valid during the call; payload of data may be kept.
  // Nothing is received before begin().
  constructor(fd, on) {
    this.on = on;
    this.fd = fd;
    this.rest = null; // an unfinished frame: { buffer, filled }
    this.parts = []; // full buffers that wait for the flush
    this.out = Buffer.allocUnsafeSlow(OUT_BYTES);
    this.used = 0;
    this.spare = [];
    this.scheduled = false;
    this.flushNow = () => this.flush();
    this.socket = new net.Socket({
      fd,
      readable: true,
      writable: true,
      allowHalfOpen: false,
      manualStart: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (count, buffer) => {
          this.received(buffer, count);
          return true;
        },
      },
    });
    this.socket.on('error', (error) => on.closed(error));
    this.socket.on('close', () => on.closed(null));
    this.socket.on('end', () => on.closed(null));
  }

  begin() {
    this.socket.resume();
  }

  // ---- receiving

  received(buffer, count) {
    let at = 0;
    while (this.rest !== null && at < count) {
      const { buffer: frame, filled } = this.rest;
      const take = Math.min(frame.length - filled, count - at);
      buffer.copy(frame, filled, at, at + take);
      at += take;
      this.rest.filled += take;
      if (this.rest.filled < frame.length) return;
      this.rest = null;
      this.parse(frame, frame.length);
    }
    if (at < count) this.parse(at === 0 ? buffer : buffer.subarray(at), count - at);
  }

  parse(buffer, size) {
    const on = this.on;
    let at = 0;
    while (size - at >= 12) {
      const length = buffer.readUInt32LE(at);
      const end = at + 12 + length;
      if (end > size) {
        if (length > MAX_FRAME) return on.closed(new Error(`a frame of ${length} bytes`));
        break;
      }
      const stream = buffer.readUInt32LE(at + 4);
      const type = buffer[at + 8];
      const flags = buffer[at + 9];
      if (type === INVOKE) on.invoke(stream, flags, buffer, at + 12, end);
      else if (type === DATA) on.data(stream, flags, Buffer.from(buffer.subarray(at + 12, end)));
      else if (type === WINDOW) on.window(stream, buffer.readUInt32LE(at + 12));
      else if (type === CANCEL) on.cancel(stream);
      else if (type === SHUTDOWN) on.shutdown();
      else if (type === ANSWER) on.answer(buffer.readUInt32LE(at + 12), buffer.utf8Slice(at + 16, end));
      else return on.closed(new Error(`a frame of the unknown type ${type}`));
      at = end;
    }
    if (at < size) this.keep(buffer, at, size);
  }

  // Keeps the start of a frame. Until its length is known the buffer is that of the header.
  keep(buffer, at, size) {
    const have = size - at;
    const need = have >= 12 ? 12 + buffer.readUInt32LE(at) : 12;
    const frame = Buffer.allocUnsafeSlow(need);
    buffer.copy(frame, 0, at, size);
    this.rest = { buffer: frame, filled: have };
  }

  // ---- sending

  schedule() {
    if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(this.flushNow);
    }
  }

  // Makes room for size bytes in the out buffer.
  reserve(size) {
    if (this.used + size > this.out.length) {
      if (this.used > 0) this.parts.push(this.out.subarray(0, this.used));
      this.out =
        size <= OUT_BYTES && this.spare.length > 0
          ? this.spare.pop()
          : Buffer.allocUnsafeSlow(Math.max(size, OUT_BYTES));
      this.used = 0;
    }
  }

  header(at, size, stream, type, flags) {
    const out = this.out;
    out.writeUInt32LE(size, at);
    out.writeUInt32LE(stream, at + 4);
    out[at + 8] = type;
    out[at + 9] = flags;
    out[at + 10] = 0;
    out[at + 11] = 0;
  }

  // A frame with a Buffer as payload.
  frame(stream, type, flags, payload = EMPTY) {
    this.reserve(12 + (payload.length < LARGE ? payload.length : 0));
    this.header(this.used, payload.length, stream, type, flags);
    this.used += 12;
    this.bytes(payload);
    this.schedule();
  }

  // Adds bytes to the frame whose header was written last.
  bytes(data) {
    if (data.length < LARGE) {
      this.reserve(data.length);
      data.copy(this.out, this.used);
      this.used += data.length;
      return;
    }
    if (this.used > 0) this.parts.push(this.out.subarray(0, this.used));
    this.parts.push(Buffer.from(data)); // who wrote it may use the buffer again
    this.out = Buffer.allocUnsafeSlow(OUT_BYTES);
    this.used = 0;
  }

  window(stream, count) {
    this.reserve(16);
    this.header(this.used, 4, stream, WINDOW, 0);
    this.out.writeUInt32LE(count, this.used + 12);
    this.used += 16;
    this.schedule();
  }

  json(stream, type, value, flags = 0) {
    this.frame(stream, type, flags, Buffer.from(JSON.stringify(value)));
  }

  // The result of an event, complete, as text that takes at most INITIAL_WINDOW bytes.
  result(stream, text) {
    const most = text.length * 3; // UTF-8 of UTF-16
    this.reserve(16 + most);
    const at = this.used;
    const size = this.out.utf8Write(text, at + 16, most);
    this.header(at, 4 + size, stream, REPLY, END);
    this.out.writeUInt32LE(0, at + 12);
    this.used = at + 16 + size;
    this.schedule();
  }

  // A reply; head: text of JSON ('' for the result of an event), body: Buffer.
  reply(stream, flags, head, body) {
    const most = head.length * 3;
    this.reserve(16 + most + (body.length < LARGE ? body.length : 0));
    const at = this.used;
    const size = head === '' ? 0 : this.out.utf8Write(head, at + 16, most);
    this.header(at, 4 + size + body.length, stream, REPLY, flags | (size > 0 ? HTTP : 0));
    this.out.writeUInt32LE(size, at + 12);
    this.used = at + 16 + size;
    this.bytes(body);
    this.schedule();
  }

  // Whole lines of output.
  log(stream, which, text) {
    const data = Buffer.from(text);
    for (let at = 0; at < data.length; at += BODY_BYTES) {
      const piece = data.subarray(at, at + BODY_BYTES);
      const size = piece.length + 1;
      this.reserve(12 + size);
      this.header(this.used, size, stream, LOG, 0);
      this.out[this.used + 12] = which;
      piece.copy(this.out, this.used + 13);
      this.used += 12 + size;
    }
    this.flush(); // at once: it must survive if the process hangs or dies next
  }

  takeOut() {
    const parts = this.parts;
    if (this.used > 0) parts.push(this.out.subarray(0, this.used));
    this.parts = [];
    return parts;
  }

  flush() {
    this.scheduled = false;
    if (this.socket.destroyed) return; // the engine is gone
    if (this.parts.length === 0) {
      if (this.used === 0) return;
      const whole = this.out;
      const used = this.used;
      this.out = this.spare.length > 0 ? this.spare.pop() : Buffer.allocUnsafeSlow(OUT_BYTES);
      this.used = 0;
      this.socket.write(whole.subarray(0, used), () => {
        if (whole.length === OUT_BYTES && this.spare.length < 4) this.spare.push(whole);
      });
      return;
    }
    const parts = this.takeOut();
    this.out = Buffer.allocUnsafeSlow(OUT_BYTES);
    this.used = 0;
    this.socket.cork();
    for (const part of parts) this.socket.write(part);
    this.socket.uncork();
  }

  // Sends what is waiting before the process ends: synchronously, as far as the socket takes it.
  flushSync() {
    if (this.socket.writableLength > 0) return; // in the middle of a frame
    let data = Buffer.concat(this.takeOut());
    this.used = 0;
    const until = Date.now() + 1000;
    while (data.length > 0 && Date.now() < until) {
      try {
        data = data.subarray(fs.writeSync(this.fd, data));
      } catch (error) {
        if (error.code !== 'EAGAIN') return;
      }
    }
  }
}

module.exports = {
  Channel,
  INVOKE,
  DATA,
  CANCEL,
  WINDOW,
  SHUTDOWN,
  ANSWER,
  EFFECTS,
  ASK,
  READY,
  INIT_ERROR,
  REPLY,
  ERROR,
  LOG,
  END,
  HTTP,
  MAX_FRAME,
  INITIAL_WINDOW,
  BODY_BYTES,
  EMPTY,
};
