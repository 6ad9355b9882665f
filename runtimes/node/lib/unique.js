'use strict';
// Randomness in a template: what was drawn before the clone must not be the same in every clone.
// docs/internals/cloning-runtimes.md says what is reset and why.
//
// install() comes before the user's code is loaded, keep() and reseed() first thing in a clone.

const crypto = require('crypto');
const fs = require('fs');
const { Module, syncBuiltinESMExports } = require('module');
const path = require('path');
const vm = require('vm');
const wasm = require('./wasm');

const COPY_BYTES = 16 << 20; // of random bytes that are remembered
const RUN_BYTES = 4; // fewer equal bytes in a row may be chance
const UUIDS_CACHED = 128; // by Node
const INTS_CACHED = 1024; // by Node

const original = {
  randomBytes: crypto.randomBytes,
  randomFillSync: crypto.randomFillSync,
  randomUUID: crypto.randomUUID,
  randomInt: crypto.randomInt,
};

let cloned = false;

// ---- Math.random

// V8 keeps a cache of numbers and the state they come from in each context, out of reach. So the
// numbers come from a cache of our own, which the addon fills.
const CACHED = 512;
const numbers = new Float64Array(CACHED);
let at = CACHED;

function installMathRandom(addon) {
  const random = () => {
    if (at === CACHED) {
      addon.fill(numbers);
      at = 0;
    }
    return numbers[at++];
  };
  const define = (math) => {
    const descriptor = Object.getOwnPropertyDescriptor(math, 'random');
    Object.defineProperty(math, 'random', { ...descriptor, value: random });
  };
  define(Math);
  // Other contexts have a Math of their own.
  const within = (context) => {
    define(vm.runInContext('Math', context));
    return context;
  };
  const { createContext } = vm;
  vm.createContext = function (object, options) {
    const known = typeof object === 'object' && object !== null && vm.isContext(object);
    const context = createContext.apply(this, arguments);
    return known ? context : within(context);
  };
  // runInNewContext(object, options) of a script, with the options of a new context.
  vm.Script.prototype.runInNewContext = function (object, options) {
    const given = options || {};
    const context = vm.createContext(object === undefined ? {} : object, {
      name: given.contextName,
      origin: given.contextOrigin,
      codeGeneration: given.contextCodeGeneration,
      microtaskMode: given.microtaskMode,
    });
    return this.runInContext(context, options);
  };
  vm.runInNewContext = function (code, object, options) {
    const given = typeof options === 'string' ? { filename: options } : options;
    return new vm.Script(code, given).runInNewContext(object, given);
  };
}

// ---- buffers that were filled with random bytes

let remembered = []; // { memory: WeakRef of an ArrayBuffer, offset, copy: what was filled in }
let copied = 0;
let forgotten = 0;
let pruneAt = 256;

function prune() {
  remembered = remembered.filter(({ memory, copy }) => {
    const alive = memory.deref() !== undefined;
    if (!alive) copied -= copy.length;
    return alive;
  });
  pruneAt = Math.max(256, remembered.length * 2);
}

function remember(view, offset = 0, size = undefined) {
  if (cloned) return;
  const memory = ArrayBuffer.isView(view) ? view.buffer : view;
  const unit = ArrayBuffer.isView(view) ? view.BYTES_PER_ELEMENT || 1 : 1;
  const start = (ArrayBuffer.isView(view) ? view.byteOffset : 0) + offset * unit;
  const end = ArrayBuffer.isView(view) ? view.byteOffset + view.byteLength : view.byteLength;
  const length = size === undefined ? end - start : size * unit;
  if (remembered.length >= pruneAt || copied + length > COPY_BYTES) prune();
  if (copied + length > COPY_BYTES) {
    forgotten += length;
    return;
  }
  copied += length;
  const copy = new Uint8Array(memory, start, length).slice();
  remembered.push({ memory: new WeakRef(memory), offset: start, copy });
}

