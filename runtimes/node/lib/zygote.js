'use strict';
// A process with Node and this runtime loaded, and nothing of any user's. The templates of new
// versions are forked from it instead of being started. docs/internals/cloning-runtimes.md.

const OWN = 'libmayfly_forksafe.so';

// What every template needs.
function loadRuntime() {
  for (const name of ['hooks', 'load', 'console', 'awslambda', 'serve', 'event', 'rehearsal']) {
    require(`./${name}`);
  }
  require('v8');
  void require('fs').promises; // loads a dozen of Node's own modules at the first use
}

// The environment is the program's own, without the library that Node needs to be forked.
function setEnvironment(lines) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const line of lines) {
    const at = line.indexOf('=');
    if (at <= 0) continue;
    const own = line.startsWith('LD_PRELOAD=') && line.endsWith(`/${OWN}`);
    if (!own) process.env[line.slice(0, at)] = line.slice(at + 1);
  }
}

// Waits for orders and forks for each. Returns in the programs, with a template that has the first
// part of its preparations behind it.
function run() {
  const control = Number(process.env.MAYFLY_ZYGOTE_FD);
  delete process.env.MAYFLY_ZYGOTE_FD;
  const template = require('./template').fromEnvironment();
  template.load();
  if (template.why !== null) {
    process.exitCode = 1;
    throw new Error(template.why);
  }
  loadRuntime();
  template.collect();
  template.addon.hugeText(); // else each clone finds Node's code again, page by page
  const lines = template.addon.zygote(control);
  if (lines === null) template.addon.exit(0);
  setEnvironment(lines);
  require('./console').readEnvironment();
  require('./context').readEnvironment();
  process.chdir('.'); // Node remembers the folder in which it was started
  return template;
}

module.exports = { run };
