'use strict';
// Node handlers in the shapes that Lambda functions behind an API have.

const items = new Map([['1', { id: '1', name: 'pen' }]]);
const respond = (statusCode, body, headers = {}) => ({
  statusCode,
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

exports.api = async (event) => {
  const { method } = event.requestContext.http;
  const [last] = event.rawPath.split('/').slice(-1);
  if (method === 'GET' && last === 'items') return respond(200, [...items.keys()]);
  if (method === 'POST' && last === 'items') {
    const text = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString() : event.body;
    const item = JSON.parse(text);
    items.set(item.id, item);
    return respond(201, item, { Location: `items/${item.id}` });
  }
  return respond(404, { message: 'not found' });
};

exports.callback = (event, context, callback) => {
  setTimeout(() => callback(null, { doubled: event.number * 2 }), 5);
};

exports.callbackError = (event, context, callback) => callback(new RangeError('too much'));

exports.done = (event, context) => context.done(null, 'done');

exports.fails = (event, context) => context.fail(new Error('on purpose'));

exports.impatient = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false;
  setInterval(() => {}, 1000);
  callback(null, 'at once');
};

// Middleware around a handler, in the way of onion layers.
const layered =
  (handler, ...layers) =>
  async (event, context) => {
    const request = { event, context, response: null };
    for (const layer of layers) if (layer.before) await layer.before(request);
    try {
      request.response = await handler(request.event, request.context);
    } catch (error) {
      for (const layer of layers) if (layer.onError) await layer.onError(request, error);
      if (request.response === null) throw error;
    }
    for (const layer of [...layers].reverse()) if (layer.after) await layer.after(request);
    return request.response;
  };

const jsonBody = {
  before(request) {
    request.event = { ...request.event, body: JSON.parse(request.event.body || '{}') };
  },
};
const cors = {
  after(request) {
    request.response.headers = { ...request.response.headers, 'Access-Control-Allow-Origin': '*' };
  },
};
const errors = {
  onError(request, error) {
    request.response = respond(error.statusCode || 500, { message: error.message });
  },
};

exports.middleware = layered(
  async ({ body }) => {
    if (!body.name) throw Object.assign(new Error('name is missing'), { statusCode: 422 });
    return respond(200, { hello: body.name });
  },
  jsonBody,
  cors,
  errors,
);

// A handler as a method that needs its object.
class Service {
  constructor() {
    this.name = 'service';
    this.handler = this.handler.bind(this);
  }

  async handler(event, context) {
    return { name: this.name, request: context.awsRequestId.length > 0, event };
  }
}
exports.service = new Service();

exports.rest = async (...args) => ({ count: args.length, name: args[1].functionName });

exports.environment = async ({ names }) => Object.fromEntries(names.map((n) => [n, process.env[n]]));

exports.logger = async (event, { awsRequestId }) => {
  console.log(JSON.stringify({ level: 'INFO', message: 'structured', awsRequestId }));
  console.error('plain');
  return null;
};