// Fills anew what is still as it was filled: a program may have set some bytes (a UUID's version),
// or put the memory to another use.
function refill() {
  const alive = [];
  let total = 0;
  for (const { memory, offset, copy } of remembered) {
    const target = memory.deref();
    if (target === undefined || target.byteLength < offset + copy.length) continue;
    alive.push({ now: new Uint8Array(target, offset, copy.length), copy });
    total += copy.length;
  }
  remembered = [];
  copied = 0;
  if (total === 0) return;
  const fresh = original.randomFillSync(new Uint8Array(total));
  let used = 0;
  for (const { now, copy } of alive) {
    for (let from = 0; from < copy.length; ) {
      let to = from;
      while (to < copy.length && now[to] === copy[to]) to++;
      if (to - from >= Math.min(RUN_BYTES, copy.length)) {
        now.set(fresh.subarray(used + from, used + to), from);
      }
      from = to + 1;
    }
    used += copy.length;
  }
}

function wrap(object, name, make) {
  const descriptor = Object.getOwnPropertyDescriptor(object, name);
  if (descriptor === undefined || !descriptor.configurable || !descriptor.value) return;
  const inner = descriptor.value;
  const outer = make(inner);
  const own = Object.getOwnPropertyDescriptors(inner); // name, length, and what promisify looks at
  delete own.prototype;
  Object.defineProperties(outer, own);
  Object.defineProperty(object, name, { ...descriptor, value: outer });
}

function installFills() {
  const sync = (inner) =>
    function (view, offset, size) {
      const result = inner.apply(this, arguments);
      remember(view, offset, size);
      return result;
    };
  const bytes = (inner) =>
    function (size, callback) {
      if (typeof callback !== 'function') {
        const result = inner.apply(this, arguments);
        if (result !== undefined) remember(result);
        return result;
      }
      return inner.call(this, size, function (error, result) {
        if (!error) remember(result);
        return callback.apply(this, arguments);
      });
    };
  const fill = (inner) =>
    function (view, ...rest) {
      const callback = rest.pop();
      if (typeof callback !== 'function') return inner.apply(this, arguments);
      return inner.call(this, view, ...rest, function (error) {
        if (!error) remember(view, ...rest);
        return callback.apply(this, arguments);
      });
    };
  wrap(crypto, 'randomFillSync', sync);
  wrap(crypto, 'randomFill', fill);
  for (const name of ['randomBytes', 'pseudoRandomBytes', 'prng', 'rng']) wrap(crypto, name, bytes);
  wrap(Object.getPrototypeOf(crypto.webcrypto), 'getRandomValues', (inner) => {
    return function (view) {
      const result = inner.apply(this, arguments);
      remember(view);
      return result;
    };
  });
}

// ---- the caches of randomUUID and randomInt

let uuidsCached = false;
let intsCached = false;

function installCaches() {
  const uuid = (inner) =>
    function (options) {
      if (cloned || (options !== undefined && (typeof options !== 'object' || options === null))) {
        return inner.apply(this, arguments);
      }
      return inner.call(this, { ...options, disableEntropyCache: true });
    };
  wrap(crypto, 'randomUUID', uuid);
  // That of webcrypto takes no options: the same thing without the cache.
  wrap(Object.getPrototypeOf(crypto.webcrypto), 'randomUUID', (inner) => {
    return function () {
      if (cloned || !(this instanceof crypto.webcrypto.constructor)) return inner.apply(this);
      return original.randomUUID({ disableEntropyCache: true });
    };
  });
  wrap(URL, 'createObjectURL', (inner) => {
    return function () {
      uuidsCached = !cloned || uuidsCached;
      return inner.apply(this, arguments);
    };
  });
  wrap(crypto, 'randomInt', (inner) => {
    return function () {
      if (!cloned) intsCached = true;
      else if (intsCached) {
        intsCached = false;
        for (let i = 0; i < INTS_CACHED; i++) original.randomInt(1);
      }
      return inner.apply(this, arguments);
    };
  });
}

// ---- what packages keep in variables of their own

// v1 of the package uuid (of all its versions, as CommonJS) keeps the node and the clock sequence of
// its first call, and two clones that call it within a millisecond would get the same UUID. In a
// template each call has others, so that a clone's first call finds none kept.
const UUID_V1 = /[\\/]node_modules[\\/]uuid[\\/](?:dist[\\/](?:cjs[\\/])?)?v1\.js$/;

