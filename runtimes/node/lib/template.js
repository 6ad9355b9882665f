'use strict';
// A process that has run the function's initialisation and is then cloned instead of serving.
// docs/internals/cloning-runtimes.md.

const fs = require('fs');
const path = require('path');
const census = require('./census');
const unique = require('./unique');
const { rehearse } = require('./rehearsal');
const { open } = require('./serve');

const WORK_MS = 2000; // for what initialisation has begun in the background
const THREAD_MS = 1000; // for threads that are about to end

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const turn = () => new Promise((resolve) => setImmediate(resolve));

function take(name) {
  const value = process.env[name];
  delete process.env[name];
  return value;
}

// engine/frame_protocol.cc says why.
const OPTIONS = ['--single-threaded', '--no-memory-reducer'];

const { uptime } = process;

// Operations that run in libuv's threads, by the names of Node's resources.
const THREADED = /^(FS|GetAddrInfo|GetNameInfo|RandomBytes|PBKDF2|Scrypt|Sign|Hash|Key|Zlib|Work)/;

class Template {
  constructor() {
    this.takeSettings();
    this.addonPath =
      take('MAYFLY_NODE_ADDON') || path.join(path.dirname(this.library), 'mayfly_node.node');
    this.addon = null;
    this.loaded = false;
    this.why = null; // why the process cannot be cloned, if it cannot
    this.connections = [];
  }

  takeSettings() {
    this.control = Number(take('MAYFLY_TEMPLATE_FD'));
    this.library = take('MAYFLY_CLONE_LIB') || '';
  }

  // What comes first, and may come in a zygote.
  load() {
    this.loaded = true;
    try {
      this.addon = require(this.addonPath);
      this.addon.load(this.library);
    } catch (error) {
      this.why = `Mayfly's native library for Node cannot be used: ${error.message}`;
      return;
    }
    if (this.addon.threads() === null) {
      this.why = 'libmayfly_forksafe.so is not preloaded, or does not know this C library';
      return;
    }
    for (const word of OPTIONS) {
      if (process.execArgv.includes(word)) continue;
      this.why = `Node was started without ${word}`;
      return;
    }
    if (!this.addon.hideWorkers()) {
      this.why = `this build of Node ${process.version} does not show its platform`;
      return;
    }
    process.execArgv = process.execArgv.filter((word) => !OPTIONS.includes(word));
    unique.install(this.addon);
  }

  // Before the user's code is loaded.
  async prepare() {
    if (!this.loaded) this.load();
    if (this.why !== null) return;
    this.become([]); // as in a clone, so that V8 need not compile it there
    // libuv starts its threads at the first use, all at once: so that they are not the user's.
    await fs.promises.stat('/');
    await turn();
    for (let wait = 1; this.activeRequests() > 0 && wait < 64; wait *= 2) await pause(wait);
    this.threads = new Set(census.threadIds());
    this.idle = new Set(this.addon.threads().flatMap(({ tid, waiting }) => (waiting ? [tid] : [])));
    this.descriptors = census.descriptors();
  }

  activeRequests() {
    return this.addon.activeRequests();
  }

  // After initialisation and its hooks: finds out whether the process can be cloned. Resolves
  // with the members of ready.
  async settle(app) {
    if (this.why === null) {
      this.collect();
      await rehearse(app, this.addon.pair(), open);
      this.why = await this.wait();
    }
    if (this.why !== null) return { cloneable: false, why: this.why };
    const { connections, notes } = census.opened(this.descriptors);
    this.connections = connections;
    const ownSqlite = process.moduleLoadList?.includes('NativeModule sqlite') === true;
    app.notes.push(...notes, ...this.addon.look(ownSqlite));
    app.notes.push(...unique.notes(process.env.LAMBDA_TASK_ROOT));
    return { cloneable: true };
  }

  // A heap without garbage is cloned faster, and clones need not clean it up, each for itself.
  collect() {
    const v8 = require('v8');
    v8.setFlagsFromString('--expose-gc');
    require('vm').runInNewContext('gc')();
    v8.setFlagsFromString('--no-expose-gc');
  }

  foreignThreads() {
    return census.threadIds().filter((id) => !this.threads.has(id));
  }

  busyThreads() {
    return this.addon.threads().filter(({ tid, waiting }) => !waiting && this.idle.has(tid));
  }

  // Waits until nothing runs beside the main thread. Resolves with why it does not come to that.
  async wait() {
    const begin = Date.now();
    for (;;) {
      const foreign = this.foreignThreads();
      if (foreign.length === 0 && this.busyThreads().length === 0 && this.activeRequests() === 0) {
        // What has ended just now may begin something else when it is told so.
        await turn();
        await turn();
        if (this.isStill()) return null;
      }
      const passed = Date.now() - begin;
      if (foreign.length > 0 && passed > THREAD_MS) return this.sayThreads(foreign);
      if (passed > WORK_MS) return this.sayWork();
      await pause(5);
    }
  }

  isStill() {
    return (
      this.foreignThreads().length === 0 &&
      this.busyThreads().length === 0 &&
      this.activeRequests() === 0
    );
  }

  sayThreads(ids) {
    const found = census.describeThreads(ids, this.addon.threads());
    return (
      `initialisation has started threads that still run: ${found.join(', ')}. A process with ` +
      'threads cannot be cloned; start them in the handler, or end them in mayfly.beforeSnapshot()'
    );
  }

  // Connections that are being made do not run in threads: they are cut like those that stand.
  sayWork() {
    const names = process.getActiveResourcesInfo().filter((name) => THREADED.test(name));
    if (this.busyThreads().length === 0 && names.length === 0) return null;
    const kinds = [...new Set(names)].join(', ');
    return (
      `work that initialisation has begun in the background${kinds && ` (${kinds})`} has not ` +
      `ended after ${WORK_MS / 1000} s`
    );
  }

  // Before run(): so that V8 need not compile in each clone what the first turn of its loop runs.
  async warm() {
    unique.keep(false);
    await pause(1);
  }

  // Waits for orders. Returns in the clones, with the process made their own.
  run() {
    const environment = this.addon.clone(this.control, this.connections);
    if (environment === null) this.addon.exit(0);
    unique.keep(true);
    this.become(environment);
  }

  become(environment) {
    const { addon } = this;
    unique.reseed(addon);
    for (const line of environment) {
      const at = line.indexOf('=');
      if (at > 0) process.env[line.slice(0, at)] = line.slice(at + 1);
    }
    Object.defineProperty(process, 'pid', {
      value: addon.pid(),
      writable: false,
      enumerable: true,
      configurable: true,
    });
    process.reallyExit = (code) => addon.exit(code === undefined ? 0 : Number(code) & 0xff);
    const before = uptime.call(process);
    process.uptime = () => uptime.call(process) - before;
  }
}

// The template that the process is to be. begun: by a zygote, if it was one.
function fromEnvironment(begun = null) {
  if (begun === null) return new Template();
  begun.takeSettings();
  return begun;
}

module.exports = { fromEnvironment };
