'use strict';
// The global `mayfly`: what a function wants to be done before its process becomes a template, and
// in each clone of it. An instance that is not cloned runs both, one after the other. Order as with AWS's SnapStart: before in reverse, after as registered.

const before = [];
const after = [];

function register(list, name, hook, args) {
  if (typeof hook !== 'function') {
    throw new TypeError(`mayfly.${name}() takes a function`);
  }
  list.push({ hook, args });
}

function install() {
  globalThis.mayfly = {
    beforeSnapshot: (hook, ...args) => register(before, 'beforeSnapshot', hook, args),
    afterRestore: (hook, ...args) => register(after, 'afterRestore', hook, args),
  };
}

async function runBefore() {
  while (before.length > 0) {
    const { hook, args } = before.pop();
    await hook(...args);
  }
}

async function runAfter() {
  for (const { hook, args } of after.splice(0)) await hook(...args);
}

// Whether runAfter() has anything to do.
const waitAfter = () => after.length > 0;

module.exports = { install, runBefore, runAfter, waitAfter };
