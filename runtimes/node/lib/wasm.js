'use strict';
// SQLite compiled to WebAssembly (sql.js, node-sqlite3-wasm and others), in a template: its seed lies
// somewhere in the memory of the module, which shows no function that would draw another. So the
// person who deploys is told. Modules are told apart by their bytes: packages bring them along in
// several ways.

const MARK = 'unable to delete/modify user-function due to active'; // one of SQLite's messages

const bytesOf = (source) => {
  if (ArrayBuffer.isView(source)) {
    return Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  }
  const plain = source instanceof ArrayBuffer || source instanceof SharedArrayBuffer;
  return plain ? Buffer.from(source) : null; // else a Module, or an error soon
};

let found = false;

function look(source) {
  if (!found) found = bytesOf(source)?.includes(MARK) ?? false;
}

// Before the user's code is loaded. isCloned(): whether it does not matter any more.
function install(isCloned) {
  for (const name of ['compile', 'instantiate']) {
    const inner = WebAssembly[name];
    const outer = {
      [name](source) {
        if (!isCloned()) look(source);
        return inner.apply(this, arguments);
      },
    }[name];
    const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(WebAssembly, name);
    Object.defineProperty(WebAssembly, name, { value: outer, writable, enumerable, configurable });
  }
  const { Module } = WebAssembly;
  WebAssembly.Module = new Proxy(Module, {
    construct(target, given, newTarget) {
      if (!isCloned()) look(given[0]);
      return Reflect.construct(target, given, newTarget === WebAssembly.Module ? target : newTarget);
    },
  });
}

// Sentences for the person who deploys.
function notes() {
  if (!found) return [];
  return [
    'initialisation has loaded a SQLite in WebAssembly, which cannot be seeded anew: if random() or ' +
      'randomblob() is used there, all instances get the same values from it; open the database in ' +
      'mayfly.afterRestore() or in the handler',
  ];
}

module.exports = { install, notes };
