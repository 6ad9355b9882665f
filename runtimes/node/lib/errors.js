'use strict';
// What went wrong in the user's code, in the form of AWS Lambda's Node.js runtime.

const path = require('path');

const HERE = path.dirname(__dirname) + path.sep;

class InitError extends Error {
  constructor(error, text) {
    super(error.errorMessage);
    this.error = error;
    this.text = text || logText(error);
  }
}

function fault(errorType, errorMessage, trace = []) {
  return { errorType, errorMessage, trace };
}

// The lines of a stack without the runtime's own.
function traceOf(error) {
  if (typeof error.stack !== 'string') return [];
  return error.stack
    .split('\n')
    .filter((line) => !line.includes(HERE) && !line.includes('node:internal/'));
}

function isError(value) {
  return (
    value instanceof Error ||
    (typeof value === 'object' &&
      value !== null &&
      typeof value.stack === 'string' &&
      typeof value.message === 'string')
  );
}

// The error JSON of what was thrown.
function describe(thrown) {
  if (isError(thrown)) {
    return fault(String(thrown.name || 'Error'), String(thrown.message), traceOf(thrown));
  }
  if (thrown === undefined || thrown === null) return fault('string', 'handled');
  try {
    return fault(typeof thrown, String(thrown));
  } catch {
    return fault(
      'handled',
      'callback called with Error argument, but there was a problem while retrieving one or more ' +
        'of its message, name, and stack',
    );
  }
}

function logText(error) {
  const title = `${error.errorType}: ${error.errorMessage}`;
  const titled = error.trace.length > 0 && error.trace[0].startsWith(error.errorType);
  const lines = titled ? error.trace : [title, ...error.trace];
  return `ERROR\t${lines.join('\n')}\n`;
}

// As logText, with the causes.
function logTextOf(thrown, error) {
  let text = logText(error);
  let cause = isError(thrown) ? thrown.cause : undefined;
  for (let depth = 0; cause !== undefined && cause !== null && depth < 8; depth++) {
    const described = describe(cause);
    text += `caused by ${logText(described).slice('ERROR\t'.length)}`;
    cause = cause.cause;
  }
  return text;
}

const cancelledFault = () =>
  fault('Runtime.Cancelled', 'The invocation was cancelled: the caller is gone or it is late.');

// A message without the lines that name the runtime's own files ("Require stack").
function withoutOurs(message) {
  return String(message)
    .split('\n')
    .filter((line) => !line.includes(HERE))
    .join('\n');
}

module.exports = {
  withoutOurs,
  InitError,
  fault,
  describe,
  traceOf,
  isError,
  logText,
  logTextOf,
  cancelledFault,
};
