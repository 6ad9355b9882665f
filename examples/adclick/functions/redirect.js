'use strict';
// The visitor is sent on at once. The click is on disk, in the queue, before the answer leaves.

const { randomUUID } = require('node:crypto');
const { ads } = require('./ads.json');

exports.handler = async (event, context) => {
  const ad = event.pathParameters.ad;
  if (!Object.hasOwn(ads, ad)) {
    return { statusCode: 404, headers: { 'content-type': 'text/plain' }, body: 'There is no such ad.\n' };
  }
  const id = randomUUID();
  context.send('clicks', { id, ad, at: Date.now() });
  return {
    statusCode: 302,
    headers: { location: ads[ad].url, 'x-click-id': id, 'cache-control': 'no-store' },
  };
};
