// Says when it was initialised and by which process, which instance it is, and a number that is its own.
const started = process.hrtime.bigint().toString()
Math.random()
const pidThen = process.pid
let own
exports.handler = async event => {
  own = own || Math.random()
  await new Promise(done => setTimeout(done, 1000 * (event.s || 0)))
  return { started, stream: process.env.AWS_LAMBDA_LOG_STREAM_NAME, own, pids: [pidThen, process.pid] }
}