function withoutKeptNode(v1) {
  return function (options, ...rest) {
    if (cloned) return v1.call(this, options, ...rest);
    const fresh = original.randomBytes(8);
    const node = [...fresh.subarray(0, 6)];
    node[0] |= 1; // no network card's
    return v1.call(this, { node, clockseq: fresh.readUInt16LE(6) & 0x3fff, ...options }, ...rest);
  };
}

// These compute what makes their ids unique when they are loaded, and keep it as text or numbers.
const KEEPERS = /[\\/]node_modules[\\/](hyperid|uniqid|xid-js|flake-idgen|mongoid-js|id128)[\\/]/;
const keepers = new Set();

// From this version on uuid has ES modules that Node imports past Module.prototype.load.
const UUID_OF_MODULES = 11;
let required = false; // v1 of uuid, and so handled

function manifest(...folder) {
  try {
    return JSON.parse(fs.readFileSync(path.join(...folder, 'package.json'), 'utf8')) || {};
  } catch {
    return {};
  }
}

// The version of uuid that the user's code depends on, if it may be imported as an ES module.
function importedUuid(root) {
  if (required || !root) return null;
  const { dependencies } = manifest(root);
  if (dependencies && !Object.hasOwn(Object(dependencies), 'uuid')) return null;
  const { name, version } = manifest(root, 'node_modules', 'uuid');
  return name === 'uuid' && parseInt(version, 10) >= UUID_OF_MODULES ? String(version) : null;
}

function installPackages() {
  const { load } = Module.prototype;
  Module.prototype.load = function (filename) {
    const result = load.apply(this, arguments);
    if (cloned) return result;
    const keeper = KEEPERS.exec(filename);
    if (keeper !== null) keepers.add(keeper[1]);
    if (UUID_V1.test(filename)) {
      required = true;
      const own = Object.getOwnPropertyDescriptor(Object(this.exports), 'default');
      if (typeof this.exports === 'function') this.exports = withoutKeptNode(this.exports);
      else if (typeof own?.value === 'function' && own.writable) {
        this.exports.default = withoutKeptNode(own.value);
      }
    }
    return result;
  };
}

// ---- keys

const made = new Set();

// Keys cannot be made anew for those who hold them: the person who deploys is told.
function installKeys() {
  for (const name of ['generateKey', 'generateKeyPair']) {
    for (const each of [name, `${name}Sync`]) {
      wrap(crypto, each, (inner) => {
        return function () {
          if (!cloned) made.add(`crypto.${each}`);
          return inner.apply(this, arguments);
        };
      });
    }
  }
}

// ----

function install(addon) {
  addon.reseed();
  installMathRandom(addon);
  installFills();
  installCaches();
  installPackages();
  installKeys();
  wasm.install(() => cloned);
  syncBuiltinESMExports();
}

// True in a clone: what is drawn from now on is its own, and may stay.
function keep(value) {
  cloned = value;
}

// In a clone, before anything of the user's runs.
function reseed(addon) {
  addon.reseed();
  at = CACHED;
  refill();
  if (uuidsCached) for (let i = 0; i < UUIDS_CACHED; i++) original.randomUUID();
}

// What every clone will have in common. root: the folder of the user's code.
function notes(root) {
  const found = [];
  if (made.size > 0) {
    found.push(
      `initialisation has made a key with ${[...made].join(', ')}: every instance has the same one ` +
        'unless it is made in mayfly.afterRestore() or in the handler',
    );
  }
  if (keepers.size > 0) {
    found.push(
      `initialisation has loaded ${[...keepers].join(', ')}: instances may give out the same ids ` +
        'unless it is loaded in mayfly.afterRestore() or in the handler',
    );
  }
  const uuid = importedUuid(root);
  if (uuid !== null) {
    found.push(
      `the package has uuid ${uuid}: imported as an ES module, its v1() and v6() may give instances ` +
        'the same ids if initialisation calls them; call them first in mayfly.afterRestore() or in the ' +
        'handler, or use v4() or v7()',
    );
  }
  if (forgotten > 0) {
    found.push(
      `initialisation has drawn more than ${COPY_BYTES >> 20} MiB of random bytes: ${forgotten} ` +
        'bytes are the same in every instance',
    );
  }
  found.push(...wasm.notes());
  return found;
}

module.exports = { install, keep, reseed, notes };
