'use strict';
// The same as faulty.py, for Node.

if (process.env.FAULT === 'init') throw new Error('this version cannot start');

const sleep = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

async function fail(what) {
  if (what.fault === 'throw') throw new Error(`no luck with ${what.n}`);
  if (what.fault === 'hang') await sleep(3600);
  if (what.fault === 'exit') process.exit(3);
  if (what.fault === 'kill') {
    process.kill(process.pid, 'SIGKILL');
    await sleep(3600);
  }
  if (what.fault === 'memory') {
    const hoard = [];
    for (;;) hoard.push(Buffer.alloc(4 << 20, 7));
  }
}

exports.handler = async (event, context) => {
  if (process.env.FAULT === 'throw') throw new Error('this version is broken');
  const batchItemFailures = [];
  for (const record of event.Records) {
    const queue = record.eventSourceARN.split(':').pop();
    const what = JSON.parse(record.body);
    if (what.slow) await sleep(what.slow);
    if (what.fault && Number(record.attributes.ApproximateReceiveCount) <= (what.until ?? 1000)) {
      if (what.fault === 'decline') {
        batchItemFailures.push({ itemIdentifier: record.messageId });
        continue;
      }
      await fail(what);
    }
    context.state.add(`charged/${queue}/${what.n}`, 1);
    context.state.add(`spent/${queue}/all`, what.price);
    context.state.put(`by/${queue}/${what.n}`, process.env.REVISION ?? '');
  }
  return { batchItemFailures };
};
