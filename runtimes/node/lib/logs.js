'use strict';
// Output of the user's code, attributed to the invocation that wrote it.
//
// Where one invocation runs at a time, `state.sole` names it; where several run, AsyncLocalStorage
// does. Each writer is an object with a `stream` number. What is written before the channel is open
// goes to the pipes on fd 1 and 2.

const fs = require('fs');

const MAX_LINE = 64 << 10; // an unfinished line longer than this is sent in pieces

const state = { channel: null, sole: null, storage: null, process: { stream: 0, partial: null } };

function writer() {
  if (state.storage !== null) {
    const found = state.storage.getStore();
    if (found !== undefined) return found;
  }
  return state.sole === null ? state.process : state.sole;
}

function emit(target, which, text) {
  if (state.channel !== null) {
    state.channel.log(target.stream, which, text);
    return;
  }
  let data = Buffer.from(text);
  while (data.length > 0) {
    try {
      data = data.subarray(fs.writeSync(which, data));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
    }
  }
}

// Sends unfinished lines: call when partial is not null.
function finish(target) {
  const partial = target.partial;
  target.partial = null;
  for (const which of [1, 2]) if (partial[which] !== '') emit(target, which, partial[which] + '\n');
}

function write(which, text) {
  const target = writer();
  const at = text.lastIndexOf('\n');
  if (at >= 0 && at === text.length - 1 && target.partial === null) {
    emit(target, which, text);
    return;
  }
  if (target.partial === null) target.partial = ['', '', ''];
  if (at >= 0) {
    const line = target.partial[which] + text.slice(0, at + 1);
    target.partial[which] = text.slice(at + 1);
    emit(target, which, line);
  } else {
    target.partial[which] += text;
    if (target.partial[which].length > MAX_LINE) {
      const line = target.partial[which];
      target.partial[which] = '';
      emit(target, which, line + '\n');
    }
  }
}

function replaceWrite(stream, which) {
  stream.write = (chunk, encoding, callback) => {
    if (typeof encoding === 'function') {
      callback = encoding;
      encoding = undefined;
    }
    if (typeof chunk === 'string') {
      write(
        which,
        encoding && encoding !== 'utf8' && encoding !== 'utf-8'
          ? Buffer.from(chunk, encoding).toString()
          : chunk,
      );
    } else if (ArrayBuffer.isView(chunk)) {
      write(which, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString());
    } else {
      throw new TypeError('The "chunk" argument must be of type string, Buffer or Uint8Array');
    }
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  };
}

// Lazily: making process.stdout takes a millisecond that silent functions need not pay.
function replace(name, which) {
  const original = Object.getOwnPropertyDescriptor(process, name);
  let made = null;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() {
      if (made === null) {
        made = original.get ? original.get.call(process) : original.value;
        replaceWrite(made, which);
      }
      return made;
    },
    set(value) {
      made = value;
    },
  });
}

function install() {
  replace('stdout', 1);
  replace('stderr', 2);
}

function openChannel(channel) {
  if (state.process.partial !== null) finish(state.process); // to the pipes
  state.channel = channel;
}

module.exports = { state, install, openChannel, finish, emit, write, writer };
