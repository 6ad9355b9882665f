'use strict';
// The context object of event handlers.

const { State, stageMessage } = require('./state');

const env = process.env;
let FUNCTION_NAME, FUNCTION_VERSION, MEMORY_LIMIT, LOG_GROUP;

// As this module is loaded, and once more in a program that comes from a zygote.
function readEnvironment() {
  FUNCTION_NAME = env.AWS_LAMBDA_FUNCTION_NAME || '';
  FUNCTION_VERSION = env.AWS_LAMBDA_FUNCTION_VERSION || '$LATEST';
  MEMORY_LIMIT = env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE || '';
  LOG_GROUP = env.AWS_LAMBDA_LOG_GROUP_NAME || '';
}
readEnvironment();

function clientContextOf(text) {
  if (!text || typeof text !== 'string') return text || undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// AWS's members as own properties; state and send(), which are Mayfly's, on the prototype.
class Context {
  #call;

  constructor(call) {
    this.#call = call;
    const meta = JSON.parse(call.metaText);
    this.callbackWaitsForEmptyEventLoop = true;
    this.functionVersion = FUNCTION_VERSION;
    this.functionName = FUNCTION_NAME;
    this.memoryLimitInMB = MEMORY_LIMIT;
    this.logGroupName = LOG_GROUP;
    this.logStreamName = env.AWS_LAMBDA_LOG_STREAM_NAME || ''; // a clone has its own
    this.clientContext = clientContextOf(meta.client_context);
    this.identity = undefined;
    this.invokedFunctionArn = meta.arn || '';
    this.awsRequestId = meta.id || '';
    this.tenantId = undefined;
    const deadline = meta.deadline_ms || 0;
    this.getRemainingTimeInMillis = () => Math.max(0, deadline - Date.now());
  }

  static callOf(context) {
    return context.#call;
  }

  get state() {
    return new State(this.#call);
  }

  send(queue, body, options) {
    stageMessage(this.#call, queue, body, options);
  }
}

const NAMES = [
  'functionVersion',
  'functionName',
  'memoryLimitInMB',
  'logGroupName',
  'logStreamName',
  'clientContext',
  'identity',
  'invokedFunctionArn',
  'awsRequestId',
  'tenantId',
  'getRemainingTimeInMillis',
];

// For handlers that do not declare the parameter and hardly ever ask for it: the meta JSON is
// parsed with the first question.
class LazyContext {
  #call;
  #full = null;

  constructor(call) {
    this.callbackWaitsForEmptyEventLoop = true;
    this.#call = call;
  }

  full() {
    if (this.#full === null) this.#full = new Context(this.#call);
    return this.#full;
  }

  static callOf(context) {
    return context.#call;
  }

  get state() {
    return new State(this.#call);
  }

  send(queue, body, options) {
    stageMessage(this.#call, queue, body, options);
  }

  toJSON() {
    return this.full();
  }

  [Symbol.for('nodejs.util.inspect.custom')]() {
    return this.full();
  }
}

for (const name of NAMES) {
  Object.defineProperty(LazyContext.prototype, name, {
    enumerable: true,
    configurable: true,
    get() {
      return this.full()[name];
    },
    set(value) {
      Object.defineProperty(this, name, {
        value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    },
  });
}

function makeContext(call, declared) {
  return declared ? new Context(call) : new LazyContext(call);
}

function define(prototype, callOf) {
  const method = (name, make) => ({
    enumerable: true,
    configurable: true,
    get() {
      return make(this);
    },
    set(value) {
      // Wrappers of handlers put their own in its place.
      const own = { value, enumerable: true, writable: true, configurable: true };
      Object.defineProperty(this, name, own);
    },
  });
  // The old ways to end an invocation; they do not wait for the event loop.
  const end = (context, error, result) => {
    const call = callOf(context);
    context.callbackWaitsForEmptyEventLoop = false;
    call.server.called(call, context, error, result);
  };
  Object.defineProperties(prototype, {
    done: method('done', (context) => (error, result) => end(context, error, result)),
    succeed: method('succeed', (context) => (result) => end(context, null, result)),
    fail: method('fail', (context) => (error) => end(context, error ?? 'handled')),
  });
}

define(Context.prototype, Context.callOf);
define(LazyContext.prototype, LazyContext.callOf);

module.exports = { makeContext, readEnvironment };
