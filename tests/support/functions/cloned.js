// Says when it was initialised, and which instance it is.
const started = process.hrtime.bigint().toString()
exports.handler = async event => {
  await new Promise(done => setTimeout(done, 1000 * (event.s || 0)))
  return { started, stream: process.env.AWS_LAMBDA_LOG_STREAM_NAME }
}
