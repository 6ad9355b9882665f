'use strict';
// Starts a Node function: node /var/runtime/main.js, frame channel on fd 3.
//
// Two strictly separate steps, so that a template process can be forked between them: initialise()
// loads the user's code and opens nothing; serve() opens the channel and answers invocations.

const logs = require('./lib/logs');

// Loads the user's code and what it takes to serve it. Resolves with the app; rejects with InitError.
async function initialise(environ) {
  const load = require('./lib/load');
  logs.install();
  require('./lib/awslambda').install();
  const app = await load.load(load.settingsFrom(environ));
  require('./lib/serve').serverOf(app);
  return app;
}

// Serves the app on the frame channel until it is shut down.
function serve(app, fd = 3) {
  require('./lib/serve').serve(app, fd);
}

async function main() {
  const { reportInitError, guardInitialisation } = require('./lib/serve');
  const release = guardInitialisation(3);
  let app;
  try {
    app = await initialise(process.env);
  } catch (error) {
    reportInitError(error, 3);
    return;
  }
  release();
  serve(app);
}

if (require.main === module) main();

module.exports = { initialise, serve };
