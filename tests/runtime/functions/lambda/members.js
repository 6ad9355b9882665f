'use strict';
// What a handler under AWS's Node.js runtime sees and may do; the event names what is asked.

const ops = {
  context: (event, context) => ({
    own: Object.keys(context).sort(),
    client: context.clientContext,
    types: ['done', 'succeed', 'fail', 'getRemainingTimeInMillis'].map((name) => typeof context[name]),
    spread: { ...context }.awsRequestId,
  }),
  trace: () => process.env._X_AMZN_TRACE_ID || null,
  log: () => {
    console.debug('quiet');
    console.log('order %d', 7, { id: 1 });
    console.error({ lost: true });
    console.warn('failed:', new TypeError('bad'));
    return null;
  },
  fail: () => {
    const error = new RangeError('no order');
    error.code = 'E_ORDER';
    error.order = 7;
    throw error;
  },
  forever: () => new Promise(() => {}),
  late: async () => {
    await new Promise((done) => setTimeout(done, 200));
    return 'late';
  },
  wrapped: (event, context) =>
    new Promise(() => {
      const { done } = context;
      context.done = (error, result) => done(error, `wrapped ${result}`);
      context.done(null, 'result');
    }),
  succeed: (event, context) => new Promise(() => context.succeed('by context')),
};

exports.handler = async (event, context) => ops[event.op](event, context);
exports.plain = (event, context) => ops[event.op](event, context);
