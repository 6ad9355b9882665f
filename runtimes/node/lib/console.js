'use strict';
// console.* of event handlers as AWS's Node.js runtime prints it: a line with time, request id and
// level, or one JSON object (AWS_LAMBDA_LOG_FORMAT), from AWS_LAMBDA_LOG_LEVEL on. Web apps keep
// the console of Node.

const util = require('util');
const logs = require('./logs');

const PRIORITY = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const METHODS = [
  ['trace', 'TRACE', 2],
  ['debug', 'DEBUG', 1],
  ['info', 'INFO', 1],
  ['log', 'INFO', 1],
  ['warn', 'WARN', 2],
  ['error', 'ERROR', 2],
  ['fatal', 'FATAL', 2],
];

let JSON_LINES = false;
let LEAST = PRIORITY.TRACE;

// As this module is loaded, and once more in a program that comes from a zygote.
function readEnvironment() {
  JSON_LINES = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  LEAST = PRIORITY[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || PRIORITY.TRACE;
}
readEnvironment();

const state = { lambda: false };

// Whether what runs is an event handler. Before that is known, a handler that was named counts.
function setLambda(value) {
  state.lambda = value;
}

function linesOf(error) {
  return typeof error.stack === 'string' ? error.stack.split('\n') : [];
}

function nameOf(error) {
  return (error.constructor && error.constructor.name) || 'UnknownError';
}

function replacer(key, value) {
  if (!(value instanceof Error)) return value;
  return {
    errorType: nameOf(value),
    errorMessage: value.message,
    stackTrace: linesOf(value),
    ...value,
  };
}

function jsonLine(level, params) {
  const line = { timestamp: new Date().toISOString(), level, requestId: logs.writer().requestId };
  if (params.length === 1) {
    [line.message] = params;
    try {
      return JSON.stringify(line, replacer);
    } catch {
      line.message = util.format(params[0]);
      return JSON.stringify(line);
    }
  }
  line.message = util.format(...params);
  const error = params.find((param) => param instanceof Error);
  if (error !== undefined) {
    line.errorType = nameOf(error);
    line.errorMessage = error.message;
    line.stackTrace = linesOf(error);
  }
  return JSON.stringify(line);
}

function textLine(level, params) {
  return `${new Date().toISOString()}\t${logs.writer().requestId}\t${level}\t${util.format(...params)}`;
}

function lineOf(level, params) {
  return `${JSON_LINES ? jsonLine(level, params) : textLine(level, params)}\n`;
}

// What is logged of an error that ends an invocation. title: "Invoke Error" and the like. trace:
// the lines of its stack that are shown.
function errorLine(title, thrown, trace) {
  const error = thrown instanceof Error ? thrown : new Error(thrown);
  if (JSON_LINES) return lineOf('ERROR', [error]);
  const known = { errorType: error.name, errorMessage: error.message, code: error.code };
  const stack = trace.length > 0 ? trace : linesOf(error).slice(0, 1);
  let text;
  try {
    text = JSON.stringify({ ...known, ...error, stack });
  } catch {
    text = JSON.stringify({ ...known, stack });
  }
  return lineOf('ERROR', [title, `\t${text}`]);
}

function install() {
  setLambda(Boolean(process.env._HANDLER));
  for (const [name, level, which] of METHODS) {
    const plain = (console[name] || console.error).bind(console);
    const silent = PRIORITY[level] < LEAST && level !== 'FATAL';
    console[name] = (...params) => {
      if (!state.lambda) plain(...params);
      else if (!silent) logs.write(which, lineOf(level, params));
    };
  }
}

module.exports = { install, setLambda, errorLine, readEnvironment };
