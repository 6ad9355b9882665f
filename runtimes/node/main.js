'use strict';
// Starts a Node function: node /var/runtime/main.js, frame channel on fd 3.
//
// Two strictly separate steps, so that a template process can be forked between them: initialise()
// loads the user's code and opens nothing; serve() opens the channel and answers invocations. With
// MAYFLY_TEMPLATE_FD the process is such a template: what it serves, it serves in its clones. With
// MAYFLY_ZYGOTE_FD it is a zygote, and becomes such a template in forks of itself.

const logs = require('./lib/logs');

// Loads the user's code and what it takes to serve it. Resolves with the app; rejects with InitError.
async function initialise(environ) {
  const load = require('./lib/load');
  logs.install();
  require('./lib/console').install();
  require('./lib/awslambda').install();
  const app = await load.load(load.settingsFrom(environ));
  require('./lib/serve').serverOf(app);
  return app;
}

// Serves the app on the frame channel until it is shut down. ready: members that its first frame has
// beside the usual ones; null: a clone, whose template has said that it is ready.
function serve(app, fd = 3, ready = {}) {
  require('./lib/serve').serve(app, fd, ready);
}

async function main() {
  // Returns in each program.
  const fork = process.env.MAYFLY_ZYGOTE_FD ? require('./lib/zygote').run() : null;
  const { reportInitError, guardInitialisation, announce } = require('./lib/serve');
  const hooks = require('./lib/hooks');
  hooks.install();
  let release = guardInitialisation(3);
  try {
    const template = process.env.MAYFLY_TEMPLATE_FD
      ? require('./lib/template').fromEnvironment(fork)
      : null;
    if (template !== null) await template.prepare();
    const app = await initialise(process.env);
    await hooks.runBefore();
    let ready = template === null ? {} : await template.settle(app);
    if (ready.cloneable) {
      announce(app, 3, ready);
      release();
      template.run(); // returns in each clone
      release = guardInitialisation(3);
      ready = null;
    }
    await hooks.runAfter();
    release();
    serve(app, 3, ready);
  } catch (error) {
    reportInitError(error, 3);
  }
}

if (require.main === module) main();

module.exports = { initialise, serve };
