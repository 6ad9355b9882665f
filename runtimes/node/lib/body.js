'use strict';
// The way of one response out of the instance: head, body, end, within the engine's credit.

const { INITIAL_WINDOW, BODY_BYTES, DATA, ERROR, END, EMPTY } = require('./frames');

class ResponseBody {
  // begin: called before the first frame of the answer.
  constructor(channel, stream, begin) {
    this.channel = channel;
    this.stream = stream;
    this.begin = begin;
    this.credit = INITIAL_WINDOW;
    this.head = '';
    this.headSent = false;
    this.queue = [];
    this.ended = false; // nothing more will be written
    this.over = false; // the end has been sent
    this.dropped = false; // nobody wants it any more: only fail() still sends
    this.onDrain = null; // called once when the queue is empty again
    this.onOver = null; // called once when the end has been sent
  }

  // The head goes with the first bytes. '' for the result of an event.
  setHead(head) {
    this.head = head;
  }

  // Sends the head now, with no byte of the body.
  sendHead() {
    if (this.headSent || this.over || this.dropped) return;
    this.headSent = true;
    this.begin();
    this.channel.reply(this.stream, 0, this.head, EMPTY);
  }

  // False when the caller should wait for onDrain.
  write(data) {
    if (this.over || this.ended || this.dropped) return true;
    if (data.length > 0) this.queue.push(data);
    this.pump();
    return this.queue.length === 0;
  }

  end(data = EMPTY) {
    if (this.over || this.ended || this.dropped) return;
    this.ended = true;
    if (data.length > 0) this.queue.push(data);
    this.pump();
  }

  addCredit(count) {
    this.credit += count;
    if (!this.over && !this.dropped && (this.queue.length > 0 || this.ended)) this.pump();
  }

  pump() {
    const queue = this.queue;
    while (queue.length > 0 && this.credit > 0) {
      const first = queue[0];
      const count = Math.min(first.length, this.credit, BODY_BYTES);
      const whole = count === first.length;
      if (whole) queue.shift();
      else queue[0] = first.subarray(count);
      this.credit -= count;
      this.put(whole ? first : first.subarray(0, count), this.ended && queue.length === 0);
    }
    if (queue.length > 0) return;
    if (this.ended && !this.over) this.put(EMPTY, true);
    if (this.onDrain !== null) {
      const drain = this.onDrain;
      this.onDrain = null;
      drain();
    }
    if (this.over && this.onOver !== null) this.tellOver();
  }

  put(data, last) {
    const flags = last ? END : 0;
    if (last) this.over = true;
    if (!this.headSent) {
      this.headSent = true;
      this.begin();
      this.channel.reply(this.stream, flags, this.head, data);
    } else {
      this.channel.frame(this.stream, DATA, flags, data);
    }
  }

  tellOver() {
    const over = this.onOver;
    this.onOver = null;
    over();
  }

  // Ends the stream with an error: the invocation failed, or the answer is cut off.
  fail(error) {
    if (this.over) return;
    this.over = true;
    this.channel.json(this.stream, ERROR, error, END);
    this.drop();
  }

  // Forgets what was not sent, and lets writers run on.
  drop() {
    this.dropped = true;
    this.queue = [];
    if (this.onDrain !== null) {
      const drain = this.onDrain;
      this.onDrain = null;
      drain();
    }
  }
}

// The head of a Lambda style object as JSON text. first: the first item of the body.
function lambdaHead(head, first) {
  const fields = [];
  const names = new Set();
  for (const [name, values] of Object.entries(head.multiValueHeaders || {})) {
    for (const value of values) fields.push([name, String(value)]);
    names.add(name.toLowerCase());
  }
  for (const [name, value] of Object.entries(head.headers || {})) {
    if (names.has(name.toLowerCase())) continue;
    for (const one of Array.isArray(value) ? value : [value]) fields.push([name, String(one)]);
  }
  for (const [name] of fields) names.add(name.toLowerCase());
  for (const cookie of head.cookies || []) fields.push(['set-cookie', String(cookie)]);
  if (!names.has('content-type')) {
    const text = typeof first === 'string';
    fields.push(['content-type', text ? 'text/plain; charset=utf-8' : 'application/octet-stream']);
  }
  return JSON.stringify({ status: Number(head.statusCode || 200), headers: fields });
}

function bytesOf(item) {
  if (typeof item === 'string') return Buffer.from(item);
  if (Buffer.isBuffer(item)) return item;
  if (ArrayBuffer.isView(item)) return Buffer.from(item.buffer, item.byteOffset, item.byteLength);
  if (item instanceof ArrayBuffer) return Buffer.from(item);
  return Buffer.from(`${JSON.stringify(item)}\n`);
}

module.exports = { ResponseBody, lambdaHead, bytesOf };
