'use strict';
// The event handler of the conformance suite: event.op says what to do.

const { existsSync } = require('fs');

console.log('loaded');

function fail(text) {
  throw new RangeError(text);
}

function* lines(count) {
  for (let number = 0; number < count; number++) yield `line ${number}\n`;
}

async function* blocks(count, size) {
  yield { statusCode: 200, headers: { 'content-type': 'application/x-blocks' } };
  for (let number = 0; number < count; number++) yield Buffer.alloc(size, 'b');
}

async function* endless() {
  try {
    for (;;) yield Buffer.alloc(65536, 'x');
  } finally {
    console.log('closed the stream');
  }
}

async function* binary() {
  for (let count = 0; count < 3; count++) yield Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
}

async function* failingStream() {
  yield 'before\n';
  throw new Error('in the middle');
}

function contextMembers(context) {
  return {
    request_id: context.awsRequestId,
    name: context.functionName,
    version: context.functionVersion,
    arn: context.invokedFunctionArn,
    memory: context.memoryLimitInMB,
    log_group: context.logGroupName,
    log_stream: context.logStreamName,
    remaining: context.getRemainingTimeInMillis(),
    client_custom: context.clientContext ? context.clientContext.custom : null,
    client_title: context.clientContext ? context.clientContext.client.app_title : null,
  };
}

function writeLogs(event) {
  console.log('out', event.name);
  process.stdout.write('half ');
  process.stdout.write(`and half ${event.name}\n`);
  console.error('err', event.name);
  if (event.unicode) console.log('größe €');
  process.stdout.write(`unfinished ${event.name}`);
  return event.name;
}

function circle() {
  const found = {};
  found.self = found;
  return found;
}

function act(event, context) {
  switch (event.op) {
    case 'echo':
      return event.value;
    case 'context':
      return contextMembers(context);
    case 'raise':
      return fail(event.text || 'boom');
    case 'unmarshalable':
      return event.kind === 'circle' ? circle() : { big: 1n };
    case 'log':
      return writeLogs(event);
    case 'env':
      return Object.fromEntries(event.names.map((name) => [name, process.env[name] ?? null]));
    case 'large':
      return 'x'.repeat(event.size);
    case 'size':
      return event.value.length;
    case 'stream':
      return {
        statusCode: 201,
        headers: { 'content-type': 'text/x-lines', 'x-one': '1' },
        cookies: ['a=1', 'b=2'],
        body: lines(event.count),
      };
    case 'blocks':
      return blocks(event.count, event.size);
    case 'endless':
      return endless();
    case 'binary':
      return binary();
    case 'stream_fails':
      return failingStream();
    case 'exit':
      console.log('leaving');
      process.exit(3);
      break;
    default:
      return { unknown: event.op };
  }
  return undefined;
}

async function handle(event, context) {
  if (event.op === 'sleep') {
    console.log('sleeping', event.name);
    do await new Promise((resolve) => setTimeout(resolve, (event.seconds || 0.005) * 1000));
    while (event.until && !existsSync(event.until));
    console.log('slept', event.name);
    return event.name;
  }
  if (event.op === 'remaining') {
    const first = context.getRemainingTimeInMillis();
    await new Promise((resolve) => setTimeout(resolve, 50));
    return [first, context.getRemainingTimeInMillis()];
  }
  await null;
  return act(event, context);
}

module.exports = { handle };
