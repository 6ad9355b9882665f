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
// beside the usual ones.
function serve(app, fd = 3, ready = {}) {
  require('./lib/serve').serve(app, fd, ready);
}

// The template says that it is ready, and each of its clones goes on from here. What they all would
// do before their first frame is done before they are made, unless hooks come in between.
async function serveClones(template, app, ready, release) {
  const { announce, prepare, start, guardInitialisation } = require('./lib/serve');
  const hooks = require('./lib/hooks');
  await template.warm();
  const serving = prepare(app, 3);
  const begin = () => {
    start(serving);
    serving.channel.begin();
  };
  const early = !hooks.waitAfter();
  if (early) {
    begin(); // reads nothing: from here on the template's loop does not turn
    await new Promise(process.nextTick);
  }
  announce(app, 3, ready);
  release();
  template.run(); // returns in each clone
  if (early) return;
  const releaseClone = guardInitialisation(3);
  await hooks.runAfter();
  releaseClone();
  begin();
}

async function main() {
  // Returns in each program.
  const fork = process.env.MAYFLY_ZYGOTE_FD ? require('./lib/zygote').run() : null;
  const { reportInitError, guardInitialisation } = require('./lib/serve');
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
    const ready = template === null ? {} : await template.settle(app);
    if (ready.cloneable) return await serveClones(template, app, ready, release);
    await hooks.runAfter();
    release();
    serve(app, 3, ready);
  } catch (error) {
    reportInitError(error, 3);
  }
}

if (require.main === module) main();

module.exports = { initialise, serve };
