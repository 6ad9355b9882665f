'use strict';
// Forked by packages.js.
process.once('message', (number) => process.send(number + process.execArgv.length + 1, () => process.exit()));
