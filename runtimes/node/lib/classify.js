'use strict';
// What kind of thing an export is: 'event', 'listener', 'fetch', or null.

const http = require('http');

const REQUEST = /^_?(req|request)$/i;
const RESPONSE = /^_?(res|resp|response)$/i;
const EVENT_NAMES = new Set(['handler', 'lambda_handler']);

// Names of the first two parameters, as far as the source tells.
function parameters(fn) {
  const source = Function.prototype.toString.call(fn).slice(0, 300);
  const match =
    /^(?:async\s+)?(?:function\s*\*?\s*)?[\w$]*\s*\(\s*([\w$]+)\s*(?:,\s*([\w$]+))?/.exec(source);
  return match === null ? [] : [match[1], match[2]];
}

function takesRequestAndResponse(fn) {
  const [first, second] = parameters(fn);
  return (
    first !== undefined && second !== undefined && REQUEST.test(first) && RESPONSE.test(second)
  );
}

function isClass(fn) {
  return /^class\b/.test(Function.prototype.toString.call(fn));
}

function isServer(target) {
  return target instanceof http.Server;
}

// connect, express, restana: a function with methods.
function isAppFunction(target) {
  return typeof target.use === 'function' && typeof target.handle === 'function';
}

function isKoa(target) {
  return typeof target.callback === 'function' && typeof target.use === 'function';
}

function isFastify(target) {
  return (
    typeof target.ready === 'function' &&
    typeof target.inject === 'function' &&
    isServer(target.server)
  );
}

function isNest(target) {
  return typeof target.getHttpAdapter === 'function' && typeof target.init === 'function';
}

function classify(target, name) {
  if (target === null || target === undefined) return null;
  if (isServer(target)) return 'listener';
  if (typeof target === 'object') {
    if (isFastify(target) || isNest(target) || isKoa(target)) return 'listener';
    return typeof target.fetch === 'function' ? 'fetch' : null;
  }
  if (typeof target !== 'function') return null;
  if (isAppFunction(target)) return 'listener';
  if (name === 'fetch') return 'fetch';
  if (isClass(target)) return null;
  if (EVENT_NAMES.has(name)) return 'event';
  if (name === 'listener' || takesRequestAndResponse(target)) return 'listener';
  return 'event';
}

// The function that serves: (event, context), (req, res) or an object with fetch().
async function settle(kind, target, notes) {
  if (kind === 'fetch') {
    notes.push('fetch(request) handler');
    return { kind, target: typeof target === 'function' ? { fetch: target } : target };
  }
  if (kind !== 'listener') return { kind, target };
  if (isServer(target)) return { kind, target: (req, res) => target.emit('request', req, res) };
  notes.push('(req, res) listener');
  if (isFastify(target)) {
    await target.ready();
    return { kind, target: (req, res) => target.server.emit('request', req, res) };
  }
  if (isNest(target)) {
    await target.init();
    return { kind, target: target.getHttpAdapter().getInstance() };
  }
  if (typeof target === 'object' && isKoa(target)) return { kind, target: target.callback() };
  return { kind, target };
}

module.exports = { classify, settle };
