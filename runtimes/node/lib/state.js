'use strict';
// What a handler asks of the platform and stages through its context: context.state, context.send.
// Nothing that is staged happens before the handler has ended well; then all of it happens at once,
// together with "this event is done", or none of it (docs/guides/queues.md).

const { EFFECTS, ASK } = require('./frames');

const KEY_BYTES = 1024;

// The platform refused; code says why ('too_large', 'unavailable' ...).
class StateError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'StateError';
    this.code = code;
  }
}

function checked(key) {
  if (typeof key !== 'string') throw new TypeError(`a key is a string, not ${typeof key}`);
  const size = Buffer.byteLength(key);
  if (size === 0 || size > KEY_BYTES) throw new RangeError(`a key takes 1 to ${KEY_BYTES} bytes`);
  return key;
}

function whole(value, what) {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${what} is a whole number, not ${value}`);
  return value;
}

function textOf(value) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('a value is what JSON can say');
  return text;
}

// What one invocation has staged.
class Effects {
  constructor() {
    this.seen = new Map(); // key -> etag, null when there was no such key
    this.writes = new Map(); // key -> JSON text, null: delete
    this.adds = new Map(); // key -> { delta, atLeast }
    this.sends = [];
    this.sent = false;
  }

  add(key, delta, atLeast) {
    if (this.writes.has(key)) {
      const text = this.writes.get(key);
      const value = text === null ? 0 : JSON.parse(text);
      whole(value, `the value of ${key}`);
      if (atLeast !== undefined && value + delta < atLeast) {
        throw new StateError('conflict', `${key} would fall below ${atLeast}`);
      }
      this.writes.set(key, String(value + delta));
      return;
    }
    const before = this.adds.get(key) || { delta: 0, atLeast: undefined };
    const floors = [before.atLeast, atLeast].filter((limit) => limit !== undefined);
    this.adds.set(key, {
      delta: whole(before.delta + delta, 'the sum'),
      atLeast: floors.length > 0 ? Math.max(...floors) : undefined,
    });
  }

  // The JSON of the effects frame; null when nothing was staged.
  text() {
    const { writes, adds, sends } = this;
    if (writes.size === 0 && adds.size === 0 && sends.length === 0) return null;
    const name = JSON.stringify;
    const members = [];
    const member = (key, items) => {
      if (items.length > 0) members.push(`"${key}":[${items.join(',')}]`);
    };
    const list = [...writes];
    member(
      'require',
      [...this.seen].map(([key, etag]) => JSON.stringify({ key, etag })),
    );
    member(
      'put',
      list.filter((item) => item[1] !== null).map(([key, text]) => `{"key":${name(key)},"value":${text}}`),
    );
    member(
      'delete',
      list.filter((item) => item[1] === null).map(([key]) => name(key)),
    );
    member(
      'add',
      [...adds].map(([key, { delta, atLeast }]) => JSON.stringify({ key, delta, at_least: atLeast })),
    );
    member(
      'send',
      sends.map((message) => JSON.stringify(message)),
    );
    return `{${members.join(',')}}`;
  }
}

function effectsOf(call) {
  if (call.effects === null) call.effects = new Effects();
  if (call.effects.sent || call.done) {
    throw new Error('the answer has begun: nothing more can be staged');
  }
  return call.effects;
}

// Sends what was staged, before the first frame of the answer.
function stage(call) {
  const { effects } = call;
  if (effects === null || effects.sent) return;
  effects.sent = true;
  const text = effects.text();
  if (text !== null) call.server.channel.frame(call.stream, EFFECTS, 0, Buffer.from(text));
}

// context.state. Keys are strings, values what JSON can say.
class State {
  #call;

  constructor(call) {
    this.#call = call;
  }

  // The value, undefined when there is none; as it will be with what has been staged. That it has
  // not changed meanwhile is made sure of when the staged changes are done: else the event is
  // handled again.
  async get(key) {
    const effects = effectsOf(this.#call);
    if (effects.writes.has(checked(key))) {
      const text = effects.writes.get(key);
      return text === null ? undefined : JSON.parse(text);
    }
    const answer = await ask(this.#call, { op: 'state.get', key });
    const etag = answer.etag === undefined ? null : answer.etag;
    if (!effects.seen.has(key)) effects.seen.set(key, etag);
    const added = effects.adds.get(key);
    if (added !== undefined) return (etag === null ? 0 : answer.value) + added.delta;
    return etag === null ? undefined : answer.value;
  }

  // [[key, value]] of keys with the prefix, in order; not what is staged.
  async list(prefix = '', { limit = 100, after = '' } = {}) {
    const wanted = { op: 'state.list', prefix, limit: whole(limit, 'limit') };
    if (after !== '') wanted.after = after;
    const { items } = await ask(this.#call, wanted);
    return items.map((item) => [item.key, item.value]);
  }

  put(key, value) {
    const effects = effectsOf(this.#call);
    const text = textOf(value);
    effects.writes.set(checked(key), text);
    effects.adds.delete(key);
  }

  delete(key) {
    const effects = effectsOf(this.#call);
    effects.writes.set(checked(key), null);
    effects.adds.delete(key);
  }

  // Adds to a whole number (0 when there is none) without reading it: calls at the same time do not
  // get in each other's way. atLeast: else nothing of the invocation is done.
  add(key, delta, { atLeast } = {}) {
    const effects = effectsOf(this.#call);
    if (atLeast !== undefined) whole(atLeast, 'atLeast');
    effects.add(checked(key), whole(delta, 'delta'), atLeast);
  }
}

function attributeOf(value) {
  if (typeof value === 'string') return { type: 'String', value };
  if (typeof value === 'number' || typeof value === 'bigint') {
    return { type: 'Number', value: String(value) };
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { type: 'Binary', value: bytes.toString('base64') };
  }
  throw new TypeError(`an attribute is a string, a number or bytes, not ${typeof value}`);
}

// context.send(): stages a message; a body that is no string is sent as JSON.
function stageMessage(call, queue, body, options = {}) {
  if (typeof queue !== 'string' || queue === '') throw new TypeError('the queue is named by a string');
  const message = { queue, body: typeof body === 'string' ? body : textOf(body) };
  if (options.delay !== undefined) message.delay_s = whole(options.delay, 'delay');
  if (options.group !== undefined) message.group = String(options.group);
  if (options.deduplicationId !== undefined) {
    message.deduplication_id = String(options.deduplicationId);
  }
  if (options.attributes !== undefined) {
    message.attributes = {};
    for (const [name, value] of Object.entries(options.attributes)) {
      message.attributes[name] = attributeOf(value);
    }
  }
  effectsOf(call).sends.push(message);
}

// ---- questions

function ask(call, question) {
  const { server } = call;
  const number = server.nextQuestion();
  const text = Buffer.from(JSON.stringify(question));
  const payload = Buffer.alloc(4 + text.length);
  payload.writeUInt32LE(number, 0);
  text.copy(payload, 4);
  const answered = new Promise((resolve, reject) => server.questions.set(number, { resolve, reject }));
  server.channel.frame(call.stream, ASK, 0, payload);
  server.questionsChanged();
  return answered;
}

// The engine's answer to a question of this server.
function answered(server, number, text) {
  const question = server.questions.get(number);
  if (question === undefined) return;
  server.questions.delete(number);
  server.questionsChanged();
  const answer = JSON.parse(text);
  if (answer.error) question.reject(new StateError(answer.error.code, answer.error.message));
  else question.resolve(answer);
}

module.exports = { State, StateError, stage, stageMessage, answered };
