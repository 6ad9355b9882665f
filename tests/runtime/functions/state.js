'use strict';

exports.handler = async (event, context) => {
  const { state } = context;
  switch (event.op) {
    case 'plain':
      return 'nothing staged';
    case 'read': {
      const none = async () => (await state.get('absent')) ?? 'default';
      return { value: await state.get('k'), none: await none() };
    }
    case 'list':
      return state.list('p', { limit: 2, after: 'pa' });
    case 'write': {
      const seen = await state.get('k');
      state.put('k', { was: seen, text: 'größe' });
      state.delete('old');
      state.add('count', 2);
      state.add('count', 3, { atLeast: -7 });
      const attributes = { a: 'x', n: 1.5, b: Buffer.from([0, 255]) };
      context.send('clicks', { n: 1 }, { delay: 5, attributes });
      context.send('orders.fifo', 'text', { group: 'g', deduplicationId: 'd' });
      return state.get('k');
    }
    case 'fail':
      state.put('k', 1);
      throw new Error('after staging');
    case 'refused':
      try {
        await state.get('k');
      } catch (error) {
        return [error.code, error.message];
      }
      return null;
    case 'counted':
      state.add('n', 2);
      return state.get('n');
    case 'mistakes':
      return [
        () => state.put('', 1),
        () => state.put('k', undefined),
        () => state.add('k', 1.5),
        () => state.put(7, 1),
        () => context.send('', 'x'),
        () => context.send('q', 'x', { attributes: { a: null } }),
      ].map((call) => {
        try {
          call();
          return 'accepted';
        } catch (error) {
          return error.name;
        }
      });
    default:
      throw new Error(event.op);
  }
};

// Ends by its callback once nothing is left to do: an answer that it waits for is something.
exports.callback = (event, context, callback) => {
  context.state.get('k').then((value) => {
    context.state.put('copy', value);
    callback(null, value);
  });
};

async function* late(context) {
  context.state.put('early', 1);
  yield 'first';
  try {
    context.state.put('late', 1);
  } catch (error) {
    yield error.message;
  }
}

exports.late = (event, context) => late(context);
