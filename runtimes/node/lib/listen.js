'use strict';
// Apps that call listen() while they are loaded: the server is kept, and does not listen. Its
// requests come over frames.

const http = require('http');
const net = require('net');

function pretendToListen(server, args, port) {
  const callback = args.find((arg) => typeof arg === 'function');
  if (callback !== undefined) server.once('listening', callback);
  let open = true;
  const define = (name, descriptor) =>
    Object.defineProperty(server, name, { configurable: true, ...descriptor });
  define('listening', { get: () => open });
  define('address', {
    value: () => ({ address: '127.0.0.1', family: 'IPv4', port: Number(port) || 8080 }),
  });
  define('close', {
    value: (done) => {
      const error = open
        ? undefined
        : Object.assign(new Error('Server is not running.'), { code: 'ERR_SERVER_NOT_RUNNING' });
      open = false;
      process.nextTick(() => {
        if (typeof done === 'function') done(error);
        if (error === undefined) server.emit('close');
      });
      return server;
    },
  });
  process.nextTick(() => server.emit('listening'));
}

function portOf(args) {
  const [first] = args;
  return first !== null && typeof first === 'object' ? first.port : first;
}

function captureListen(port) {
  const original = net.Server.prototype.listen;
  const captured = [];
  let notify = null;

  net.Server.prototype.listen = function listen(...args) {
    if (!(this instanceof http.Server)) return original.apply(this, args);
    if (!captured.some(({ server }) => server === this)) {
      captured.push({ server: this, args });
      pretendToListen(this, args, port);
    }
    if (notify !== null) notify(true);
    return this;
  };

  return {
    get servers() {
      return captured;
    },

    // The server of the app: the one on $PORT where there are several.
    chosen() {
      const named = captured.find(({ args }) => String(portOf(args)) === String(port));
      return (named || captured[0]).server;
    },

    // Waits until a server listens; false when nothing is left that could make it do so.
    wait() {
      if (captured.length > 0) return Promise.resolve(true);
      return new Promise((resolve) => {
        const idle = () => resolve(false);
        process.once('beforeExit', idle);
        notify = (value) => {
          process.removeListener('beforeExit', idle);
          resolve(value);
        };
      });
    },

    release() {
      net.Server.prototype.listen = original;
    },
  };
}

module.exports = { captureListen };
